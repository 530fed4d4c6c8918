//! Links that are cut, and peers that go without a word.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener as StdTcpListener, TcpStream as StdTcpStream, UdpSocket};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use netpoll_futures::{TcpStream, UdpSocket as Udp, is_deadline_exceeded, raw_os_error};
use netpoll_tests::fixtures::os;

use crate::fixtures::{FAR, Stage};

const MS: Duration = Duration::from_millis(1);

/// Late, on a machine that is busy with other things.
pub(crate) const LATE: Duration = Duration::from_secs(10);

pub(crate) fn far_listener(stage: &Stage) -> StdTcpListener {
    stage.far.run(|| StdTcpListener::bind((FAR, 0)).expect("a port"))
}

/// A connection over the link, both ends of which have been used.
pub(crate) fn connection(stage: &Stage) -> (TcpStream, StdTcpStream) {
    let listener = far_listener(stage);
    let address = listener.local_addr().expect("an address");
    let near = block_on(TcpStream::connect(address)).expect("a connection");
    let (mut far, _) = listener.accept().expect("the other end");
    far.set_nodelay(true).expect("an option");
    block_on(near.write_all(b"hello")).expect("room");
    far.read_exact(&mut [0; 5]).expect("the bytes that were sent");
    far.write_all(b"hello").expect("room");
    assert_eq!(read(&near), b"hello");
    (near, far)
}

/// Reads once.
fn read(near: &TcpStream) -> Vec<u8> {
    let mut buffer = [0; 64];
    let len = block_on(near.read(&mut buffer)).expect("bytes");
    buffer[..len].to_vec()
}

/// Reads until a deadline that is so far away, and sees that it is in time.
#[track_caller]
fn assert_nothing_for(near: &TcpStream, wait: Duration) {
    let deadline = Instant::now() + wait;
    near.set_read_deadline(Some(deadline)).expect("open");
    let error = block_on(near.read(&mut [0; 64])).expect_err("nothing comes");
    let now = Instant::now();
    assert!(is_deadline_exceeded(&error), "{error}");
    assert!(now >= deadline, "early by {:?}", deadline - now);
    assert!(now < deadline + LATE, "late by {:?}", now - deadline);
    near.set_read_deadline(None).expect("open");
}

/// Bytes that were sent meanwhile, by either side, arrive when the link is there again.
pub(crate) fn a_partition_heals(stage: &Stage) {
    let (near, mut far) = connection(stage);
    stage.weather.cut(true);
    far.write_all(b"under way").expect("room in the buffer");
    block_on(near.write_all(b"from here")).expect("room in the buffer");
    for _ in 0..3 {
        assert_nothing_for(&near, 100 * MS);
    }
    stage.weather.cut(false);
    assert_eq!(read(&near), b"under way");
    let mut received = [0; 9];
    far.read_exact(&mut received).expect("the bytes that were sent");
    assert_eq!(&received, b"from here");
    assert_nothing_for(&near, 20 * MS);
    drop(far);
    assert_eq!(read(&near), b"", "and its end is seen");
}

/// The peer is gone while the link is cut, so that nothing tells of it. A read has its deadline; a write
/// finds it out, by the reset that answers it.
pub(crate) fn a_half_open_peer_is_found_out(stage: &Stage) {
    let (near, far) = connection(stage);
    stage.weather.cut(true);
    os::reset_on_close(&far);
    let lost = stage.weather.lost.load(Ordering::SeqCst);
    drop(far);
    // The reset is lost before the link is there again.
    while stage.weather.lost.load(Ordering::SeqCst) == lost {
        std::thread::yield_now();
    }
    stage.weather.cut(false);
    assert_nothing_for(&near, 100 * MS);
    block_on(near.write_all(b"hello?")).expect("room in the buffer");
    let error = block_on(near.read(&mut [0; 64])).expect_err("a reset");
    assert_eq!(raw_os_error(&error), Some(libc::ECONNRESET), "{error}");
}

pub(crate) fn a_reset_ends_waiting_operations(stage: &Stage) {
    let (near, far) = connection(stage);
    let reader = {
        let near = near.clone();
        std::thread::spawn(move || block_on(near.read(&mut [0; 64])))
    };
    os::reset_on_close(&far);
    drop(far);
    let error = reader.join().expect("no panic").expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    let error = block_on(near.write(b"hello?")).expect_err("no peer reads it");
    assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
}

pub(crate) fn a_host_that_cannot_be_reached(stage: &Stage) {
    let listener = far_listener(stage);
    let address = listener.local_addr().expect("an address");
    stage.weather.unreachable(true);
    let error = block_on(TcpStream::connect(address)).expect_err("no way there");
    assert_eq!(raw_os_error(&error), Some(libc::EHOSTUNREACH), "{error}");

    let socket = block_on(Udp::bind("0.0.0.0:0")).expect("a port");
    block_on(socket.connect(address)).expect("UDP asks no peer");
    // The kernel tells a connected UDP socket of a host that cannot be reached only where it is asked to.
    block_on(socket.send(b"anything")).expect("room");
    stage.weather.unreachable(false);
    block_on(socket.send(b"anything")).expect("room");
    let error = block_on(socket.recv(&mut [0; 8])).expect_err("there is no such port");
    assert_eq!(raw_os_error(&error), Some(libc::ECONNREFUSED), "{error}");
    let near = block_on(TcpStream::connect(address)).expect("there is a way again");
    drop((near, listener.accept().expect("the other end")));
}

/// A router that says that the host cannot be reached ends no connection: it may be there again.
pub(crate) fn a_connection_outlives_icmp(stage: &Stage) {
    let (near, mut far) = connection(stage);
    stage.weather.unreachable(true);
    block_on(near.write_all(b"from here")).expect("room in the buffer");
    assert_nothing_for(&near, 100 * MS);
    stage.weather.unreachable(false);
    let mut received = [0; 9];
    far.read_exact(&mut received).expect("the bytes that were sent");
    assert_eq!(&received, b"from here");
    far.shutdown(Shutdown::Write).expect("connected");
    assert_eq!(read(&near), b"");
}

pub(crate) fn a_connect_into_a_partition_ends_in_time(stage: &Stage) {
    let listener = far_listener(stage);
    let address = listener.local_addr().expect("an address");
    stage.weather.cut(true);
    let (began, limit) = (Instant::now(), 100 * MS);
    let error = block_on(TcpStream::connect_timeout(address, limit)).expect_err("no way there");
    assert!(is_deadline_exceeded(&error), "{error}");
    assert!(began.elapsed() >= limit && began.elapsed() < LATE, "{:?}", began.elapsed());
    stage.weather.cut(false);
    let near = block_on(TcpStream::connect(address)).expect("there is a way again");
    drop((near, listener.accept().expect("the other end")));
    // Nothing of the other end was left behind.
    drop(UdpSocket::bind(("0.0.0.0", 0)).expect("a port"));
}

/// Lets the calling thread's namespace use TCP Fast Open, as a client and as a server.
pub(crate) fn allow_fast_open() {
    std::fs::write("/proc/sys/net/ipv4/tcp_fastopen", "3").expect("the sysctl of this namespace");
}

/// A connect that has a cookie of its peer returns before there is a peer, here while the link is cut. The first
/// write makes the connection, and nothing waits for an event that does not come.
pub(crate) fn a_connect_by_a_cookie_needs_no_peer(stage: &Stage) {
    let listener = far_listener(stage);
    os::accept_with_the_first_bytes(&listener).expect("an option");
    stage.far.run(allow_fast_open);
    allow_fast_open();
    let address = listener.local_addr().expect("an address");
    for round in 0..3 {
        let has_cookie = round > 0;
        stage.weather.cut(has_cookie);
        let socket = netpoll_futures::sys::stream(&address).expect("a socket");
        os::connect_with_the_first_write_by_cookie(&socket).expect("an option");
        let near = block_on(TcpStream::connect_with(socket, address)).expect("no peer is needed");
        stage.weather.cut(false);
        block_on(near.write_all(b"hello")).expect("room");
        let (mut far, _) = listener.accept().expect("the other end");
        far.read_exact(&mut [0; 5]).expect("the bytes that were sent");
        far.write_all(b"hello").expect("room");
        assert_eq!(read(&near), b"hello", "round {round}");
        block_on(near.close()).expect("open");
    }
}
