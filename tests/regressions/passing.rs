//! Descriptors that come where there is no room for them.

use std::fs::File;
use std::io::{ErrorKind, Write, pipe};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;

use netpoll_futures::sys::{recv_with_fds, send_with_fds};
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::os::{limit_descriptors, open_descriptors};

/// The kernel passes on the bytes that fit and drops the rest, with a mark that is easily missed: part of a
/// message is then taken for the whole. Here it is an error, and the descriptors that had fitted are closed again.
#[test]
fn a_message_that_does_not_fit() {
    alone("passing::a_message_that_does_not_fit", no_room_for_all);
}

fn no_room_for_all() {
    let (near, far) = UnixStream::pair().expect("a pair");
    let (reader, mut writer) = pipe().expect("a pipe");
    send_with_fds(near.as_fd(), b"three", &[reader.as_fd(); 3]).expect("they are on their way");
    drop(reader);
    let before = open_descriptors();
    let next = File::open("/dev/null").expect("a descriptor").as_raw_fd();
    // Room for one where the file was, and for none above.
    let limit = limit_descriptors(libc::rlim_t::try_from(next).expect("a number") + 1);

    let mut fds = Vec::new();
    let error = recv_with_fds(far.as_fd(), &mut [0; 16], &mut fds).expect_err("no room");
    assert!(error.to_string().contains("room for only 1 of"), "{error}");
    assert!(fds.is_empty());

    limit_descriptors(limit);
    assert_eq!(open_descriptors(), before);
    let error = writer.write_all(b"is the other end open?").expect_err("it is closed");
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    send_with_fds(near.as_fd(), b"more", &[writer.as_fd()]).expect("it goes on");
    assert_eq!(recv_with_fds(far.as_fd(), &mut [0; 16], &mut fds).expect("bytes"), 4);
    assert_eq!(fds.len(), 1);
}
