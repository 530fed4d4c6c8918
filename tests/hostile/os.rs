//! What the tests ask of the system that the standard library does not offer.
#![allow(unsafe_code)] // Foreign calls. The other modules have none.

use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd};

/// Sends one byte of urgent data.
pub(crate) fn send_urgent(stream: &TcpStream, byte: u8) {
    let flags = libc::MSG_OOB | libc::MSG_NOSIGNAL;
    // SAFETY: one byte is read from `byte`, which outlives the call.
    let sent = unsafe { libc::send(stream.as_raw_fd(), (&raw const byte).cast(), 1, flags) };
    assert_eq!(sent, 1, "an urgent byte is sent");
}

/// Makes closing the connection reset it.
pub(crate) fn reset_on_close(stream: &TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    assert!(set(stream, libc::SOL_SOCKET, libc::SO_LINGER, &linger));
}

/// Gives a listener another length of its queue.
pub(crate) fn set_queue(listener: &impl AsRawFd, len: i32) {
    // SAFETY: no pointers.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), len) }, 0);
}

/// Ends a connection without telling the other side. False if this process may not do so.
pub(crate) fn vanish(stream: TcpStream) -> bool {
    const TCP_REPAIR: libc::c_int = 19;
    let on: libc::c_int = 1;
    let silent = set(&stream, libc::IPPROTO_TCP, TCP_REPAIR, &on);
    drop(stream);
    silent
}

/// Makes a socket hear nothing that is sent to it, neither an answer nor the end of anything.
pub(crate) fn deafen(socket: &OwnedFd) {
    let mut nothing = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 };
    let program = libc::sock_fprog { len: 1, filter: &raw mut nothing };
    assert!(set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program));
}

fn set<T>(stream: &impl AsRawFd, level: libc::c_int, name: libc::c_int, value: &T) -> bool {
    let len = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` is read, and is as long as `len` says.
    let set = unsafe {
        libc::setsockopt(stream.as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), len)
    };
    set == 0
}
