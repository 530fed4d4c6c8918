//! Several addresses, or none, as in async-net.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};

use netpoll_smol as smol;
use netpoll_tests::watched;
use smol::net::{TcpListener, TcpStream, UdpSocket, resolve};

#[test]
fn the_error_is_that_of_the_last_address() {
    watched(|| {
        let of_error = |error: io::Error| error.raw_os_error();
        smol::block_on(async {
            let refusing = (Ipv4Addr::new(127, 66, 2, 1), 0);
            let refusing = std::net::TcpListener::bind(refusing)?.local_addr()?;
            let unreachable = SocketAddr::from((Ipv4Addr::BROADCAST, 1));
            for pair in [[refusing, unreachable], [unreachable, refusing]] {
                let error = TcpStream::connect(&pair[..]).await.expect_err("neither works");
                let last = std::net::TcpStream::connect(pair[1]).expect_err("nor for std");
                assert_eq!(of_error(error), of_error(last));
            }
            let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
            let taken = listener.local_addr()?;
            let nowhere = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 0));
            for pair in [[taken, nowhere], [nowhere, taken]] {
                let error = TcpListener::bind(&pair[..]).await.expect_err("neither works");
                let last = std::net::TcpListener::bind(pair[1]).expect_err("nor for std");
                assert_eq!(of_error(error), of_error(last));
            }
            let bound = std::net::UdpSocket::bind("127.0.0.1:0")?;
            let taken = bound.local_addr()?;
            for pair in [[taken, nowhere], [nowhere, taken]] {
                let error = UdpSocket::bind(&pair[..]).await.expect_err("neither works");
                let last = std::net::UdpSocket::bind(pair[1]).expect_err("nor for std");
                assert_eq!(of_error(error), of_error(last));
            }
            io::Result::Ok(())
        })
        .expect("no error but those that the test expects");
    });
}

#[test]
fn no_address_resolves_to_none_and_cannot_be_connected_to() {
    watched(|| {
        smol::block_on(async {
            let none: &[SocketAddr] = &[];
            assert_eq!(resolve(none).await?, []);
            let error = TcpStream::connect(none).await.expect_err("no address");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            io::Result::Ok(())
        })
        .expect("no error but those that the test expects");
    });
}
