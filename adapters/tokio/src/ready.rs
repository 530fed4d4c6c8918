//! tokio's `Interest` and `Ready`. tokio exports its own only with its I/O driver (the
//! feature `net`), so this crate defines them.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Sub};

/// The parts of readiness to wait for: directions, urgent data and errors.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Interest(u8);

impl Interest {
    /// Reading, accepting, receiving.
    pub const READABLE: Interest = Interest(1);
    /// Writing, connecting, sending.
    pub const WRITABLE: Interest = Interest(1 << 1);
    /// Urgent data that the kernel flags: an out-of-band byte of TCP, or a value of sysfs that has changed.
    pub const PRIORITY: Interest = Interest(1 << 4);
    /// An error that the kernel flags, for example a message in the error queue of a socket. The kernel always
    /// reports it, whatever the interest of the registration.
    pub const ERROR: Interest = Interest(1 << 5);

    const NAMES: [(Interest, &'static str); 4] = [
        (Interest::READABLE, "READABLE"),
        (Interest::WRITABLE, "WRITABLE"),
        (Interest::PRIORITY, "PRIORITY"),
        (Interest::ERROR, "ERROR"),
    ];

    /// Whether it includes reading.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.0 & Self::READABLE.0 != 0
    }

    /// Whether it includes writing.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.0 & Self::WRITABLE.0 != 0
    }

    /// Whether it includes urgent data.
    #[must_use]
    pub const fn is_priority(self) -> bool {
        self.0 & Self::PRIORITY.0 != 0
    }

    /// Whether it includes errors.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 & Self::ERROR.0 != 0
    }

    /// The union of both.
    #[must_use]
    pub const fn add(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }

    /// The interest without `other`. `None` if no part is left.
    #[must_use]
    pub fn remove(self, other: Interest) -> Option<Interest> {
        let left = self.0 & !other.0;
        (left != 0).then_some(Interest(left))
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Self::NAMES.iter().filter(|(interest, _)| self.0 & interest.0 != 0);
        for (index, (_, name)) in names.enumerate() {
            f.write_str(if index == 0 { "" } else { " | " })?;
            f.write_str(name)?;
        }
        Ok(())
    }
}

impl From<Interest> for netpoll::Interest {
    fn from(interest: Interest) -> Self {
        // Epoll reports urgent data with the read direction, and errors always.
        let read = interest.is_readable() || interest.is_priority();
        match (read, interest.is_writable()) {
            (true, true) => netpoll::Interest::Both,
            (false, true) => netpoll::Interest::Writable,
            (_, false) => netpoll::Interest::Readable,
        }
    }
}

/// The parts of readiness that a socket has, as a set. They are a hint.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ready(u8);

impl Ready {
    /// The empty set.
    pub const EMPTY: Ready = Ready(0);
    /// A read may succeed.
    pub const READABLE: Ready = Ready(1);
    /// A write may succeed.
    pub const WRITABLE: Ready = Ready(1 << 1);
    /// The peer sends no more bytes.
    pub const READ_CLOSED: Ready = Ready(1 << 2);
    /// The peer accepts no more bytes.
    pub const WRITE_CLOSED: Ready = Ready(1 << 3);
    /// There is urgent data.
    pub const PRIORITY: Ready = Ready(1 << 4);
    /// The socket has an error to report.
    pub const ERROR: Ready = Ready(1 << 5);
    /// All parts.
    pub const ALL: Ready = Ready((1 << 6) - 1);

    const SAME: [(Ready, netpoll::Ready); 6] = [
        (Ready::READABLE, netpoll::Ready::READABLE),
        (Ready::WRITABLE, netpoll::Ready::WRITABLE),
        (Ready::READ_CLOSED, netpoll::Ready::READ_HANGUP),
        (Ready::WRITE_CLOSED, netpoll::Ready::WRITE_HANGUP),
        (Ready::PRIORITY, netpoll::Ready::PRIORITY),
        (Ready::ERROR, netpoll::Ready::ERROR),
    ];

    /// Whether it is the empty set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Ready::EMPTY
    }

    /// Whether a read need not wait: also at the end of the peer's bytes.
    #[must_use]
    pub fn is_readable(self) -> bool {
        self.has(Ready::READABLE) || self.is_read_closed()
    }

    /// Whether a write need not wait: also if it must fail.
    #[must_use]
    pub fn is_writable(self) -> bool {
        self.has(Ready::WRITABLE) || self.is_write_closed()
    }

    /// Whether the peer sends no more bytes.
    #[must_use]
    pub fn is_read_closed(self) -> bool {
        self.has(Ready::READ_CLOSED)
    }

    /// Whether the peer accepts no more bytes.
    #[must_use]
    pub fn is_write_closed(self) -> bool {
        self.has(Ready::WRITE_CLOSED)
    }

    /// Whether there is urgent data.
    #[must_use]
    pub fn is_priority(self) -> bool {
        self.has(Ready::PRIORITY)
    }

    /// Whether the socket has an error to report.
    #[must_use]
    pub fn is_error(self) -> bool {
        self.has(Ready::ERROR)
    }

    fn has(self, other: Ready) -> bool {
        self & other == other
    }

    /// The parts that belong to `interest`.
    pub(crate) fn of(self, interest: Interest) -> Ready {
        let parts = [
            (interest.is_readable(), Ready::READABLE | Ready::READ_CLOSED),
            (interest.is_writable(), Ready::WRITABLE | Ready::WRITE_CLOSED),
            (interest.is_priority(), Ready::PRIORITY | Ready::READ_CLOSED),
            (interest.is_error(), Ready::ERROR),
        ];
        let asked = parts.iter().filter(|(is_asked, _)| *is_asked);
        self & asked.fold(Ready::EMPTY, |all, (_, part)| all | *part)
    }
}

impl From<netpoll::Ready> for Ready {
    fn from(ready: netpoll::Ready) -> Self {
        let same = Self::SAME.iter().filter(|(_, theirs)| ready.contains(*theirs));
        same.fold(Ready::EMPTY, |all, (ours, _)| all | *ours)
    }
}

macro_rules! operators {
    ($($type:ident: $trait:ident::$method:ident = |$left:ident, $right:ident| $bits:expr;)+) => {$(
        impl $trait for $type {
            type Output = Self;

            fn $method(self, other: Self) -> Self {
                let ($left, $right) = (self.0, other.0);
                Self($bits)
            }
        }
    )+};
}

operators! {
    Interest: BitOr::bitor = |left, right| left | right;
    Ready: BitOr::bitor = |left, right| left | right;
    Ready: BitAnd::bitand = |left, right| left & right;
    Ready: Sub::sub = |left, right| left & !right;
}

impl BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitOrAssign for Ready {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("is_readable", &self.is_readable())
            .field("is_writable", &self.is_writable())
            .field("is_read_closed", &self.is_read_closed())
            .field("is_write_closed", &self.is_write_closed())
            .field("is_error", &self.is_error())
            .field("is_priority", &self.is_priority())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_the_reactors_readiness_has_a_counterpart() {
        let mut all = Ready::EMPTY;
        for (ours, theirs) in Ready::SAME {
            assert_eq!(Ready::from(theirs), ours);
            all |= ours;
        }
        assert_eq!(all, Ready::ALL);
        assert_eq!(Ready::from(netpoll::Ready::EMPTY), Ready::EMPTY);
    }

    #[test]
    fn a_direction_includes_its_own_parts() {
        let read = Ready::ALL.of(Interest::READABLE);
        assert_eq!(read, Ready::READABLE | Ready::READ_CLOSED);
        let write = Ready::ALL.of(Interest::WRITABLE);
        assert_eq!(write, Ready::WRITABLE | Ready::WRITE_CLOSED);
        assert_eq!(Ready::ALL.of(Interest::PRIORITY), Ready::PRIORITY | Ready::READ_CLOSED);
        assert_eq!(Ready::ALL.of(Interest::ERROR), Ready::ERROR);
        let all = Interest::NAMES.iter().fold(Interest::ERROR, |all, (one, _)| all | *one);
        assert_eq!(Ready::ALL.of(all), Ready::ALL);
        assert_eq!(format!("{all:?}"), "READABLE | WRITABLE | PRIORITY | ERROR");
    }

    #[test]
    fn an_interest_is_never_empty() {
        let both = Interest::READABLE | Interest::WRITABLE;
        assert_eq!(both.remove(Interest::READABLE), Some(Interest::WRITABLE));
        assert_eq!(both.remove(both), None);
        assert_eq!(format!("{both:?}"), "READABLE | WRITABLE");
    }
}
