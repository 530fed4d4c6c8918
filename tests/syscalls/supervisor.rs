//! The supervisor: a thread outside of the filter that answers the calls of those inside. It counts
//! them, has the kernel go on with them, and answers the chosen ones with an error.
//!
//! It shares descriptors and memory with those whose calls it answers. So where an error is told of a
//! call that has been made all the same (an interrupted `connect(2)`, every `close(2)`), it makes that
//! call itself, and then tells the error.
#![allow(unsafe_code)] // Foreign calls.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use libc::{c_int, c_long};

use crate::calls::{Arguments, CALLS, Call};

/// Which calls fail, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) call: &'static Call,
    pub(crate) errno: c_int,
    /// The first of them that fails.
    pub(crate) from: u64,
    /// And all that follow.
    pub(crate) for_ever: bool,
    /// The call is made all the same.
    pub(crate) made: bool,
}

/// The calls that the supervisor has seen since the session began.
#[derive(Debug)]
pub(crate) struct Seen {
    is_counting: AtomicBool,
    calls: [AtomicU64; CALLS.len()],
    failed: AtomicU64,
}

impl Seen {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            is_counting: AtomicBool::new(false),
            calls: [const { AtomicU64::new(0) }; CALLS.len()],
            failed: AtomicU64::new(0),
        })
    }

    /// From now on calls are counted, and fail.
    pub(crate) fn begin(&self) {
        self.is_counting.store(true, Ordering::SeqCst);
    }

    /// How often each has been called so far.
    pub(crate) fn calls(&self) -> Vec<u64> {
        self.calls.iter().map(|count| count.load(Ordering::SeqCst)).collect()
    }

    /// How many calls were answered with an error.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::SeqCst)
    }

    /// The answer to a call, if it is not to go on.
    fn answer(&self, number: c_long, arguments: &Arguments, fault: Option<&Fault>) -> Option<bool> {
        if !self.is_counting.load(Ordering::SeqCst) {
            return None;
        }
        let at = CALLS.iter().position(|call| call.number == number && (call.is)(arguments))?;
        let count = 1 + self.calls[at].fetch_add(1, Ordering::SeqCst);
        let fault = fault.filter(|fault| std::ptr::eq(fault.call, &CALLS[at]))?;
        if count == fault.from || (fault.for_ever && count > fault.from) {
            self.failed.fetch_add(1, Ordering::SeqCst);
            return Some(fault.made);
        }
        None
    }
}

/// Starts the thread that answers for as long as there is a thread that may call. It answers by the time this
/// returns: until then it may need the allocator's lock, which a thread inside of the filter may hold in a
/// call that waits for its answer.
pub(crate) fn supervise(listener: OwnedFd, fault: Option<Fault>, seen: Arc<Seen>) {
    let is_there = Arc::new(AtomicBool::new(false));
    let begins = is_there.clone();
    let body = move || {
        begins.store(true, Ordering::SeqCst);
        while answer_one(&listener, fault.as_ref(), &seen).is_ok() {}
    };
    thread::Builder::new().name("supervisor".into()).spawn(body).expect("a thread");
    while !is_there.load(Ordering::SeqCst) {
        thread::yield_now();
    }
}

/// Neither allocates nor takes a lock: the caller may hold either.
fn answer_one(listener: &OwnedFd, fault: Option<&Fault>, seen: &Seen) -> io::Result<()> {
    // SAFETY: integers only.
    let mut asked: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one notification to `asked`.
    let got = unsafe {
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV as _, &raw mut asked)
    };
    if got < 0 {
        return or_gone();
    }
    let (number, arguments) = &called(c_long::from(asked.data.nr), &asked.data.args);
    let mut answer = libc::seccomp_notif_resp { id: asked.id, val: 0, error: 0, flags: 0 };
    match seen.answer(*number, arguments, fault) {
        None => answer.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
        Some(made) => {
            if made {
                make(*number, arguments);
            }
            answer.error = -fault.map_or(0, |fault| fault.errno);
        }
    }
    // SAFETY: the kernel reads one answer.
    let sent = unsafe {
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND as _, &raw mut answer)
    };
    if sent < 0 { or_gone() } else { Ok(()) }
}

/// The number by which glibc makes the calls of sockets on 32-bit x86.
#[cfg(target_arch = "x86")]
pub(crate) const SOCKET_CALLS: Option<c_long> = Some(libc::SYS_socketcall);
#[cfg(not(target_arch = "x86"))]
pub(crate) const SOCKET_CALLS: Option<c_long> = None;

/// The call itself, by its own number and with its own arguments, where it is made by [`SOCKET_CALLS`].
#[cfg(target_arch = "x86")]
fn called(number: c_long, arguments: &Arguments) -> (c_long, Arguments) {
    /// By the first argument (linux/net.h): the call, and how many arguments it has.
    const BY_OPERATION: [(c_long, usize); 19] = [
        (libc::SYS_socketcall, 0),
        (libc::SYS_socket, 3),
        (libc::SYS_bind, 3),
        (libc::SYS_connect, 3),
        (libc::SYS_listen, 2),
        // `accept` is `accept4` without flags, `send` and `recv` are `sendto` and `recvfrom` without an address.
        (libc::SYS_accept4, 3),
        (libc::SYS_getsockname, 3),
        (libc::SYS_getpeername, 3),
        (libc::SYS_socketpair, 4),
        (libc::SYS_sendto, 4),
        (libc::SYS_recvfrom, 4),
        (libc::SYS_sendto, 6),
        (libc::SYS_recvfrom, 6),
        (libc::SYS_shutdown, 2),
        (libc::SYS_setsockopt, 5),
        (libc::SYS_getsockopt, 5),
        (libc::SYS_sendmsg, 3),
        (libc::SYS_recvmsg, 3),
        (libc::SYS_accept4, 4),
    ];
    let by_operation = BY_OPERATION.get(arguments[0] as usize);
    let (Some(&(call, count)), libc::SYS_socketcall) = (by_operation, number) else {
        return (number, *arguments);
    };
    let words = arguments[1] as usize as *const libc::c_ulong;
    // SAFETY: the caller has put `count` words there, and waits for the answer meanwhile.
    let words = unsafe { std::slice::from_raw_parts(words, count) };
    let mut own = [0; 6];
    own.iter_mut().zip(words).for_each(|(own, word)| *own = u64::from(*word));
    (call, own)
}

#[cfg(not(target_arch = "x86"))]
fn called(number: c_long, arguments: &Arguments) -> (c_long, Arguments) {
    (number, *arguments)
}

/// The caller may be gone by now, which is no reason to stop.
fn or_gone() -> io::Result<()> {
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EINTR | libc::ENOENT) => Ok(()),
        _ => Err(error),
    }
}

/// Makes a call in place of the caller, which waits for the answer meanwhile.
fn make(number: c_long, arguments: &Arguments) {
    let [a, b, c, d, e, f] = arguments.map(|argument| argument as c_long);
    // SAFETY: the call is one that another thread of this process was about to make with these very
    // arguments, which stay as they are while it waits.
    unsafe { libc::syscall(number, a, b, c, d, e, f) };
}
