//! The promises beyond async-io's, in seconds: deadlines, close, and the rows of the table of differences. Those that async-io
//! makes as well are in `peer.rs`.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use async_io::{Async, Timer, block_on, is_closed, is_deadline_exceeded};
use futures_lite::future::{self, poll_once};
use futures_lite::{AsyncReadExt, AsyncWriteExt, FutureExt};

/// Fills the sending side until it blocks.
fn fill(mut socket: &UnixStream) {
    let full = loop {
        if let Err(error) = socket.write(&[0; 4096]) {
            break error;
        }
    };
    assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn deadlines() -> io::Result<()> {
    block_on(async {
        let (mut near, mut far) = Async::<UnixStream>::pair()?;
        let soon = Instant::now() + Duration::from_millis(5);
        near.set_read_deadline(soon)?;
        let late = near.read(&mut [0]).await.expect_err("no byte arrives");
        assert!(is_deadline_exceeded(&late) && Instant::now() >= soon);
        assert!(is_deadline_exceeded(&near.readable().await.expect_err("it has passed")));
        assert_eq!(near.write(b"x").await?, 1, "writing has a deadline of its own");
        near.set_read_deadline(None)?;
        far.write_all(b"x").await?;
        assert_eq!(near.read(&mut [0]).await?, 1);

        fill(near.get_ref());
        near.set_write_deadline(Duration::from_millis(5))?;
        let late = near.write_all(b"x").await.expect_err("no room");
        assert!(is_deadline_exceeded(&late));
        near.set_deadline(Instant::now())?;
        assert!(is_deadline_exceeded(&near.read(&mut [0]).await.expect_err("it has passed")));
        Ok(())
    })
}

#[test]
fn close_fails_pending_operations() -> io::Result<()> {
    block_on(async {
        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
        let address = listener.get_ref().local_addr()?;
        let (accepted, closed) = future::zip(listener.accept(), Async::close(&listener)).await;
        closed?;
        assert!(is_closed(&accepted.expect_err("it is closed")));
        assert!(is_closed(&Async::close(&listener).await.expect_err("it is closed")));
        Async::<TcpListener>::bind(address)?;
        Ok(())
    })
}

#[test]
fn a_connection_sends_no_keep_alive_probes() -> io::Result<()> {
    block_on(async {
        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
        let client = Async::<TcpStream>::connect(listener.get_ref().local_addr()?).await?;
        let (server, _) = listener.accept().await?;
        for stream in [client, server] {
            assert_eq!(netpoll_futures::sys::keepalive(stream.as_fd())?, None);
        }
        Ok(())
    })
}

#[test]
fn a_wait_for_readiness_is_ready_at_its_first_poll() -> io::Result<()> {
    block_on(async {
        let (near, mut far) = Async::<UnixStream>::pair()?;
        far.write_all(b"x").await?;
        near.readable().await?;
        assert!(poll_once(near.readable()).await.is_some(), "the byte is there");
        assert!(poll_once(near.writable()).await.is_some(), "there is room");
        Ok(())
    })
}

#[test]
fn a_timer_without_a_time_that_is_set_wakes_its_task() {
    let timer = Arc::new(Mutex::new(Timer::never()));
    let mut setter = None;
    let fired = block_on(future::poll_fn(|cx| {
        let polled = timer.lock().expect("no panic under the lock").poll(cx);
        if setter.is_none() {
            assert!(polled.is_pending());
            let timer = timer.clone();
            setter = Some(thread::spawn(move || {
                let now = Instant::now();
                timer.lock().expect("no panic under the lock").set_at(now);
                now
            }));
        }
        polled
    }));
    assert_eq!(fired, setter.expect("it was started").join().expect("no panic"));
}
