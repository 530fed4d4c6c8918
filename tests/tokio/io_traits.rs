//! The streams as tokio sees them: `AsyncRead` and `AsyncWrite`.

use std::io::{ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};

use bytes::BytesMut;
use futures::future::{join, try_join, try_join3};
use netpoll_tests::CountingWaker;
use netpoll_tests::fixtures::{KIB, assert_kind, pattern};
use netpoll_tokio::net::{TcpStream, UnixStream};
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter,
    ReadBuf, copy, copy_bidirectional,
};

use crate::fixtures::{MUCH, everywhere, pair};

/// Sends and receives by the traits alone, whatever it is that has them.
async fn speak<S: AsyncRead + AsyncWrite + Unpin>(mut near: S, mut far: S) -> std::io::Result<()> {
    near.write_all(b"to the far side").await?;
    near.flush().await?;
    let mut buffer = [0; 15];
    far.read_exact(&mut buffer).await?;
    assert_eq!(&buffer, b"to the far side");
    far.write_all(b"and back").await?;
    near.shutdown().await?;
    let mut rest = Vec::new();
    far.read_to_end(&mut rest).await?;
    assert!(rest.is_empty(), "shutting down ends the stream, with nothing before the end");
    far.shutdown().await?;
    near.read_to_end(&mut rest).await?;
    assert_eq!(rest, b"and back");
    Ok(())
}

#[test]
fn streams_of_both_families_speak() {
    everywhere(|| async {
        let (client, server) = pair().await?;
        speak(client, server).await?;
        let (near, far) = UnixStream::pair()?;
        speak(near, far).await
    });
}

/// Sends more than fits, ends, and reads the answer.
async fn there_and_back(stream: TcpStream) -> std::io::Result<()> {
    let sent = pattern(MUCH);
    let (mut reader, mut writer) = stream.into_split();
    let write = async {
        writer.write_all(&sent).await?;
        writer.shutdown().await
    };
    let read = async {
        let mut received = Vec::new();
        reader.read_to_end(&mut received).await?;
        Ok(received)
    };
    let ((), received) = try_join(write, read).await?;
    assert!(received == sent, "{} bytes came back", received.len());
    Ok(())
}

async fn echo(stream: TcpStream) -> std::io::Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    let copied = copy(&mut reader, &mut writer).await?;
    assert_eq!(copied, MUCH as u64);
    writer.shutdown().await
}

#[test]
fn copy_takes_everything_there_and_back() {
    everywhere(|| async {
        let (client, server) = pair().await?;
        try_join(there_and_back(client), echo(server)).await.map(drop)
    });
}

#[test]
fn copy_bidirectional_is_a_proxy() {
    everywhere(|| async {
        let (client, mut front) = pair().await?;
        let (mut back, server) = pair().await?;
        let proxy = async {
            let copied = copy_bidirectional(&mut front, &mut back).await?;
            assert_eq!(copied, (MUCH as u64, MUCH as u64));
            Ok(())
        };
        try_join3(there_and_back(client), proxy, echo(server)).await.map(drop)
    });
}

#[test]
fn the_buffers_of_tokio_fit() {
    everywhere(|| async {
        let (client, server) = pair().await?;
        let mut writer = BufWriter::new(client);
        writer.write_all(b"one\ntwo\nthree").await?;
        writer.shutdown().await?;
        let mut lines = BufReader::new(server).lines();
        for expected in [Some("one"), Some("two"), Some("three"), None] {
            assert_eq!(lines.next_line().await?.as_deref(), expected);
        }
        Ok(())
    });
}

#[test]
fn vectored_writes_are_written_as_they_are() {
    everywhere(|| async {
        let (mut client, mut server) = pair().await?;
        assert!(client.is_write_vectored());
        let slices = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two")];
        assert_eq!(client.write_vectored(&slices).await?, 7);
        let (_, half) = client.split();
        assert!(half.is_write_vectored());
        let (_reader, half) = client.into_split();
        assert!(half.is_write_vectored());
        let mut buffer = [0; 7];
        server.read_exact(&mut buffer).await?;
        assert_eq!(&buffer, b"one two");
        Ok(())
    });
}

#[test]
fn bytes_that_are_read_are_appended() {
    everywhere(|| async {
        let (mut client, mut server) = pair().await?;
        client.write_all(b"hello").await?;
        let mut vec = b"before ".to_vec();
        assert_eq!(server.read_buf(&mut vec).await?, 5);
        assert_eq!(vec, b"before hello");
        client.write_all(b"again").await?;
        let mut bytes = BytesMut::with_capacity(3);
        assert_eq!(server.read_buf(&mut bytes).await?, 3);
        assert_eq!(&bytes[..], b"aga");
        Ok(())
    });
}

/// Only the bytes that came are written: nothing is cleared in advance, whether a byte came or not.
#[test]
fn memory_is_not_cleared_to_be_read_into() {
    everywhere(|| async {
        let (client, mut server) = pair().await?;
        let mut memory = [MaybeUninit::uninit(); 4 * KIB];
        let mut buffer = ReadBuf::uninit(&mut memory);
        let waker = CountingWaker::new();
        {
            let mut read = pin!(std::future::poll_fn(|cx| {
                Pin::new(&mut server).poll_read(cx, &mut buffer)
            }));
            assert!(waker.poll(read.as_mut()).is_pending(), "nothing came yet");
        }
        assert!(buffer.initialized().is_empty(), "cleared for nothing");
        client.get_ref().write_all(b"hello").await?;
        std::future::poll_fn(|cx| Pin::new(&mut server).poll_read(cx, &mut buffer)).await?;
        assert_eq!(buffer.filled(), b"hello");
        assert_eq!(buffer.initialized().len(), 5);
        Ok(())
    });
}

/// The filled part stays, and the read goes into the rest of the buffer.
#[test]
fn a_buffer_that_is_partly_filled_is_filled_up() {
    everywhere(|| async {
        let (client, mut server) = pair().await?;
        client.get_ref().write_all(b"0123456789").await?;
        let mut memory = [0; 8];
        let mut buffer = ReadBuf::new(&mut memory);
        buffer.put_slice(b"<");
        std::future::poll_fn(|cx| server.poll_peek(cx, &mut buffer)).await?;
        assert_eq!(buffer.filled(), b"<0123456");
        buffer.set_filled(1);
        std::future::poll_fn(|cx| Pin::new(&mut server).poll_read(cx, &mut buffer)).await?;
        assert_eq!(buffer.filled(), b"<0123456");
        // A full one reads nothing, and takes nothing.
        std::future::poll_fn(|cx| Pin::new(&mut server).poll_read(cx, &mut buffer)).await?;
        let mut rest = [0; 3];
        server.read_exact(&mut rest).await?;
        assert_eq!(&rest, b"789");
        Ok(())
    });
}

#[test]
fn shutting_down_ends_writing_and_leaves_reading() {
    everywhere(|| async {
        let (mut client, mut server) = pair().await?;
        client.shutdown().await?;
        client.shutdown().await?;
        assert_kind(AsyncWriteExt::write_all(&mut client, b"more").await, ErrorKind::BrokenPipe);
        assert_eq!(AsyncReadExt::read(&mut server, &mut [0; 8]).await?, 0);
        server.write_all(b"still").await?;
        let mut buffer = [0; 5];
        client.read_exact(&mut buffer).await?;
        assert_eq!(&buffer, b"still");
        Ok(())
    });
}

#[test]
fn shutting_down_a_reset_stream_is_no_error() {
    everywhere(|| async {
        let (mut client, server) = pair().await?;
        server.set_zero_linger()?;
        server.close().await?;
        let read = AsyncReadExt::read(&mut client, &mut [0; 8]).await;
        assert_kind(read, ErrorKind::ConnectionReset);
        client.shutdown().await?;
        Ok(())
    });
}

/// The reader and the writer share one connection, also when both wait.
#[test]
fn reading_and_writing_wait_apart() {
    everywhere(|| async {
        let (client, server) = pair().await?;
        let big = pattern(MUCH);
        let mut one = vec![0; MUCH];
        let mut other = vec![0; MUCH];
        let (mut read_one, mut write_one) = client.into_split();
        let (mut read_other, mut write_other) = server.into_split();
        let one_way = join(write_one.write_all(&big), read_other.read_exact(&mut other));
        let other_way = join(write_other.write_all(&big), read_one.read_exact(&mut one));
        let ((sent, received), (sent_back, received_back)) = join(one_way, other_way).await;
        sent.and(sent_back)?;
        assert_eq!((received?, received_back?), (MUCH, MUCH));
        assert!(one == big && other == big);
        Ok(())
    });
}
