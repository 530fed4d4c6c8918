//! The calls that the crates make, themselves and by the standard library, and the outcome of
//! each error: the rules that the sweep holds them to.

use libc::{c_int, c_long};

use crate::session::Session;

/// The arguments of a call.
pub(crate) type Arguments = [u64; 6];

/// A kind of call: some numbers stand for several, told apart by an argument.
#[derive(Debug)]
pub(crate) struct Call {
    /// `epoll_ctl:ADD`, for instance. Before the colon it is the row of `errors.md`.
    pub(crate) name: &'static str,
    pub(crate) number: c_long,
    pub(crate) is: fn(&Arguments) -> bool,
    pub(crate) rule: fn(c_int, Session) -> Rule,
}

/// The rule for an error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// If the call fails once.
    pub(crate) once: Outcome,
    /// If it fails from then on. `None` where that is another kernel than Linux: an interrupted call
    /// succeeds in the end.
    pub(crate) for_ever: Option<Outcome>,
    /// The call has been made, whatever it says.
    pub(crate) made: bool,
}

/// The outcome of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// One operation fails with this very error. The next try succeeds, if the call does.
    Fails,
    /// No operation fails: the call is made again, or done without.
    Survives,
    /// One or the other: the arguments do not tell the purpose of the call.
    Either,
    /// The kernel has said that there is nothing to be had now. An operation waits for its word that
    /// there is, and if that does not come, for its deadline.
    Waits,
    /// The reactor ends, and every waiter gets the error, the bystander too.
    Ends,
}

use Outcome::{Either, Ends, Fails, Survives, Waits};

const fn rule(once: Outcome, for_ever: Option<Outcome>) -> Rule {
    Rule { once, for_ever, made: false }
}

const fn always(outcome: Outcome) -> Rule {
    rule(outcome, Some(outcome))
}

/// Made again and again until it says something else.
const AGAIN: Rule = rule(Survives, None);

const fn made(outcome: Outcome) -> Rule {
    Rule { made: true, ..always(outcome) }
}

fn fails(_: c_int, _: Session) -> Rule {
    always(Fails)
}

fn survives(_: c_int, _: Session) -> Rule {
    always(Survives)
}

fn either(_: c_int, _: Session) -> Rule {
    always(Either)
}

/// Bytes come or go.
fn transfers(errno: c_int, _: Session) -> Rule {
    match errno {
        libc::EINTR => AGAIN,
        libc::EAGAIN => always(Waits),
        _ => always(Fails),
    }
}

fn reads(errno: c_int, session: Session) -> Rule {
    match (errno, session) {
        (libc::EINTR, _) => AGAIN,
        (libc::EAGAIN, Session::Any) => always(Waits),
        (_, Session::Any) => always(Either),
        _ => always(Survives),
    }
}

/// The user's own, which fails; or that of a TCP socket that lingers in its close, which then lingers no
/// more and is closed all the same.
fn shuts_down(_: c_int, session: Session) -> Rule {
    always(if lingers(session) { Either } else { Fails })
}

/// A descriptor is registered: the user's socket, or the duplicate by which a TCP socket lingers.
fn registers(_: c_int, session: Session) -> Rule {
    always(if lingers(session) { Either } else { Fails })
}

fn lingers(session: Session) -> bool {
    matches!(session, Session::Tcp | Session::Driven)
}

/// musl makes the call again where the kernel may not know the flags in it: `socket` and `socketpair` without
/// them, and `accept` in place of `accept4`.
const TRIES_AN_OLDER_CALL: bool = cfg!(target_env = "musl");

fn makes_a_socket(errno: c_int, _: Session) -> Rule {
    match errno {
        libc::EINVAL | libc::EPROTONOSUPPORT if TRIES_AN_OLDER_CALL => rule(Survives, Some(Fails)),
        _ => always(Fails),
    }
}

fn accepts(errno: c_int, session: Session) -> Rule {
    match errno {
        libc::ECONNABORTED => AGAIN,
        libc::EINVAL if TRIES_AN_OLDER_CALL => always(Survives),
        _ => transfers(errno, session),
    }
}

fn connects(errno: c_int, session: Session) -> Rule {
    match (errno, session) {
        (libc::EINTR, Session::Unix | Session::Datagram) => AGAIN,
        (_, Session::Datagram) => always(Fails),
        // The listener's queue is full, for a while.
        (libc::EAGAIN, Session::Unix) => rule(Survives, Some(Waits)),
        (_, Session::Unix) => always(Fails),
        // It has begun, or is done.
        (libc::EINTR | libc::EINPROGRESS | libc::EALREADY | libc::EISCONN, _) => made(Survives),
        // Twice more, as Go does.
        (libc::EADDRNOTAVAIL, _) => rule(Survives, Some(Fails)),
        _ => always(Fails),
    }
}

/// Of a connected socket: is it connected, is it connected to itself? Of an accepted one: a Unix
/// socket's name.
fn names_the_peer(errno: c_int, session: Session) -> Rule {
    match (errno, session) {
        // "Not yet": it is waited for.
        (libc::ENOTCONN, Session::Tcp | Session::Driven) => rule(Waits, Some(Waits)),
        (_, Session::Unix) => always(Fails),
        _ => always(Either),
    }
}

/// The reactor waits. A thread that turns it by hand gets the error.
fn waits(errno: c_int, session: Session) -> Rule {
    match errno {
        libc::EINTR => AGAIN,
        _ if session == Session::Reactor => rule(Either, Some(Ends)),
        _ => rule(Survives, Some(Ends)),
    }
}

/// The reactor waits to the nanosecond, or, where that call fails, to the millisecond by the older one.
fn waits_exactly(errno: c_int, _: Session) -> Rule {
    interrupted_or(errno, always(Survives))
}

fn interrupted_or(errno: c_int, otherwise: Rule) -> Rule {
    if errno == libc::EINTR { AGAIN } else { otherwise }
}

/// A thread is started. glibc makes the older call where there is no newer one.
#[cfg(not(target_env = "musl"))]
fn starts(errno: c_int, _: Session) -> Rule {
    always(if errno == libc::ENOSYS { Survives } else { Fails })
}

fn any(_: &Arguments) -> bool {
    true
}

fn controls(arguments: &Arguments, operation: c_int) -> bool {
    arguments[1] as c_int == operation
}

fn asks_for(arguments: &Arguments, level: c_int, option: c_int) -> bool {
    (arguments[1] as c_int, arguments[2] as c_int) == (level, option)
}

/// The calls that glibc makes by another number on some architectures.
#[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
const POLL_AND_UNLINK: (c_long, c_long) = (libc::SYS_poll, libc::SYS_unlink);
#[cfg(not(any(target_arch = "x86_64", target_arch = "x86")))]
const POLL_AND_UNLINK: (c_long, c_long) = (libc::SYS_ppoll, libc::SYS_unlinkat);
#[cfg(target_pointer_width = "32")]
const FCNTL: c_long = libc::SYS_fcntl64;
#[cfg(not(target_pointer_width = "32"))]
const FCNTL: c_long = libc::SYS_fcntl;

/// The call by which the C library starts a thread.
#[cfg(not(target_env = "musl"))]
const THREAD: Call = call("clone3", libc::SYS_clone3, any, starts);
#[cfg(target_env = "musl")]
const THREAD: Call = call("clone", libc::SYS_clone, any, fails);

/// The call by which the standard library asks which file a path names. It asks about descriptors by others.
#[cfg(not(all(target_env = "musl", target_arch = "x86_64")))]
pub(crate) const STAT: Call = call(
    "statx:PATH",
    libc::SYS_statx,
    |a| a[2] as c_int & libc::AT_SYMLINK_NOFOLLOW != 0,
    survives,
);
#[cfg(all(target_env = "musl", target_arch = "x86_64"))]
pub(crate) const STAT: Call = call("lstat", libc::SYS_lstat, any, survives);

const fn call(
    name: &'static str,
    number: c_long,
    is: fn(&Arguments) -> bool,
    rule: fn(c_int, Session) -> Rule,
) -> Call {
    Call { name, number, is, rule }
}

/// All of them. Of those that have a number in common, the first that fits.
#[rustfmt::skip]
pub(crate) static CALLS: [Call; 45] = [
    call("socket", libc::SYS_socket, any, makes_a_socket),
    call("socketpair", libc::SYS_socketpair, any, makes_a_socket),
    call("bind", libc::SYS_bind, any, fails),
    call("listen", libc::SYS_listen, any, fails),
    call("connect", libc::SYS_connect, any, connects),
    call("accept4", libc::SYS_accept4, any, accepts),
    call("getsockopt:ERROR", libc::SYS_getsockopt, |a| asks_for(a, libc::SOL_SOCKET, libc::SO_ERROR), fails),
    call("getsockopt:LINGER", libc::SYS_getsockopt, |a| asks_for(a, libc::SOL_SOCKET, libc::SO_LINGER), survives),
    call("getsockopt:PROTOCOL", libc::SYS_getsockopt, |a| asks_for(a, libc::SOL_SOCKET, libc::SO_PROTOCOL), survives),
    call("getsockopt", libc::SYS_getsockopt, any, fails),
    // The user's own, or that of a close that must not wait.
    call("setsockopt:LINGER", libc::SYS_setsockopt, |a| asks_for(a, libc::SOL_SOCKET, libc::SO_LINGER), either),
    call("setsockopt", libc::SYS_setsockopt, any, fails),
    call("getsockname", libc::SYS_getsockname, any, either),
    call("getpeername", libc::SYS_getpeername, any, names_the_peer),
    call("shutdown", libc::SYS_shutdown, any, shuts_down),
    call("recvfrom", libc::SYS_recvfrom, any, transfers),
    call("recvmsg", libc::SYS_recvmsg, any, transfers),
    call("sendto", libc::SYS_sendto, any, transfers),
    call("sendmsg", libc::SYS_sendmsg, any, transfers),
    // Linux has closed it by then, whatever it says.
    call("close", libc::SYS_close, any, |_, _| made(Survives)),
    // There is an older call, and where that is refused as well, `shutdown` (`tests/security/close_refused.rs`).
    call("dup3", libc::SYS_dup3, any, survives),
    call("fcntl:GETFL", FCNTL, |a| controls(a, libc::F_GETFL), survives),
    call("ioctl:FIONBIO", libc::SYS_ioctl, |a| a[1] as c_int == libc::FIONBIO as c_int, fails),
    // The placeholder behind the number of a closed descriptor.
    call("pipe2", libc::SYS_pipe2, any, fails),
    STAT,
    call("unlink", POLL_AND_UNLINK.1, any, survives),
    call("epoll_create1", libc::SYS_epoll_create1, any, fails),
    call("epoll_ctl:ADD", libc::SYS_epoll_ctl, |a| controls(a, libc::EPOLL_CTL_ADD), registers),
    // Asked to report room, or to report it no more.
    call("epoll_ctl:MOD", libc::SYS_epoll_ctl, |a| controls(a, libc::EPOLL_CTL_MOD), either),
    call("epoll_ctl:DEL", libc::SYS_epoll_ctl, |a| controls(a, libc::EPOLL_CTL_DEL), survives),
    call("epoll_pwait", libc::SYS_epoll_pwait, any, waits),
    call("epoll_pwait2", libc::SYS_epoll_pwait2, any, waits_exactly),
    call("eventfd2", libc::SYS_eventfd2, any, fails),
    call("timerfd_create", libc::SYS_timerfd_create, any, fails),
    // The first, when the reactor is made. After a later one the next turn tries again.
    call("timerfd_settime", libc::SYS_timerfd_settime, any, either),
    call("write:8", libc::SYS_write, |a| a[2] == 8, |errno, _| interrupted_or(errno, always(Survives))),
    // Of a pipe; the other sessions have the standard library read files, and do without.
    call("write", libc::SYS_write, any, transfers),
    call("read", libc::SYS_read, any, reads),
    call("poll", POLL_AND_UNLINK.0, any, |errno, _| interrupted_or(errno, always(Survives))),
    // Of a thread, and not for the end of another one, which glibc takes for fatal.
    call("futex:WAIT", libc::SYS_futex, |a| a[1] as c_int & !libc::FUTEX_CLOCK_REALTIME == libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG, |_, _| AGAIN),
    THREAD,
    call("rt_sigprocmask", libc::SYS_rt_sigprocmask, any, survives),
    call("sched_getscheduler", libc::SYS_sched_getscheduler, any, survives),
    call("sched_setscheduler", libc::SYS_sched_setscheduler, any, survives),
    call("sched_getaffinity", libc::SYS_sched_getaffinity, any, survives),
];

impl Call {
    pub(crate) fn named(name: &str) -> Option<&'static Call> {
        CALLS.iter().find(|call| call.name == name)
    }

    /// Whether it may be called less often: a waiter may find that it need not wait, and bytes in
    /// two parts may come in one.
    pub(crate) fn is_up_to_chance(&self, time: u64) -> bool {
        let waits = ["epoll_pwait", "epoll_pwait2", "futex:WAIT", "write:8", "poll"];
        let transfers = ["recvfrom", "sendto", "epoll_ctl:MOD"];
        waits.contains(&self.name) || (time > 1 && transfers.contains(&self.name))
    }

    /// Whether it is swept in a session. A call of the reactor's start is made in all of
    /// them, and alike; most reads are the standard library's, which counts processors.
    pub(crate) fn is_swept_in(&self, session: Session) -> bool {
        let of_the_start = ["pipe2", "epoll_create1", "eventfd2", "timerfd_create", THREAD.name];
        let also =
            ["rt_sigprocmask", "sched_getscheduler", "sched_setscheduler", "sched_getaffinity"];
        match self.name {
            "read" => session == Session::Any,
            name if of_the_start.contains(&name) || also.contains(&name) => {
                matches!(session, Session::Tcp | Session::Reactor)
            }
            _ => true,
        }
    }

    /// Its row of `errors.md`.
    pub(crate) fn row(&self) -> &'static str {
        self.name.split(':').next().unwrap_or(self.name)
    }
}
