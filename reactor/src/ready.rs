//! Directions, the interest of a registration, and the readiness that the kernel reported.

use std::fmt;

/// One of the two directions of a descriptor. Each has its own deadline, waiters and
/// counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Reading, accepting, receiving.
    Read,
    /// Writing, connecting, sending.
    Write,
}

impl Direction {
    /// Both, reading first.
    pub const BOTH: [Direction; 2] = [Direction::Read, Direction::Write];
}

/// The directions for which a registration is in epoll. It is
/// edge-triggered, and except for [`WriteOnDemand`](Interest::WriteOnDemand) it never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interest {
    /// Readability, urgent data and the peer's half-close: listeners, the read end of a pipe.
    Readable,
    /// Readability, of a listener that several processes have registered in this way: a connection wakes at
    /// least one of those that wait, and not all of them (`EPOLLEXCLUSIVE`).
    ///
    /// The kernel goes through the epoll instances in the order in which they were registered. Each gets the
    /// event, until it has woken a thread that waits in one. So a process that is busy finds the event when
    /// it waits again, and another one is woken meanwhile: no connection is without a process that knows of
    /// it. The kernel does not count the loop of an [embedded](crate::Builder::embedded) reactor as a
    /// thread that waits, and goes on to the next instance.
    Exclusive,
    /// Writability: the write end of a pipe.
    Writable,
    /// Both: a TCP stream.
    Both,
    /// Both, but `EPOLLOUT` is enabled only while a task waits to write. For datagram and Unix
    /// sockets: epoll would report writability for every datagram sent and for every read of the peer
    /// (golang/go#17249). Until a write has blocked, the socket counts as writable.
    WriteOnDemand,
}

impl Interest {
    pub(crate) fn includes(self, direction: Direction) -> bool {
        match direction {
            Direction::Read => self != Interest::Writable,
            Direction::Write => !matches!(self, Interest::Readable | Interest::Exclusive),
        }
    }
}

/// The readiness of a descriptor that events reported, as a set. A hint, never a promise.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Ready(u8);

impl Ready {
    /// The empty set.
    pub const EMPTY: Ready = Ready(0);
    /// A read may succeed, find the end of the stream, or fail with the socket's error.
    pub const READABLE: Ready = Ready(1);
    /// A write may succeed, or fail with the socket's error.
    pub const WRITABLE: Ready = Ready(1 << 1);
    /// The peer has shut down writing.
    pub const READ_HANGUP: Ready = Ready(1 << 2);
    /// The peer has shut down reading.
    pub const WRITE_HANGUP: Ready = Ready(1 << 3);
    /// The socket has an error to report.
    pub const ERROR: Ready = Ready(1 << 4);
    /// Urgent (out-of-band) data.
    pub const PRIORITY: Ready = Ready(1 << 5);

    const NAMES: [(&'static str, Ready); 6] = [
        ("READABLE", Ready::READABLE),
        ("WRITABLE", Ready::WRITABLE),
        ("READ_HANGUP", Ready::READ_HANGUP),
        ("WRITE_HANGUP", Ready::WRITE_HANGUP),
        ("ERROR", Ready::ERROR),
        ("PRIORITY", Ready::PRIORITY),
    ];

    /// Whether everything in `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Ready) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether anything in `other` is in this set.
    #[must_use]
    pub const fn intersects(self, other: Ready) -> bool {
        self.0 & other.0 != 0
    }

    /// Everything that is in either set.
    #[must_use]
    pub const fn union(self, other: Ready) -> Ready {
        Ready(self.0 | other.0)
    }

    /// Everything that is in both sets.
    pub(crate) const fn both(self, other: Ready) -> Ready {
        Ready(self.0 & other.0)
    }

    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u8) -> Ready {
        Ready(bits & 0x3f)
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Ready::NAMES.iter().filter(|(_, flag)| self.contains(*flag));
        f.debug_set().entries(names.map(|(name, _)| format_args!("{name}").to_string())).finish()
    }
}
