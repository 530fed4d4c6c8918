//! Streams of connections that own their listener, and limits.

use std::pin::pin;

use futures::StreamExt;
use netpoll_tests::fixtures::{Folder, LOOPBACK, assert_closed, assert_timed_out, past, poll_once};
use netpoll_tokio::Limit;
use netpoll_tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fixtures::everywhere;

#[test]
fn it_yields_tokios_streams() {
    everywhere(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let address = listener.local_addr()?;
        let mut incoming = listener.into_incoming();
        let mut client = TcpStream::connect(address).await?;
        let mut server: TcpStream = incoming.next().await.expect("a connection")?;
        client.write_all(b"x").await?;
        assert_eq!(server.read_u8().await?, b'x');

        let folder = Folder::new()?;
        let path = folder.join("socket");
        let mut incoming = UnixListener::bind(&path)?.into_incoming();
        let mut client = UnixStream::connect(&path).await?;
        let mut server: UnixStream = incoming.next().await.expect("a connection")?;
        client.write_all(b"x").await?;
        assert_eq!(server.read_u8().await?, b'x');
        Ok(())
    });
}

#[test]
fn it_keeps_to_the_limit_and_ends_by_an_error() {
    everywhere(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let address = listener.local_addr()?;
        let limit = Limit::new(1);
        listener.set_limit(Some(&limit))?;
        let mut incoming = listener.into_incoming();
        let _clients = [TcpStream::connect(address).await?, TcpStream::connect(address).await?];
        let first = incoming.next().await.expect("a connection")?;
        assert_eq!(limit.in_use(), 1);
        assert!(poll_once(pin!(incoming.next())).is_pending(), "no place is free");
        drop(first);
        let _second = incoming.next().await.expect("a connection")?;
        incoming.get_ref().close().await?;
        assert_closed(incoming.next().await.expect("an error"));
        assert!(incoming.next().await.is_none());

        let listener = TcpListener::bind(LOOPBACK).await?;
        let deadlines = listener.deadlines();
        let mut incoming = listener.into_incoming();
        assert!(poll_once(pin!(incoming.next())).is_pending());
        deadlines.set_read_deadline(past())?;
        assert_timed_out(incoming.next().await.expect("an error"));
        assert!(incoming.next().await.is_none());
        Ok(())
    });
}
