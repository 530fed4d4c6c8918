//! A flood of peers that begin to connect, and never answer.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use futures::FutureExt;
use netpoll_futures::{TcpListener, TcpStream};
use netpoll_tests::fixtures::{LOOPBACK, os, run};

/// More than there is room for, of connections that have begun and not ended.
const BEGUN: usize = 500;

/// Clients that talk, meanwhile.
const HONEST: usize = 200;

fn has_cookies() -> bool {
    fs::read_to_string("/proc/sys/net/ipv4/tcp_syncookies").is_ok_and(|told| told.trim() != "0")
}

/// None of them is accepted, or wakes a task; a client that answers is accepted, by the kernel's cookies where the room
/// is taken, and talks as always.
#[test]
fn of_connections_that_are_never_completed() {
    run(|| async {
        if !has_cookies() {
            println!("not shown: this kernel has no cookies, and turns every client away");
            return Ok(());
        }
        let listener = TcpListener::bind(LOOPBACK).await?;
        os::listen(listener.registration().get_ref(), 32)?;
        let address = listener.local_addr()?;
        let mut silent = Vec::new();
        for _ in 0..BEGUN {
            let socket = netpoll_futures::sys::stream(&address)?;
            os::deafen(&socket);
            let mut connect = Box::pin(TcpStream::connect_with(socket, address));
            assert!(connect.as_mut().now_or_never().is_none(), "no server answers");
            silent.push(connect);
        }
        let began = Instant::now();
        for _ in 0..HONEST {
            exchange(&listener, address).await?;
        }
        println!("{HONEST} exchanges beside {BEGUN} took {:?}", began.elapsed());
        listener.set_deadline(Some(Instant::now() + Duration::from_millis(20)))?;
        assert!(listener.accept().await.is_err(), "there is no other client");
        assert!(silent.iter_mut().all(|connect| connect.as_mut().now_or_never().is_none()));
        Ok(())
    });
}

async fn exchange(listener: &TcpListener, address: std::net::SocketAddr) -> io::Result<()> {
    let (connected, accepted) = futures::join!(TcpStream::connect(address), listener.accept());
    let (near, (far, peer)) = (connected?, accepted?);
    assert_eq!(peer, near.local_addr()?);
    near.write_all(b"hello").await?;
    assert_eq!(far.read(&mut [0; 8]).await?, 5);
    Ok(())
}
