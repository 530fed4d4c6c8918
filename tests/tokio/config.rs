//! The dialer and the configuration of listeners.

use netpoll_tests::fixtures::tcp::refusing;
use netpoll_tests::fixtures::{LOOPBACK, assert_timed_out};
use netpoll_tokio::net::{Dialer, ListenConfig};
use netpoll_tokio::{DialError, KeepAlive, raw_os_error};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fixtures::everywhere;

#[test]
fn a_dialer_connects_to_the_address_that_answers() {
    everywhere(|| async {
        let listener = ListenConfig::new().backlog(16).bind(LOOPBACK).await?;
        let probes = KeepAlive { count: Some(3), ..KeepAlive::default() };
        let dialer = Dialer::new().keepalive(probes).deadline(Duration::from_secs(60));
        let mut client = dialer.connect([refusing(20)?, listener.local_addr()?]).await?;
        let (mut server, _) = listener.accept().await?;
        client.write_all(b"hello").await?;
        let mut received = [0; 5];
        server.read_exact(&mut received).await?;
        assert_eq!(&received, b"hello");
        assert_eq!(client.get_ref().keepalive()?, Some(probes));
        Ok(())
    });
}

#[test]
fn a_dialer_lists_the_addresses_that_do_not_answer() {
    everywhere(|| async {
        let addresses = [refusing(21)?, refusing(22)?];
        let error = Dialer::new().connect(addresses).await.expect_err("no socket listens");
        assert_eq!(raw_os_error(&error), Some(libc::ECONNREFUSED));
        let dial = error.get_ref().and_then(|payload| payload.downcast_ref::<DialError>());
        let failed = dial.expect("a list").failed().map(|(address, _)| address);
        assert!(failed.eq(addresses), "{error}");
        assert_timed_out(Dialer::new().deadline(Duration::ZERO).connect(addresses).await);
        Ok(())
    });
}
