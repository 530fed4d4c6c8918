//! The options of a listener.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpStream as StdTcpStream};
use std::pin::pin;
use std::time::Duration;

use futures::executor::block_on;
use netpoll::{Checked, Direction, Reactor};
use netpoll_futures::{ListenConfig, TcpListener, TcpStream};
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::tcp::join;
use netpoll_tests::fixtures::{
    LOOPBACK, assert_closed, assert_kind, assert_timed_out, os, poll_once, run,
};
use socket2::SockRef;

#[test]
fn a_port_is_shared_by_listeners_that_all_say_so() {
    run(|| async {
        let config = ListenConfig::new().reuse_port(true);
        let first = config.bind(LOOPBACK).await?;
        let address = first.local_addr()?;
        let second = config.bind(address).await?;
        assert_kind(ListenConfig::new().bind(address).await, ErrorKind::AddrInUse);
        drop((first, second));
        let lone = ListenConfig::new().reuse_address(false).bind(LOOPBACK).await?;
        assert!(!SockRef::from(&lone).reuse_address()? && !SockRef::from(&lone).reuse_port()?);
        let usual = ListenConfig::default().bind(LOOPBACK).await?;
        assert!(SockRef::from(&usual).reuse_address()?);
        Ok(())
    });
}

/// With a queue of length zero, the kernel keeps one connection and drops further clients.
#[test]
fn the_queue_is_as_long_as_the_backlog() {
    run(|| async {
        let listener = ListenConfig::new().backlog(0).bind(LOOPBACK).await?;
        let address = listener.local_addr()?;
        let _first = TcpStream::connect(address).await?;
        listener.readable().await?;
        assert_timed_out(TcpStream::connect_timeout(address, Duration::from_millis(50)).await);
        Ok(())
    });
}

#[test]
fn a_listener_for_ipv6_alone_takes_no_ipv4() {
    run(|| async {
        for (only_v6, takes_v4) in [(true, false), (false, true)] {
            let config = ListenConfig::new().only_v6(only_v6);
            // Not every machine has the newer family.
            let Ok(listener) = config.bind("[::]:0").await else { return Ok(()) };
            assert_eq!(SockRef::from(&listener).only_v6()?, only_v6);
            let port = listener.local_addr()?.port();
            let connected = StdTcpStream::connect((Ipv4Addr::LOCALHOST, port));
            assert_eq!(connected.is_ok(), takes_v4, "{connected:?}");
        }
        Ok(())
    });
}

#[test]
fn an_exclusive_listener_accepts_and_closes() {
    run(|| async {
        let listener = ListenConfig::new().exclusive(true).bind(LOOPBACK).await?;
        for _ in 0..3 {
            join(&listener).await?;
        }
        let mut accept = pin!(listener.accept());
        assert!(poll_once(accept.as_mut()).is_pending());
        listener.close().await?;
        assert_closed(accept.await);
        Ok(())
    });
}

/// Where `poll(2)` fails, a registration renews its interest, which the kernel refuses to change in an exclusive
/// one.
#[test]
fn an_exclusive_listener_is_registered_anew_where_poll_fails() {
    alone("listen_config::an_exclusive_listener_is_registered_anew_where_poll_fails", || {
        block_on(async {
            let reactor = Reactor::global()?;
            let inherited = std::net::TcpListener::bind(LOOPBACK)?;
            let listener = TcpListener::register_exclusive_on(reactor, inherited)?;
            let client = StdTcpStream::connect(listener.local_addr()?)?;
            listener.readable().await?;
            let limit = os::limit_descriptors(0);
            let checked = listener.registration().ready(Checked(Direction::Read)).await;
            os::limit_descriptors(limit);
            checked?;
            let (_, peer) = listener.accept().await?;
            assert_eq!(peer, client.local_addr()?);
            let mut next = pin!(listener.accept());
            assert!(poll_once(next.as_mut()).is_pending());
            let client = StdTcpStream::connect(listener.local_addr()?)?;
            assert_eq!(next.await?.1, client.local_addr()?);
            std::io::Result::Ok(())
        })
        .expect("no error");
    });
}
