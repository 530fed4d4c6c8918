//! Descriptors that travel with bytes, in the control data of a message (`unix(7)`, `SCM_RIGHTS`).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::socket::{RECEIVE, SEND, message};
use super::{check_len, owned, retry};

/// The maximum number of descriptors in one message (`SCM_MAX_FD`).
const MOST_DESCRIPTORS: usize = 253;

/// A control message with a descriptor of the sending process (`unix(7)`, `SO_PASSPIDFD`). Only these and
/// `SCM_RIGHTS` carry descriptors.
const SCM_PIDFD: libc::c_int = 4;

/// Control data, aligned for its headers. It has room for the maximum number of descriptors, and for
/// the other control messages that socket options may add.
type Room = [u64; 256];

/// `sendmsg(2)` with descriptors. The receiver gets duplicates of them with the first of the bytes;
/// they have been sent if and only if this succeeds.
///
/// A stream needs at least one byte to carry descriptors. A datagram may be empty.
///
/// # Errors
///
/// [`InvalidInput`](io::ErrorKind::InvalidInput) for more than 253 descriptors, or an error of
/// `sendmsg(2)`: `ETOOMANYREFS` if too many descriptors are in flight.
pub fn send_with_fds(
    fd: BorrowedFd<'_>,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    if fds.len() > MOST_DESCRIPTORS {
        let message = format!("{} descriptors, where {MOST_DESCRIPTORS} are the most", fds.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut room: Room = [0; 256];
    let mut buffer =
        libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut message = message(&raw mut buffer, 1);
    if !fds.is_empty() {
        put(&mut message, &mut room, fds);
    }
    // SAFETY: sending only reads the one buffer and the control data, which outlive the call.
    let send = || unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, SEND) };
    retry(|| check_len(send()))
}

/// `recvmsg(2)` with room for descriptors: those that the peer sent are appended to `fds`, close-on-exec.
/// Zero is the end of a stream, unless `bytes` is empty.
///
/// On a stream, bytes that were sent with descriptors may be received together with those that went
/// before, but never with those that come after. Other control messages are ignored. Under
/// `SO_PASSPIDFD`, the kernel adds a descriptor of the sending process to every message; this closes
/// it.
///
/// # Errors
///
/// An error of `recvmsg(2)`. Also fails if the kernel could not deliver all descriptors, most likely
/// because this process has reached `RLIMIT_NOFILE`. The delivered descriptors are closed, and the
/// bytes have left the queue.
pub fn recv_with_fds(
    fd: BorrowedFd<'_>,
    bytes: &mut [u8],
    fds: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    recv_within(fd, bytes, fds, &mut [0; 256])
}

fn recv_within(
    fd: BorrowedFd<'_>,
    bytes: &mut [u8],
    fds: &mut Vec<OwnedFd>,
    room: &mut [u64],
) -> io::Result<usize> {
    let mut buffer = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut message = message(&raw mut buffer, 1);
    message.msg_control = room.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(room) as _;
    let flags = RECEIVE | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the kernel writes to the one buffer and to the control data, each as long as it is said
    // to be.
    let len =
        retry(|| check_len(unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, flags) }))?;
    let came = take(&message, libc::SCM_RIGHTS);
    // The kernel added this one; the peer did not send it. Dropping it closes it.
    drop(take(&message, SCM_PIDFD));
    if message.msg_flags & libc::MSG_CTRUNC != 0 {
        return Err(truncated(came.len()));
    }
    fds.extend(came);
    Ok(len)
}

fn truncated(came: usize) -> io::Error {
    let message =
        format!("received descriptors are lost: this process had room for only {came} of them");
    io::Error::other(message)
}

/// Puts descriptors, at most [`MOST_DESCRIPTORS`], into the control data of a message.
fn put(message: &mut libc::msghdr, room: &mut Room, fds: &[BorrowedFd<'_>]) {
    let bytes = size_of_val(fds) as libc::c_uint;
    message.msg_control = room.as_mut_ptr().cast();
    // SAFETY: the macro only computes a length.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(bytes) } as _;
    // SAFETY: the macro computes the address of the first header from the two fields above.
    let header = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: the room is aligned for a header and longer than one, and any bits are a valid header.
    let header = unsafe { &mut *header };
    header.cmsg_level = libc::SOL_SOCKET;
    header.cmsg_type = libc::SCM_RIGHTS;
    // SAFETY: the macro only computes a length.
    header.cmsg_len = unsafe { libc::CMSG_LEN(bytes) } as _;
    // SAFETY: the room goes on for `CMSG_SPACE` bytes, so the data that follows the header is in it.
    let mut next = unsafe { libc::CMSG_DATA(header) }.cast::<RawFd>();
    for fd in fds {
        // SAFETY: `CMSG_SPACE` has room for as many numbers as there are descriptors.
        unsafe { next.write_unaligned(fd.as_raw_fd()) };
        // SAFETY: at most to the end of them.
        next = unsafe { next.add(1) };
    }
}

/// Takes ownership of the descriptors in the control messages of type `kind` of a message that was just
/// received. Call it at most once for each type: a second call would create a second owner.
fn take(message: &libc::msghdr, kind: libc::c_int) -> Vec<OwnedFd> {
    let mut fds = Vec::new();
    // SAFETY: the kernel has said in `message` how much control data there is.
    let mut at = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !at.is_null() {
        // SAFETY: not null, it is a header within that data, aligned as the kernel aligns them.
        let header = unsafe { at.read() };
        if (header.cmsg_level, header.cmsg_type) == (libc::SOL_SOCKET, kind) {
            take_each(at, &header, &mut fds);
        }
        // SAFETY: the header is one of this message's.
        at = unsafe { libc::CMSG_NXTHDR(message, at) };
    }
    fds
}

fn take_each(at: *const libc::cmsghdr, header: &libc::cmsghdr, fds: &mut Vec<OwnedFd>) {
    // SAFETY: the macro only computes a length.
    let before = unsafe { libc::CMSG_LEN(0) } as usize;
    let len: usize = header.cmsg_len as _;
    let count = (len - before) / size_of::<RawFd>();
    // SAFETY: the header has data, and `cmsg_len` counts it.
    let mut next = unsafe { libc::CMSG_DATA(at) }.cast::<RawFd>();
    for _ in 0..count {
        // SAFETY: there are `count` numbers there.
        let number = unsafe { next.read_unaligned() };
        // If the kernel could not create a descriptor of a process, it stores a negative errno instead.
        if number >= 0 {
            fds.push(owned(number));
        }
        // SAFETY: at most to the end of them.
        next = unsafe { next.add(1) };
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, PipeWriter, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use super::*;
    use crate::sys::options::set_option;

    /// The number of words for one descriptor and its header. As it is rounded up, more descriptors may
    /// fit.
    const ROOM: usize = 3;
    /// The number of descriptors that fit. The header is shorter on 32 bits.
    const FIT: usize = if cfg!(target_pointer_width = "64") { 2 } else { 3 };

    fn pipe_and_stream() -> (PipeReader, PipeWriter, UnixStream, UnixStream) {
        let (reader, writer) = std::io::pipe().unwrap();
        let (near, far) = UnixStream::pair().unwrap();
        (reader, writer, near, far)
    }

    #[test]
    fn more_descriptors_than_fit_are_an_error_and_do_not_leak() {
        let (reader, mut writer, near, far) = pipe_and_stream();
        send_with_fds(near.as_fd(), b"more", &[reader.as_fd(); FIT + 1]).unwrap();
        drop(reader);
        writer.write_all(b"the ends on their way are open").unwrap();
        let mut fds = Vec::new();
        let mut buffer = [0; 16];
        let error = recv_within(far.as_fd(), &mut buffer, &mut fds, &mut [0; ROOM]);
        assert!(error.unwrap_err().to_string().contains(&format!("room for only {FIT} of")));
        assert!(fds.is_empty());
        let error = writer.write_all(b"now all are closed").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(&buffer[..4], b"more");
    }

    #[test]
    fn descriptors_that_just_fit_are_received() {
        let (reader, _writer, near, far) = pipe_and_stream();
        send_with_fds(near.as_fd(), b"all", &[reader.as_fd(); FIT]).unwrap();
        let mut fds = Vec::new();
        let mut room = [0; ROOM];
        assert_eq!(recv_within(far.as_fd(), &mut [0; 16], &mut fds, &mut room).unwrap(), 3);
        assert_eq!(fds.len(), FIT);
    }

    #[test]
    fn as_many_as_there_can_be_travel_at_once() {
        let (reader, _writer, near, far) = pipe_and_stream();
        let all = vec![reader.as_fd(); MOST_DESCRIPTORS + 1];
        let error = send_with_fds(near.as_fd(), b"more", &all).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        send_with_fds(near.as_fd(), b"all", &all[1..]).unwrap();
        let mut fds = Vec::new();
        assert_eq!(recv_with_fds(far.as_fd(), &mut [0; 16], &mut fds).unwrap(), 3);
        assert_eq!(fds.len(), MOST_DESCRIPTORS);
    }

    /// A datagram may carry descriptors without bytes, or no descriptors.
    #[test]
    fn a_datagram_carries_them_too() {
        let (near, far) = UnixDatagram::pair().unwrap();
        let (reader, mut writer) = std::io::pipe().unwrap();
        send_with_fds(near.as_fd(), b"", &[writer.as_fd()]).unwrap();
        send_with_fds(near.as_fd(), b"none", &[]).unwrap();
        let mut fds = Vec::new();
        let mut buffer = [0; 16];
        assert_eq!(recv_with_fds(far.as_fd(), &mut buffer, &mut fds).unwrap(), 0);
        assert_eq!(fds.len(), 1);
        assert_eq!(recv_with_fds(far.as_fd(), &mut buffer, &mut fds).unwrap(), 4);
        assert_eq!(fds.len(), 1, "appended to, not replaced");
        drop(reader);
        writer.write_all(b"it is a pipe").unwrap_err();
    }

    /// If only one descriptor fits, it is the one that the kernel adds.
    #[test]
    fn a_descriptor_that_the_kernel_adds_is_closed_where_the_others_are_lost() {
        let (reader, _writer, near, far) = pipe_and_stream();
        let on: libc::c_int = 1;
        const SO_PASSPIDFD: libc::c_int = 76;
        if set_option(far.as_fd(), libc::SOL_SOCKET, SO_PASSPIDFD, &on).is_err() {
            println!("not run: this kernel has no SO_PASSPIDFD");
            return;
        }
        for _ in 0..20 {
            send_with_fds(near.as_fd(), b"two", &[reader.as_fd(); 2]).unwrap();
            let mut fds = Vec::new();
            let mut room = [0; ROOM];
            recv_within(far.as_fd(), &mut [0; 16], &mut fds, &mut room).unwrap_err();
            assert!(fds.is_empty());
        }
        let links = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let links = links.filter_map(|entry| std::fs::read_link(entry.path()).ok());
        assert_eq!(links.filter(|link| link.to_string_lossy().contains("pidfd")).count(), 0);
    }

    /// The errno that the kernel stores instead of a descriptor of a process must not be closed.
    #[test]
    fn an_errno_in_the_place_of_a_descriptor_is_passed_over() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let mut room: Room = [0; 256];
        let mut message = message(std::ptr::null_mut(), 0);
        put(&mut message, &mut room, &[reader.as_fd()]);
        // SAFETY: the macro computes the address of the header that was just written.
        let header = unsafe { libc::CMSG_FIRSTHDR(&message) };
        // SAFETY: the macro computes the address of that header's data.
        let data = unsafe { libc::CMSG_DATA(header) };
        // SAFETY: there is room for the number that was put there.
        unsafe { data.cast::<RawFd>().write_unaligned(-libc::ESRCH) };
        assert!(take(&message, libc::SCM_RIGHTS).is_empty());
    }
}
