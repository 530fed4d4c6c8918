//! The bytes of a connection and of its futures.
//!
//! A slot has 80 (`slot/mod.rs` asserts it).

use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use netpoll::{Direction, Reactor, Registration, Timer};

#[test]
fn a_registration_has_40_bytes() {
    assert_eq!(size_of::<Registration<TcpStream>>(), 40);
    assert_eq!(size_of::<netpoll_futures::TcpStream>(), 8);
    assert_eq!(size_of::<Reactor>(), 8);
}

#[test]
fn a_timer_has_24_bytes() {
    assert_eq!(size_of::<Timer>(), 24);
}

#[test]
fn futures_keep_nothing_twice() {
    let (stream, _peer) = UnixStream::pair().expect("a socket pair");
    let stream = netpoll_futures::UnixStream::try_from(stream).expect("a registration");
    let mut buffer = [0; 64];
    assert_eq!(size_of_val(&stream.registration().readiness_wait(Direction::Read)), 16);
    assert_eq!(size_of_val(&stream.read(&mut buffer)), 32);
    assert_eq!(size_of_val(&stream.write(&buffer)), 32);
    assert_eq!(size_of_val(&stream.write_all(&buffer)), 40);
}
