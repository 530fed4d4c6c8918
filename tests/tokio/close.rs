//! Closing, which tokio's sockets lack.

use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;

use netpoll_tests::fixtures::{LOOPBACK, assert_closed, assert_kind, poll_once};
use netpoll_tokio::io::Interest;
use netpoll_tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fixtures::{everywhere, on_many_threads, pair};

#[test]
fn it_ends_pending_operations() {
    everywhere(|| async {
        let (near, far) = pair().await?;
        let (mut reader, writer) = near.into_split();
        {
            let mut byte = [0];
            let mut read = pin!(reader.read(&mut byte));
            assert!(poll_once(read.as_mut()).is_pending());
            writer.as_ref().close().await?;
            assert_closed(read.await);
        }
        assert_eq!(far.get_ref().read(&mut [0]).await?, 0);
        assert_closed(reader.read(&mut [0]).await);
        assert_closed(writer.as_ref().close().await);
        Ok(())
    });
}

/// A task that waits, on another thread than the one that closes.
#[test]
fn it_ends_tasks() {
    on_many_threads(|| async {
        let (near, _far) = pair().await?;
        let near = Arc::new(near);
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let near = near.clone();
                tokio::spawn(async move { near.get_ref().read(&mut [0]).await })
            })
            .collect();
        tokio::task::yield_now().await;
        near.close().await?;
        for task in tasks {
            assert_closed(task.await.unwrap());
        }
        Ok(())
    });
}

#[test]
fn everything_fails_on_a_closed_stream() {
    everywhere(|| async {
        let (mut near, _far) = pair().await?;
        near.close().await?;
        let mut buffer = [0; 8];
        assert_closed(near.close().await);
        assert_closed(near.read(&mut buffer).await);
        assert_closed(near.write(b"x").await);
        assert_closed(near.write_all(b"x").await);
        assert_closed(near.peek(&mut buffer).await);
        assert_closed(near.try_read(&mut buffer));
        assert_closed(near.try_read_buf(&mut Vec::with_capacity(8)));
        assert_closed(near.try_write(b"x"));
        assert_closed(near.readable().await);
        assert_closed(near.writable().await);
        assert_closed(near.ready(Interest::READABLE).await);
        assert_closed(near.try_io(Interest::WRITABLE, || Ok(())));
        assert_closed(near.async_io(Interest::READABLE, || Ok(())).await);
        assert_closed(AsyncReadExt::read(&mut near, &mut buffer).await);
        assert_closed(AsyncWriteExt::write_all(&mut near, b"x").await);
        assert_closed(near.flush().await);
        assert_closed(near.shutdown().await);
        assert_closed(near.set_deadline(None));
        assert_closed(near.peer_addr());
        assert_closed(near.quickack());
        assert_closed(near.into_std());
        Ok(())
    });
}

#[test]
fn a_port_can_be_bound_again() {
    everywhere(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let address = listener.local_addr()?;
        {
            let mut accept = pin!(listener.accept());
            assert!(poll_once(accept.as_mut()).is_pending());
            listener.close().await?;
            assert_closed(accept.await);
        }
        assert_closed(listener.accept().await);
        assert_kind(TcpStream::connect(address).await, ErrorKind::ConnectionRefused);
        let again = TcpListener::bind(address).await?;
        assert_eq!(again.local_addr()?, address);
        Ok(())
    });
}

#[test]
fn unix_sockets_close() {
    everywhere(|| async {
        let (near, mut far) = UnixStream::pair()?;
        near.close().await?;
        assert_eq!(far.read(&mut [0]).await?, 0);
        assert_kind(far.write_all(b"x").await, ErrorKind::BrokenPipe);
        let name = format!("\0netpoll-tokio-close-{}", std::process::id());
        let listener = UnixListener::bind(&name)?;
        listener.close().await?;
        assert_closed(listener.accept().await);
        drop(UnixListener::bind(&name)?);
        Ok(())
    });
}
