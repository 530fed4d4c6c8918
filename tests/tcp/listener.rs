//! Listening and accepting.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::{self, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::executor::{LocalPool, ThreadPool, block_on};
use futures::future::{join, join_all};
use futures::task::SpawnExt;
use netpoll_futures::{OpError, TcpListener, TcpStream, is_closed, raw_os_error};
use netpoll_tests::fixtures::tcp::read_exactly;
use netpoll_tests::fixtures::{
    LOOPBACK, assert_closed, assert_kind, assert_timed_out, in_an_hour, in_ms, os, past, poll_once,
    run, wait_for_wakes, yield_now,
};
use netpoll_tests::{CountingWaker, watched};

/// A listener and its address.
async fn listener() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(LOOPBACK).await?;
    let address = listener.local_addr()?;
    assert_ne!(address.port(), 0);
    Ok((listener, address))
}

#[test]
fn accept_waits_for_a_connection() {
    run(|| async {
        let (listener, address) = listener().await?;
        let waker = CountingWaker::new();
        let mut accept = pin!(listener.accept());
        assert!(waker.poll(accept.as_mut()).is_pending());
        let client = TcpStream::connect(address).await?;
        wait_for_wakes(&waker, 1);
        let (server, peer) = accept.await?;
        assert_eq!((peer, server.local_addr()?), (client.local_addr()?, address));
        server.write_all(b"hello").await?;
        assert_eq!(read_exactly(&client, 5).await?, b"hello");
        Ok(())
    });
}

#[test]
fn poll_accept_waits_for_a_connection() {
    run(|| async {
        let (listener, address) = listener().await?;
        let waker = CountingWaker::new();
        let task = Waker::from(waker.clone());
        assert!(listener.poll_accept(&mut Context::from_waker(&task)).is_pending());
        let client = TcpStream::connect(address).await?;
        let (_, peer) = poll_fn(|cx| listener.poll_accept(cx)).await?;
        assert_eq!(peer, client.local_addr()?);
        wait_for_wakes(&waker, 1);
        Ok(())
    });
}

#[test]
fn try_accept_blocks_until_there_is_a_connection() {
    run(|| async {
        let (listener, address) = listener().await?;
        assert_kind(listener.try_accept(), ErrorKind::WouldBlock);
        let client = TcpStream::connect(address).await?;
        let (_, peer) = loop {
            match listener.try_accept() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => yield_now().await,
                accepted => break accepted?,
            }
        };
        assert_eq!(peer, client.local_addr()?);
        assert_kind(listener.try_accept(), ErrorKind::WouldBlock);
        Ok(())
    });
}

/// They may all be one event.
#[test]
fn a_burst_is_accepted_whole() {
    run(|| async {
        let (listener, address) = listener().await?;
        for burst in [1, 2, 100] {
            let clients: Vec<_> = (0..burst).map(|_| net::TcpStream::connect(address)).collect();
            for client in clients {
                assert_eq!(listener.accept().await?.1, client?.local_addr()?, "the first first");
            }
        }
        Ok(())
    });
}

#[test]
fn incoming_is_a_stream_that_ends_with_an_error() {
    run(|| async {
        let (listener, address) = listener().await?;
        let clients: Vec<_> = (0..5).map(|_| net::TcpStream::connect(address)).collect();
        let mut incoming = listener.incoming();
        for client in clients {
            let server = incoming.next().await.expect("it has no end")?;
            assert_eq!(server.peer_addr()?, client?.local_addr()?);
        }
        let mut next = incoming.next();
        assert!(poll_once(pin!(&mut next)).is_pending());
        listener.close().await?;
        assert_closed(next.await.expect("it has no end"));
        Ok(())
    });
}

#[test]
fn fifty_tasks_that_accept_get_a_connection_each() {
    watched(|| {
        let pool = ThreadPool::builder().pool_size(4).create().unwrap();
        let (listener, address) = block_on(listener()).unwrap();
        let accept = |_| {
            let listener = listener.clone();
            pool.spawn_with_handle(async move { listener.accept().await }).unwrap()
        };
        let tasks: Vec<_> = (0..50).map(accept).collect();
        let clients: Vec<_> = (0..50).map(|_| net::TcpStream::connect(address).unwrap()).collect();
        let accepted = block_on(join_all(tasks));
        let mut peers: Vec<_> = accepted.iter().map(|done| done.as_ref().unwrap().1).collect();
        let mut expected: Vec<_> =
            clients.iter().map(|client| client.local_addr().unwrap()).collect();
        peers.sort_unstable();
        expected.sort_unstable();
        assert_eq!(peers, expected);
    });
}

/// All wait before the first connection, and one that is dropped takes none from the others.
#[test]
fn waiting_accepts_are_served_though_some_have_gone() {
    watched(|| {
        let mut pool = LocalPool::new();
        let (listener, address) = pool.run_until(listener()).unwrap();
        let mut tasks: Vec<_> = (0..50).map(|_| Box::pin(listener.accept())).collect();
        for task in &mut tasks {
            assert!(poll_once(task.as_mut()).is_pending());
        }
        let mut index = 0;
        tasks.retain(|_| {
            index += 1;
            index % 2 == 0
        });
        let clients: Vec<_> = tasks.iter().map(|_| net::TcpStream::connect(address)).collect();
        for accepted in pool.run_until(join_all(tasks)) {
            accepted.unwrap();
        }
        assert_eq!(clients.len(), 25);
        assert_kind(listener.try_accept(), ErrorKind::WouldBlock);
    });
}

#[test]
fn an_accept_deadline_fires_and_may_be_lifted() {
    run(|| async {
        let (listener, address) = listener().await?;
        for set in [TcpListener::set_deadline, TcpListener::set_read_deadline] {
            let began = Instant::now();
            set(&listener, in_ms(20))?;
            assert_timed_out(listener.accept().await);
            assert!(began.elapsed() >= Duration::from_millis(20));
            let client = TcpStream::connect(address).await?;
            assert_timed_out(listener.accept().await);
            assert_timed_out(listener.try_accept());
            assert_timed_out(listener.incoming().next().await.expect("it has no end"));
            set(&listener, None)?;
            assert_eq!(listener.accept().await?.1, client.local_addr()?);
        }
        Ok(())
    });
}

#[test]
fn a_past_deadline_ends_a_pending_accept_and_a_write_deadline_does_not() {
    run(|| async {
        let (listener, _) = listener().await?;
        let waker = CountingWaker::new();
        let mut accept = pin!(listener.accept());
        assert!(waker.poll(accept.as_mut()).is_pending());
        listener.set_write_deadline(past())?;
        assert!(waker.poll(accept.as_mut()).is_pending());
        listener.set_deadline(past())?;
        assert_eq!(waker.wakes(), 1);
        assert_timed_out(accept.await);
        Ok(())
    });
}

/// On a host of its own, where no other test is given the port in between.
#[test]
fn a_closed_listener_frees_its_port_at_once() {
    run(|| async {
        let mut address = SocketAddr::from((Ipv4Addr::new(127, 66, 1, 1), 0));
        for _ in 0..200 {
            let listener = TcpListener::bind(address).await?;
            address = listener.local_addr()?;
            let mut accept = pin!(listener.accept());
            assert!(poll_once(accept.as_mut()).is_pending());
            listener.clone().close().await?;
            assert_closed(accept.await);
        }
        Ok(())
    });
}

/// The same while another thread is accepting one connection after the other.
#[test]
fn a_busy_listener_frees_its_port_at_once() {
    fn accept_until_closed(listener: &TcpListener) {
        block_on(async {
            let error = loop {
                if let Err(error) = listener.accept().await {
                    break error;
                }
            };
            assert!(is_closed(&error), "{error:?}");
        });
    }
    watched(|| {
        let mut address = SocketAddr::from((Ipv4Addr::new(127, 66, 1, 2), 0));
        for round in 0..200 {
            let listener = block_on(TcpListener::bind(address)).unwrap();
            address = listener.local_addr().unwrap();
            let clone = listener.clone();
            let thread = thread::spawn(move || accept_until_closed(&clone));
            let clients: Vec<_> =
                (0..round % 4).map(|_| net::TcpStream::connect(address).unwrap()).collect();
            block_on(listener.close()).unwrap();
            drop(block_on(TcpListener::bind(address)).expect("the port is free by now"));
            thread.join().unwrap();
            drop(clients);
        }
    });
}

#[test]
fn closing_ends_every_accept() {
    watched(|| {
        let pool = ThreadPool::builder().pool_size(4).create().unwrap();
        let (listener, _) = block_on(listener()).unwrap();
        let mut here = Box::pin(listener.accept());
        assert!(poll_once(here.as_mut()).is_pending());
        let accept = |_| {
            let listener = listener.clone();
            pool.spawn_with_handle(async move { listener.accept().await }).unwrap()
        };
        let tasks: Vec<_> = (0..20).map(accept).collect();
        block_on(listener.close()).unwrap();
        let (here, there) = block_on(join(here, join_all(tasks)));
        there.into_iter().chain([here]).for_each(|ended| assert_closed(ended));
    });
}

#[test]
fn everything_fails_on_a_closed_listener() {
    run(|| async {
        let (listener, address) = listener().await?;
        let clone = listener.clone();
        listener.close().await?;
        for listener in [&listener, &clone] {
            assert_closed(listener.close().await);
            assert_closed(listener.accept().await);
            assert_closed(listener.try_accept());
            assert_closed(poll_fn(|cx| listener.poll_accept(cx)).await);
            assert_closed(listener.set_deadline(None));
            assert_closed(listener.set_read_deadline(in_an_hour()));
            assert_closed(listener.set_write_deadline(past()));
            assert_closed(listener.local_addr());
        }
        assert_kind(TcpStream::connect(address).await, ErrorKind::ConnectionRefused);
        Ok(())
    });
}

#[test]
fn the_last_clone_takes_the_socket_with_it() {
    run(|| async {
        let (listener, address) = listener().await?;
        let clone = listener.clone();
        drop(listener);
        let client = TcpStream::connect(address).await?;
        assert_eq!(clone.accept().await?.1, client.local_addr()?);
        drop(clone);
        assert_kind(TcpStream::connect(address).await, ErrorKind::ConnectionRefused);
        client.write_all(b"connections stay").await
    });
}

#[test]
fn an_address_in_use_names_operation_and_address() {
    run(|| async {
        let (_listener, address) = listener().await?;
        let error = TcpListener::bind(address).await.expect_err("it is taken");
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert_eq!(raw_os_error(&error), Some(libc::EADDRINUSE));
        assert!(error.to_string().starts_with(&format!("bind {address}: ")), "{error}");
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<OpError>());
        assert_eq!(inner.map(OpError::operation), Some("bind"));
        Ok(())
    });
}

#[test]
fn the_first_address_that_is_free_is_bound() {
    run(|| async {
        let (_listener, taken) = listener().await?;
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = TcpListener::bind([taken, free]).await?;
        assert_ne!(listener.local_addr()?, taken);
        let error = TcpListener::bind([taken, listener.local_addr()?]).await;
        let error = error.expect_err("both are taken").to_string();
        assert!(error.contains(&taken.to_string()), "{error}");
        Ok(())
    });
}

/// Linux hands out a connection that was reset in the queue; the next is as good as ever.
#[test]
fn accepting_survives_a_connection_that_is_gone() {
    run(|| async {
        let (listener, address) = listener().await?;
        let gone = TcpStream::connect(address).await?;
        gone.set_linger(Some(Duration::ZERO))?;
        drop(gone);
        let client = TcpStream::connect(address).await?;
        client.write_all(b"hello").await?;
        let server = loop {
            let (server, peer) = listener.accept().await?;
            if peer == client.local_addr()? {
                break server;
            }
            assert_kind(server.read(&mut [0; 16]).await, ErrorKind::ConnectionReset);
        };
        assert_eq!(read_exactly(&server, 5).await?, b"hello");
        Ok(())
    });
}

#[test]
fn an_error_of_the_system_says_that_it_was_accepting() {
    run(|| async {
        let listener = net::TcpListener::bind(LOOPBACK)?;
        os::stop_listening(&listener)?;
        let listener = TcpListener::try_from(listener)?;
        let error = listener.accept().await.expect_err("it does not listen");
        assert_eq!(raw_os_error(&error), Some(libc::EINVAL), "{error:?}");
        assert!(error.to_string().starts_with("accept 127.0.0.1:"), "{error}");
        Ok(())
    });
}

#[test]
fn the_time_to_live_is_set_and_read_back() {
    run(|| async {
        let (listener, _) = listener().await?;
        listener.set_ttl(42)?;
        assert_eq!(listener.ttl()?, 42);
        Ok(())
    });
}
