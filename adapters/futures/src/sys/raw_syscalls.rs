//! `recv`, `recvmsg` and `send` by number. In a process with several threads, glibc's functions prepare
//! for thread cancellation and undo that afterwards: two atomic exchanges and 60 instructions for each
//! call. Rust code does not cancel threads.
//!
//! Each returns -1 and sets `errno`, as the C library's function does.

use libc::{c_int, c_long, c_void, msghdr, size_t, ssize_t};

/// # Safety
///
/// The kernel may write `len` bytes to `buffer`.
#[inline]
pub(super) unsafe fn recv(fd: c_int, buffer: *mut c_void, len: size_t, flags: c_int) -> ssize_t {
    let (nowhere, no_len) = (std::ptr::null_mut::<c_void>(), std::ptr::null_mut::<c_void>());
    // SAFETY: the caller's promise; without room for an address, the kernel writes none.
    let moved =
        unsafe { libc::syscall(libc::SYS_recvfrom, fd, buffer, len, flags, nowhere, no_len) };
    moved as ssize_t
}

/// # Safety
///
/// The kernel may read `len` bytes from `buffer`.
#[inline]
pub(super) unsafe fn send(fd: c_int, buffer: *const c_void, len: size_t, flags: c_int) -> ssize_t {
    let (nowhere, no_len) = (std::ptr::null::<c_void>(), 0 as c_long);
    // SAFETY: the caller's promise; no address is read where there is none.
    let moved = unsafe { libc::syscall(libc::SYS_sendto, fd, buffer, len, flags, nowhere, no_len) };
    moved as ssize_t
}

/// # Safety
///
/// The kernel may write to each buffer that `message` names.
#[inline]
pub(super) unsafe fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t {
    // SAFETY: the caller's promise.
    let moved = unsafe { libc::syscall(libc::SYS_recvmsg, fd, message, flags) };
    moved as ssize_t
}
