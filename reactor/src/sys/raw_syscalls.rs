//! `epoll_wait` by number. In a process of several threads, glibc's function prepares for the cancellation of
//! its thread and undoes that afterwards: two atomic exchanges and 60 instructions for each call. Threads of
//! Rust are not cancelled.
//!
//! It has the errors of the C library's function, in the same place.

use libc::{c_int, c_void, epoll_event, size_t};

/// By `epoll_pwait` without a signal mask: the older call has no number on newer machines.
///
/// # Safety
///
/// The kernel may write `capacity` events to `events`.
#[inline]
pub(super) unsafe fn epoll_wait(
    fd: c_int,
    events: *mut epoll_event,
    capacity: c_int,
    timeout: c_int,
) -> c_int {
    let (no_mask, no_size) = (std::ptr::null::<c_void>(), 0 as size_t);
    // SAFETY: the caller's promise; no signal mask is passed.
    let count = unsafe {
        libc::syscall(libc::SYS_epoll_pwait, fd, events, capacity, timeout, no_mask, no_size)
    };
    count as c_int
}
