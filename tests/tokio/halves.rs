//! Halves, lent and owned.

use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::pin::pin;

use futures::future::try_join;
use netpoll_tests::fixtures::{assert_kind, assert_timed_out, past, pattern, poll_once};
use netpoll_tokio::io::Interest;
use netpoll_tokio::net::{TcpStream, UnixStream, tcp, unix};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fixtures::{MUCH, everywhere, on_many_threads, pair};

#[test]
fn lent_halves_read_and_write_at_once() {
    everywhere(|| async {
        let (mut client, server) = pair().await?;
        let sent = pattern(MUCH);
        let (mut reader, mut writer): (tcp::ReadHalf<'_>, tcp::WriteHalf<'_>) = client.split();
        let write = async {
            writer.write_all(&sent).await?;
            writer.shutdown().await
        };
        let mut received = Vec::new();
        let read = async { reader.read_to_end(&mut received).await };
        let echo = async {
            let (mut reader, mut writer) = server.into_split();
            tokio::io::copy(&mut reader, &mut writer).await
            // The half that writes is dropped, which ends writing.
        };
        try_join(try_join(write, read), echo).await?;
        assert!(received == sent);
        Ok(())
    });
}

/// Each half on a task of its own, on threads that share nothing else.
#[test]
fn owned_halves_live_on_different_tasks() {
    on_many_threads(|| async {
        let (client, server) = pair().await?;
        let (mut reader, mut writer) = client.into_split();
        let write = tokio::spawn(async move {
            writer.write_all(&pattern(MUCH)).await?;
            // Dropped, it ends writing: the server sees the end.
            std::io::Result::Ok(())
        });
        let read = tokio::spawn(async move {
            let mut received = Vec::new();
            reader.read_to_end(&mut received).await.map(|_| received)
        });
        let (mut from, mut to) = server.into_split();
        tokio::io::copy(&mut from, &mut to).await?;
        drop(to);
        write.await.unwrap()?;
        assert!(read.await.unwrap()? == pattern(MUCH));
        Ok(())
    });
}

#[test]
fn halves_of_a_unix_stream_do_as_well() {
    everywhere(|| async {
        let (mut near, mut far) = UnixStream::pair()?;
        {
            let (reader, writer): (unix::ReadHalf<'_>, unix::WriteHalf<'_>) = near.split();
            assert!(reader.local_addr()?.is_unnamed() && writer.peer_addr()?.is_unnamed());
        }
        let (mut reader, writer): (unix::OwnedReadHalf, unix::OwnedWriteHalf) = near.into_split();
        assert!(reader.peer_addr()?.is_unnamed() && writer.local_addr()?.is_unnamed());
        drop(writer);
        assert_eq!(far.read(&mut [0]).await?, 0);
        far.write_all(b"x").await?;
        assert_eq!(reader.read_u8().await?, b'x');
        Ok(())
    });
}

#[test]
fn dropping_the_half_that_writes_ends_writing() {
    everywhere(|| async {
        let (client, mut server) = pair().await?;
        let (mut reader, writer) = client.into_split();
        drop(writer);
        assert_eq!(server.read(&mut [0]).await?, 0);
        server.write_all(b"x").await?;
        assert_eq!(reader.read_u8().await?, b'x');
        Ok(())
    });
}

/// The peer still waits, and gets the bytes that the owner of the stream writes later.
#[test]
fn forgetting_the_half_that_writes_ends_nothing() {
    everywhere(|| async {
        let (client, server) = pair().await?;
        let (reader, writer) = client.into_split();
        writer.forget();
        let mut byte = [0];
        let mut read = pin!(server.get_ref().read(&mut byte));
        assert!(poll_once(read.as_mut()).is_pending(), "the end came");
        reader.as_ref().get_ref().write_all(b"x").await?;
        assert_eq!(read.await?, 1);
        Ok(())
    });
}

#[test]
fn halves_become_one_again() {
    everywhere(|| async {
        let (client, mut server) = pair().await?;
        let descriptor = client.as_raw_fd();
        let (reader, writer) = client.into_split();
        let client: TcpStream = reader.reunite(writer).expect("they belong together");
        let (reader, writer) = client.into_split();
        let client = writer.reunite(reader).expect("they belong together");
        client.get_ref().write_all(b"x").await?;
        assert_eq!(server.read(&mut [0]).await?, 1);
        let mut byte = [0];
        let mut read = pin!(server.read(&mut byte));
        assert!(poll_once(read.as_mut()).is_pending(), "the end came");
        // The halves were its only owners: it is the very socket that goes out.
        assert_eq!(client.into_std()?.as_raw_fd(), descriptor);
        assert_eq!(read.await?, 0);
        Ok(())
    });
}

#[test]
fn halves_of_two_streams_are_given_back() {
    everywhere(|| async {
        let (one, server) = pair().await?;
        let (other, _other_server) = pair().await?;
        let (one_reads, one_writes) = one.into_split();
        let (other_reads, other_writes) = other.into_split();
        let error = one_reads.reunite(other_writes).unwrap_err();
        assert_eq!(error.to_string(), "reunite: the halves do not belong to the same stream");
        let netpoll_tokio::ReuniteError(one_reads, other_writes) = error;
        let one = one_reads.reunite(one_writes).expect("they belong together");
        other_reads.reunite(other_writes).expect("they belong together");
        one.get_ref().write_all(b"x").await?;
        assert_eq!(server.get_ref().read(&mut [0]).await?, 1);
        Ok(())
    });
}

#[test]
fn halves_have_the_methods_of_their_direction() {
    everywhere(|| async {
        let (mut client, server) = pair().await?;
        let address = server.peer_addr()?;
        server.get_ref().write_all(b"abc").await?;
        {
            let (mut reader, writer) = client.split();
            assert_eq!((reader.local_addr()?, writer.local_addr()?), (address, address));
            assert_eq!(reader.peer_addr()?, writer.peer_addr()?);
            assert!(reader.ready(Interest::READABLE).await?.is_readable());
            assert_eq!(reader.peek(&mut [0; 8]).await?, 3);
            assert_eq!(reader.try_read(&mut [0])?, 1);
            assert!(writer.ready(Interest::WRITABLE).await?.is_writable());
            writer.writable().await?;
            assert_eq!(writer.try_write(b"x")?, 1);
        }
        let (reader, writer) = client.into_split();
        reader.readable().await?;
        let mut rest = Vec::with_capacity(8);
        assert_eq!(reader.try_read_buf(&mut rest)?, 2);
        assert_eq!(rest, b"bc");
        assert_kind(reader.try_read(&mut [0]), ErrorKind::WouldBlock);
        assert_eq!(writer.try_write_vectored(&[std::io::IoSlice::new(b"y")])?, 1);
        Ok(())
    });
}

#[test]
fn a_half_has_the_deadline_of_its_direction() {
    everywhere(|| async {
        let (client, server) = pair().await?;
        let (mut reader, mut writer) = client.into_split();
        reader.set_read_deadline(past())?;
        assert_timed_out(reader.read_u8().await);
        writer.write_all(b"x").await?;
        writer.set_write_deadline(past())?;
        assert_timed_out(writer.write_all(b"x").await);
        reader.set_read_deadline(None)?;
        server.get_ref().write_all(b"y").await?;
        assert_eq!(reader.read_u8().await?, b'y');
        Ok(())
    });
}
