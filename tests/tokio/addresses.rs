//! Several addresses, or none.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};

use netpoll_tests::fixtures::LOOPBACK;
use netpoll_tokio::net::{TcpListener, TcpStream, UdpSocket, lookup_host};

use crate::fixtures::everywhere;

/// A port that is bound, but on which no socket listens, and an address of no interface.
fn two_that_fail() -> io::Result<(std::net::UdpSocket, [SocketAddr; 2], [SocketAddr; 2])> {
    let refusing = std::net::TcpListener::bind((Ipv4Addr::new(127, 66, 1, 1), 0))?.local_addr()?;
    let taken = std::net::UdpSocket::bind(LOOPBACK)?;
    let nowhere = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 0));
    // Not from the loopback interface.
    let unreachable = SocketAddr::from((Ipv4Addr::BROADCAST, 1));
    let bound = taken.local_addr()?;
    Ok((taken, [refusing, unreachable], [nowhere, bound]))
}

#[track_caller]
fn assert_code<T: std::fmt::Debug>(result: io::Result<T>, expected: io::Result<()>) {
    let error = result.expect_err("none of them works");
    let expected = expected.expect_err("it does not work for the peer either");
    assert_eq!(error.raw_os_error(), expected.raw_os_error(), "{error:?}, not {expected:?}");
}

#[test]
fn the_error_is_that_of_the_last_address() {
    everywhere(|| async {
        let (_taken, [refusing, unreachable], [nowhere, bound]) = two_that_fail()?;
        for mut pair in [[refusing, unreachable], [unreachable, refusing]] {
            let last = std::net::TcpStream::connect(pair[1]).map(drop);
            assert_code(TcpStream::connect(&pair[..]).await, last);
            pair.reverse();
        }
        for pair in [[nowhere, bound], [bound, nowhere]] {
            let last = std::net::UdpSocket::bind(pair[1]).map(drop);
            assert_code(UdpSocket::bind(&pair[..]).await, last);
        }
        let listener = std::net::TcpListener::bind(LOOPBACK)?;
        let listening = listener.local_addr()?;
        for pair in [[nowhere, listening], [listening, nowhere]] {
            let last = std::net::TcpListener::bind(pair[1]).map(drop);
            assert_code(TcpListener::bind(&pair[..]).await, last);
        }
        Ok(())
    });
}

#[test]
fn no_address_is_none_to_look_up_and_an_error_to_connect_to() {
    everywhere(|| async {
        let none: &[SocketAddr] = &[];
        assert_eq!(lookup_host(none).await?.count(), 0);
        let errors = [
            TcpStream::connect(none).await.map(drop),
            TcpListener::bind(none).await.map(drop),
            UdpSocket::bind(none).await.map(drop),
            UdpSocket::bind(LOOPBACK).await?.connect(none).await,
        ];
        for error in errors {
            assert_eq!(error.expect_err("no address").kind(), ErrorKind::InvalidInput);
        }
        Ok(())
    });
}
