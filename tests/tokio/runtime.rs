//! The reactor of a tokio runtime: made with the first socket, turned by the runtime, and gone with it.

use std::io;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use hyper::Response;
use hyper::service::service_fn;
use netpoll::{Reactor, ReactorGone};
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::LOOPBACK;
use netpoll_tests::fixtures::os::{open_descriptors, wait_until_named_thread_sleeps};
use netpoll_tests::watched;
use netpoll_tokio::is_deadline_exceeded;
use netpoll_tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// Whether the process has a thread of netpoll's: the global reactor has one.
fn has_a_reactors_thread() -> bool {
    let tasks = std::fs::read_dir("/proc/self/task").expect("procfs").flatten();
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm"));
    tasks.filter_map(|task| name(task).ok()).any(|name| name.trim() == "netpoll")
}

/// Echoes over TCP, and a deadline.
async fn echo_and_wait() -> io::Result<()> {
    let listener = TcpListener::bind(LOOPBACK).await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let (mut reader, mut writer) = stream.split();
        tokio::io::copy(&mut reader, &mut writer).await
    });
    let mut client = TcpStream::connect(address).await?;
    for byte in 0..100 {
        client.write_u8(byte).await?;
        assert_eq!(client.read_u8().await?, byte);
    }
    client.set_read_deadline(Duration::from_millis(2))?;
    assert!(is_deadline_exceeded(&client.read_u8().await.expect_err("no byte comes")));
    client.shutdown().await?;
    assert_eq!(server.await.expect("no panic")?, 100);
    Ok(())
}

fn is_gone(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<ReactorGone>)
}

/// A program of tokio has no thread of netpoll's, whatever its runtime.
#[test]
fn no_thread_is_made() {
    alone("runtime::no_thread_is_made", || {
        for runtime in [current_thread(), multi_thread()] {
            runtime.block_on(echo_and_wait()).expect("no operation fails");
            let spawned = runtime.spawn(echo_and_wait());
            runtime.block_on(spawned).expect("no panic").expect("no operation fails");
        }
        let local = tokio::task::LocalSet::new();
        local.block_on(&current_thread(), echo_and_wait()).expect("no operation fails");
        assert!(!has_a_reactors_thread());
        Reactor::global().expect("a reactor");
        // The global reactor has one.
        wait_until_named_thread_sleeps("netpoll");
    });
}

/// hyper's server of netpoll-hyper on the reactor of the runtime, in both versions of HTTP.
#[test]
fn a_server_of_netpoll_hyper() {
    alone("runtime::a_server_of_netpoll_hyper", || {
        current_thread().block_on(async {
            let executor = netpoll_hyper::Executor::new(|task| drop(tokio::spawn(task)));
            let server = netpoll_hyper::Server::new(executor);
            let reactor = netpoll_tokio::reactor().expect("a reactor");
            let bound = netpoll_futures::TcpListener::bind_on(&reactor, LOOPBACK).await;
            let listener = bound.expect("a port");
            let address = listener.local_addr().expect("bound");
            let answer =
                service_fn(async |_| Ok::<_, io::Error>(Response::new("hello".to_owned())));
            let asking = async {
                for start in [
                    "GET / HTTP/1.0\r\n\r\n",
                    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0",
                ] {
                    let mut client = TcpStream::connect(address).await.expect("a connection");
                    client.write_all(start.as_bytes()).await.expect("room");
                    client.shutdown().await.expect("open");
                    let mut answer = Vec::new();
                    client.read_to_end(&mut answer).await.expect("an answer");
                    assert!(!answer.is_empty());
                }
                server.shutdown();
            };
            let (served, ()) = futures::join!(server.serve(&listener, |_| answer), asking);
            served.expect("a shutdown");
            assert!(!has_a_reactors_thread());
        });
    });
}

/// Runtimes within each other's threads, several at once, and a blocking task that blocks on the handle.
#[test]
fn several_runtimes() {
    watched(|| {
        let outer = multi_thread();
        let handle = outer.handle().clone();
        outer.block_on(async {
            let inner = tokio::task::spawn_blocking(|| current_thread().block_on(echo_and_wait()));
            let blocking = tokio::task::spawn_blocking(move || handle.block_on(echo_and_wait()));
            echo_and_wait().await.expect("no operation fails");
            inner.await.expect("no panic").expect("no operation fails");
            blocking.await.expect("no panic").expect("no operation fails");
        });
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| current_thread().block_on(echo_and_wait()).expect("no error"));
            }
        });
    });
}

/// A socket is made in one runtime and used in another, and outside of both. Its own runtime turns.
#[test]
fn a_socket_moves() {
    watched(|| {
        let own = multi_thread();
        let (near, mut far) = own.block_on(async { UnixStream::pair() }).expect("a pair");
        let (mut near, mut far) = current_thread().block_on(async move {
            let mut near = near;
            let (wrote, read) = futures::join!(far.write_u8(1), near.read_u8());
            wrote.expect("room");
            assert_eq!(read.expect("a byte"), 1);
            (near, far)
        });
        futures::executor::block_on(async move {
            let (wrote, read) = futures::join!(far.write_u8(2), near.read_u8());
            wrote.expect("room");
            assert_eq!(read.expect("a byte"), 2);
        });
    });
}

/// The end of a runtime ends the operations on its sockets, with an error that tokio knows too.
#[test]
fn the_end_of_the_runtime() {
    watched(|| {
        for runtime in [current_thread(), multi_thread()] {
            let (mut near, _far) = runtime.block_on(async { UnixStream::pair() }).expect("a pair");
            let reading = thread::spawn(move || {
                let read = futures::executor::block_on(near.read_u8());
                (read, futures::executor::block_on(near.readable()))
            });
            let own = runtime.block_on(async { netpoll_tokio::reactor() }).expect("a reactor");
            drop(runtime);
            assert!(own.is_gone());
            let (read, readable) = reading.join().expect("no panic");
            for error in [read.map(drop), readable].map(|result| result.expect_err("it has ended"))
            {
                assert!(is_gone(&error), "{error:?}");
                assert!(tokio::runtime::is_rt_shutdown_err(&error), "{error:?}");
            }
        }
    });
}

/// A runtime gives back its descriptors, and the next has a reactor of its own.
#[test]
fn runtimes_come_and_go() {
    alone("runtime::runtimes_come_and_go", || {
        // tokio keeps two descriptors for signals from the first runtime on.
        drop(current_thread());
        let before = open_descriptors();
        let mut last = None;
        for _ in 0..50 {
            let runtime = current_thread();
            runtime.block_on(echo_and_wait()).expect("no operation fails");
            let own = runtime.block_on(async { netpoll_tokio::reactor() }).expect("a reactor");
            if let Some(last) = last.replace(own) {
                assert!(last.is_gone());
            }
        }
        drop(last);
        assert_eq!(open_descriptors(), before);
    });
}

/// In a runtime without I/O, and outside of any, sockets have the global reactor. The panic by which tokio says that there
/// is no I/O reaches no hook, and the program's hook stays.
#[test]
fn without_io() {
    alone("runtime::without_io", || {
        let panics = Arc::new(AtomicUsize::new(0));
        let counted = panics.clone();
        panic::set_hook(Box::new(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        }));
        for _ in 0..3 {
            let runtime = Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(echo_and_wait()).expect("no operation fails");
        }
        // The first sockets of several runtimes at once.
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let runtime = Builder::new_current_thread().build().expect("a runtime");
                        runtime
                            .block_on(async { netpoll_tokio::reactor() })
                            .expect("the global one");
                    }
                });
            }
        });
        assert_eq!(panics.load(Ordering::Relaxed), 0);
        let before = open_descriptors();
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async { netpoll_tokio::reactor() }).expect("the global one");
        assert_eq!(open_descriptors(), before, "a runtime without I/O keeps no reactor");
        drop(runtime);
        wait_until_named_thread_sleeps("netpoll");
        assert!(panic::catch_unwind(|| panic!("the program's own")).is_err());
        assert_eq!(panics.load(Ordering::Relaxed), 1, "the hook is the program's again");
        drop(panic::take_hook());
    });
}

/// Sockets of netpoll-futures on the reactor of the runtime, and back: the registration stays.
#[test]
fn conversions() {
    watched(|| {
        current_thread().block_on(async {
            let reactor = netpoll_tokio::reactor().expect("a reactor");
            let bound = netpoll_futures::TcpListener::bind_on(&reactor, LOOPBACK).await;
            let listener = TcpListener::from(bound.expect("a port"));
            let address = listener.local_addr().expect("bound");
            let mut client = TcpStream::connect(address).await.expect("a connection");
            let (server, _) = listener.accept().await.expect("a connection");
            let server = netpoll_futures::TcpStream::from(server);
            server.write_all(b"x").await.expect("room");
            assert_eq!(client.read_u8().await.expect("a byte"), b'x');
        });
    });
}
