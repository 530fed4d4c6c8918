//! The traits of futures-io, for the descriptor and for references to it.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, PipeReader, PipeWriter};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::task::{Context, Waker};

use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use netpoll_futures::Async;
use netpoll_tests::CountingWaker;

use crate::pipe::pipe;
use crate::support::{assert_closed, assert_kind, assert_late, fill, past, run, wait_for_wakes};

#[test]
fn a_reference_reads_and_writes() {
    run(|| async {
        let (one, other) = Async::<UnixStream>::pair()?;
        (&one).write_all(b"hello").await?;
        let mut buffer = [0; 5];
        (&other).read_exact(&mut buffer).await?;
        assert_eq!(&buffer, b"hello");
        let waker = CountingWaker::new();
        let mut reader = &other;
        let mut read = pin!(reader.read(&mut buffer));
        assert!(waker.poll(read.as_mut()).is_pending());
        (&one).write_all(b"x").await?;
        wait_for_wakes(&waker, 1);
        assert_eq!(read.await?, 1);
        Ok(())
    });
}

#[test]
fn both_directions_at_once_and_more_than_fits() {
    run(|| async {
        const LEN: usize = 1 << 20;
        let (one, other) = Async::<UnixStream>::pair()?;
        let echo = async {
            let copied = futures::io::copy(&other, &mut &other).await?;
            AsyncWriteExt::close(&mut &other).await?;
            io::Result::Ok(copied)
        };
        let sent: Vec<u8> = (0..LEN).map(|index| (index % 251) as u8).collect();
        let write = async {
            (&one).write_all(&sent).await?;
            AsyncWriteExt::close(&mut &one).await
        };
        let mut received = Vec::new();
        let mut reader = &one;
        let read = reader.read_to_end(&mut received);
        let (echoed, written, read) = futures::join!(echo, write, read);
        written?;
        assert_eq!((echoed?, read?), (LEN as u64, LEN));
        assert_eq!(received, sent);
        Ok(())
    });
}

#[test]
fn several_buffers_at_once() {
    run(|| async {
        let (reader, writer) = pipe()?;
        let (mut owned_reader, mut owned_writer) = pipe()?;
        let buffers = [IoSlice::new(b"ab"), IoSlice::new(b"cd")];
        assert_eq!((&writer).write_vectored(&buffers).await?, 4);
        assert_eq!(owned_writer.write_vectored(&buffers).await?, 4);
        let (mut head, mut tail) = ([0; 3], [0; 3]);
        let mut buffers = [IoSliceMut::new(&mut head), IoSliceMut::new(&mut tail)];
        assert_eq!((&reader).read_vectored(&mut buffers).await?, 4);
        assert_eq!((&head, &tail), (b"abc", b"d\0\0"));
        let mut buffers = [IoSliceMut::new(&mut head), IoSliceMut::new(&mut tail)];
        assert_eq!(owned_reader.read_vectored(&mut buffers).await?, 4);
        Ok(())
    });
}

/// The trait's `close` flushes, as async-io's does: a pipe's writer has no other end than its own, which is its
/// owner's to close.
#[test]
fn closing_the_writer_of_a_pipe_by_the_trait_leaves_it_open() {
    run(|| async {
        let (reader, mut writer) = pipe()?;
        let mut shared = &writer;
        AsyncWriteExt::close(&mut shared).await?;
        AsyncWriteExt::close(&mut writer).await?;
        assert_eq!((&writer).write(b"x").await?, 1);
        writer.close().await?;
        assert_closed((&writer).write(b"x").await);
        assert_closed((&writer).flush().await);
        AsyncWriteExt::close(&mut writer).await?;
        let mut rest = Vec::new();
        assert_eq!((&reader).read_to_end(&mut rest).await?, 1);
        Ok(())
    });
}

/// A socket is shut down: what the peer says is still heard.
#[test]
fn closing_the_writer_of_a_socket_leaves_reading() {
    run(|| async {
        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
        let address = listener.get_ref().local_addr()?;
        let mut one = Async::<TcpStream>::connect(address).await?;
        let (mut other, _) = listener.accept().await?;
        AsyncWriteExt::close(&mut one).await?;
        AsyncWriteExt::close(&mut one).await?;
        assert_kind(one.write(b"x").await, ErrorKind::BrokenPipe);
        assert_eq!(other.read(&mut [0]).await?, 0);
        other.write_all(b"y").await?;
        let mut buffer = [0];
        one.read_exact(&mut buffer).await?;
        assert_eq!(&buffer, b"y");
        one.get_ref().set_nonblocking(true)?;
        Async::close(&one).await?;
        assert_closed(AsyncWriteExt::close(&mut one).await);
        Ok(())
    });
}

#[test]
fn closing_what_has_no_end_does_nothing() {
    run(|| async {
        let folder = crate::support::Folder::new()?;
        let path = folder.0.join("pipe");
        crate::os::make_fifo(&path)?;
        let mut both = Async::new(std::fs::OpenOptions::new().read(true).write(true).open(path)?)?;
        AsyncWriteExt::close(&mut both).await?;
        both.write_all(b"x").await?;
        both.flush().await?;
        assert_eq!(both.read(&mut [0]).await?, 1);
        Ok(())
    });
}

/// Flushing and closing need no room.
#[test]
fn a_full_pipe_is_flushed() {
    run(|| async {
        let (_reader, writer) = pipe()?;
        fill(&writer).await?;
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut &writer).poll_write(cx, b"x").is_pending());
        (&writer).flush().await?;
        writer.set_deadline(past())?;
        assert_late((&writer).write(b"x").await);
        AsyncWriteExt::close(&mut &writer).await
    });
}

#[test]
fn deadlines_and_close_hold_for_the_traits() {
    run(|| async {
        let (mut reader, mut writer): (Async<PipeReader>, Async<PipeWriter>) = pipe()?;
        reader.set_deadline(past())?;
        assert_late(reader.read(&mut [0]).await);
        assert_late((&reader).read(&mut [0]).await);
        let mut buffers = [IoSliceMut::new(&mut [])];
        assert_late(reader.read_vectored(&mut buffers).await);
        writer.set_deadline(past())?;
        assert_late(writer.write(b"x").await);
        assert_late((&writer).write(b"x").await);
        assert_late(writer.write_vectored(&[IoSlice::new(b"x")]).await);
        reader.close().await?;
        assert_closed(reader.read(&mut [0]).await);
        assert_closed((&reader).read(&mut [0]).await);
        Async::close(&writer).await?;
        assert_closed(writer.write(b"x").await);
        Ok(())
    });
}

fn is_async<T: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static>() {}
fn reads<T: AsyncRead + Unpin + Send + Sync + 'static>() {}
fn writes<T: AsyncWrite + Unpin + Send + Sync + 'static>() {}

#[test]
fn who_has_which() {
    is_async::<Async<TcpStream>>();
    is_async::<Async<UnixStream>>();
    is_async::<&'static Async<TcpStream>>();
    is_async::<Async<Box<dyn Duplex>>>();
    reads::<Async<std::process::ChildStdout>>();
    reads::<&'static Async<PipeReader>>();
    writes::<Async<std::process::ChildStdin>>();
    writes::<&'static Async<std::process::ChildStdin>>();
    assert_eq!(size_of::<Async<TcpStream>>() % 8, 0);
}

trait Duplex: io::Read + io::Write + std::os::fd::AsFd + Send + Sync {}
