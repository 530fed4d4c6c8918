//! An echo under executors that the conformance suite does not run. No executor knows of a socket: each polls a future, and
//! is told by its waker.

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use futures::future::try_join;
use netpoll_futures::{TcpListener, TcpStream, is_deadline_exceeded};
use netpoll_tests::fixtures::LOOPBACK;
use netpoll_tests::watched;

/// A server that echoes until the client ends, a client that sends 100 messages, and a deadline that passes.
async fn echo() -> io::Result<()> {
    let listener = TcpListener::bind(LOOPBACK).await?;
    let address = listener.local_addr()?;
    let server = async {
        let (stream, _) = listener.accept().await?;
        let mut buffer = [0; 64];
        loop {
            match stream.read(&mut buffer).await? {
                0 => return stream.close().await,
                count => stream.write_all(&buffer[..count]).await?,
            }
        }
    };
    let client = async {
        let stream = TcpStream::connect(address).await?;
        let mut buffer = [0; 64];
        for number in 0..100_u8 {
            stream.write_all(&[number]).await?;
            assert_eq!(stream.read(&mut buffer).await?, 1);
            assert_eq!(buffer[0], number);
        }
        stream.set_read_deadline(Duration::from_millis(5))?;
        let late = stream.read(&mut buffer).await.expect_err("nothing was sent");
        assert!(is_deadline_exceeded(&late), "{late}");
        stream.close().await
    };
    try_join(server, client).await.map(drop)
}

#[test]
fn pollster() {
    watched(|| pollster::block_on(echo()).expect("an echo"));
}

#[test]
fn async_global_executor() {
    watched(|| {
        let task = async_global_executor::spawn(echo());
        async_global_executor::block_on(task).expect("an echo");
    });
}

#[test]
fn edge_executor() {
    watched(|| {
        let executor: edge_executor::LocalExecutor<'_> = edge_executor::LocalExecutor::new();
        let task = executor.spawn(echo());
        edge_executor::block_on(executor.run(task)).expect("an echo");
    });
}

/// A pool of bevy's, with two threads.
#[test]
fn bevy_tasks() {
    watched(|| {
        let pool = bevy_tasks::TaskPoolBuilder::new().num_threads(2).build();
        let task = pool.spawn(echo());
        bevy_tasks::block_on(task).expect("an echo");
    });
}

#[embassy_executor::task]
async fn embassy_task(done: Sender<io::Result<()>>) {
    done.send(echo().await).expect("the test waits");
}

/// `embassy-executor` on std. Its `run` does not return: the thread parks until the process ends.
#[test]
fn embassy() {
    watched(|| {
        let (done, ended) = channel();
        thread::spawn(|| {
            let executor = Box::leak(Box::new(embassy_executor::Executor::new()));
            executor.run(|spawner| spawner.spawn(embassy_task(done).expect("a free task")));
        });
        ended.recv().expect("the task ends").expect("an echo");
    });
}

/// GLib's main context as the executor, with the sockets on the reactor's thread. The suite `embed` has the reactor in
/// GLib's loop.
#[cfg(feature = "glib")]
#[test]
fn glib() {
    watched(|| glib::MainContext::new().block_on(echo()).expect("an echo"));
}
