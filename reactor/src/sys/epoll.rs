//! epoll: one edge-triggered registration for each descriptor, for life.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::{check, owned, raw_syscalls};
use crate::ready::{Direction, Interest, Ready};
use crate::sync::{AtomicBool, Ordering};

#[derive(Debug)]
pub(crate) struct Epoll {
    fd: OwnedFd,
    /// `epoll_pwait2` has failed: the kernel does not have it (before 5.11), or a filter refuses it.
    whole_milliseconds: AtomicBool,
}

/// How many events one wait takes from the kernel; the others wait there for the next.
const CAPACITY: usize = 256;

/// The buffer for events, on the stack of the thread that makes the turn: 3 KB, less than a page.
pub(crate) struct Events {
    buffer: [MaybeUninit<libc::epoll_event>; CAPACITY],
    count: usize,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self { buffer: [const { MaybeUninit::uninit() }; CAPACITY], count: 0 }
    }

    /// The events of the last wait: the token of each, and its readiness.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, Ready)> {
        self.buffer[..self.count].iter().map(|event| {
            // SAFETY: the kernel filled the first `count` of them.
            let event = unsafe { event.assume_init_read() };
            // Copied field by field: the struct is packed on x86-64.
            (event.u64, readiness(event.events))
        })
    }

    /// Whether the kernel may have more events.
    pub(crate) fn is_full(&self) -> bool {
        self.count == CAPACITY
    }

    fn as_mut_ptr(&mut self) -> *mut libc::epoll_event {
        self.buffer.as_mut_ptr().cast()
    }
}

impl Epoll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        Ok(Self { fd: owned(fd), whole_milliseconds: AtomicBool::new(false) })
    }

    /// Registers a descriptor. If it is ready already, that is its first edge.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, data: u64, interest: Interest) -> io::Result<()> {
        let mut event = libc::epoll_event { events: mask(interest), u64: data };
        self.control(libc::EPOLL_CTL_ADD, fd, &raw mut event)
    }

    /// Changes the interest. If the descriptor is ready for it, that is an edge again.
    ///
    /// An exclusive registration cannot be changed (`epoll_ctl(2)`), so it ends and begins anew. An event
    /// between the two calls is not lost: the second reports the present readiness.
    pub(crate) fn modify(
        &self,
        fd: BorrowedFd<'_>,
        data: u64,
        interest: Interest,
    ) -> io::Result<()> {
        if interest == Interest::Exclusive {
            self.delete(fd)?;
            return self.add(fd, data, interest);
        }
        let mut event = libc::epoll_event { events: mask(interest), u64: data };
        self.control(libc::EPOLL_CTL_MOD, fd, &raw mut event)
    }

    /// Ends a registration.
    pub(crate) fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, std::ptr::null_mut())
    }

    fn control(
        &self,
        operation: libc::c_int,
        fd: BorrowedFd<'_>,
        event: *mut libc::epoll_event,
    ) -> io::Result<()> {
        // SAFETY: `event` is null for DEL, which ignores it, or points to the caller's event.
        check(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), operation, fd.as_raw_fd(), event) })
            .map(drop)
    }

    /// Waits for events, for `timeout` or without limit. After a signal it returns without events: only the
    /// caller can compute the time that is left.
    pub(crate) fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.count = 0;
        let is_fine = |timeout: &Duration| {
            !timeout.is_zero() && !self.whole_milliseconds.load(Ordering::Relaxed)
        };
        let waited = match timeout.filter(is_fine) {
            Some(timeout) => self.wait_nanoseconds(events, timeout),
            None => self.wait_milliseconds(events, timeout),
        };
        match waited {
            Ok(count) => events.count = count as usize,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn wait_milliseconds(
        &self,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> io::Result<libc::c_int> {
        let timeout = timeout.map_or(-1, whole_milliseconds);
        let (fd, buffer) = (self.fd.as_raw_fd(), events.as_mut_ptr());
        // SAFETY: `buffer` has room for so many events.
        check(unsafe { raw_syscalls::epoll_wait(fd, buffer, CAPACITY as libc::c_int, timeout) })
    }

    /// `epoll_pwait2(2)`, by number: glibc has had a wrapper only since 2.35.
    fn wait_nanoseconds(&self, events: &mut Events, whole: Duration) -> io::Result<libc::c_int> {
        let timeout = KernelTimespec {
            tv_sec: i64::try_from(whole.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: whole.subsec_nanos().into(),
        };
        let buffer = events.as_mut_ptr();
        // SAFETY: `buffer` has room for `CAPACITY` events, `timeout` outlives the call, and there is
        // no signal mask, of any size.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.fd.as_raw_fd(),
                buffer,
                CAPACITY as libc::c_int,
                &raw const timeout,
                std::ptr::null::<libc::sigset_t>(),
                0usize,
            )
        };
        match check(count as libc::c_int) {
            // A filter may refuse this call with any error. The older call then decides whether the wait fails.
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.whole_milliseconds.store(true, Ordering::Relaxed);
                self.wait_milliseconds(events, Some(whole))
            }
            waited => waited,
        }
    }
}

/// `struct __kernel_timespec`: 64 bits each on every machine, where the C library's `timespec` may have
/// 32.
#[repr(C)]
struct KernelTimespec {
    tv_sec: i64,
    tv_nsec: i64,
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Rounded up: a wait that is too short has to be repeated.
fn whole_milliseconds(timeout: Duration) -> libc::c_int {
    if timeout.is_zero() {
        return 0;
    }
    libc::c_int::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(libc::c_int::MAX)
}

/// The flags for epoll. Reading includes the half-close and the urgent mark: without
/// them a reader that trusts a short read misses the end of the stream, or the bytes after the mark.
///
/// Beside `EPOLLEXCLUSIVE`, the kernel refuses both. A listener has neither.
fn mask(interest: Interest) -> u32 {
    if interest == Interest::Exclusive {
        return (libc::EPOLLET | libc::EPOLLIN | libc::EPOLLEXCLUSIVE) as u32;
    }
    let mut mask = libc::EPOLLET;
    if interest.includes(Direction::Read) {
        mask |= libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLPRI;
    }
    // `WriteOnDemand`: a writer that must wait enables `EPOLLOUT` later.
    if interest.includes(Direction::Write) && interest != Interest::WriteOnDemand {
        mask |= libc::EPOLLOUT;
    }
    mask as u32
}

/// The readiness that an event reports. Most events report no more than data and room.
#[inline]
fn readiness(events: u32) -> Ready {
    let add = |ready: Ready, (bit, meaning): &(libc::c_int, Ready)| {
        if events & *bit as u32 != 0 { ready.union(*meaning) } else { ready }
    };
    let (usual, rare) = MEANINGS.split_at(2);
    let ready = usual.iter().fold(Ready::EMPTY, add);
    let is_usual = events & !(libc::EPOLLIN | libc::EPOLLOUT) as u32 == 0;
    if is_usual { ready } else { rare.iter().fold(ready, add) }
}

/// A hang-up or an error makes both directions ready: the next operation returns it.
const MEANINGS: [(libc::c_int, Ready); 6] = {
    const READ: Ready = Ready::READABLE;
    const BOTH: Ready = Ready::READABLE.union(Ready::WRITABLE);
    const HANGUP: Ready = BOTH.union(Ready::READ_HANGUP).union(Ready::WRITE_HANGUP);
    [
        (libc::EPOLLIN, READ),
        (libc::EPOLLOUT, Ready::WRITABLE),
        (libc::EPOLLPRI, READ.union(Ready::PRIORITY)),
        (libc::EPOLLRDHUP, READ.union(Ready::READ_HANGUP)),
        (libc::EPOLLHUP, HANGUP),
        (libc::EPOLLERR, BOTH.union(Ready::ERROR)),
    ]
};
