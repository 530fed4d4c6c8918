//! The traits of futures-io, for the descriptor and for references to it.

use std::io::{self, IoSlice, IoSliceMut, PipeReader, PipeWriter};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::task::{Context, Waker};

use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use netpoll_futures::Async;
use netpoll_tests::CountingWaker;
use netpoll_tests::fixtures::any::fill;
use netpoll_tests::fixtures::{assert_closed, assert_timed_out, past, run, wait_for_wakes};

use crate::pipe::pipe;

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
            other.get_ref().shutdown(Shutdown::Write)?;
            io::Result::Ok(copied)
        };
        let sent: Vec<u8> = (0..LEN).map(|index| (index % 251) as u8).collect();
        let write = async {
            (&one).write_all(&sent).await?;
            one.get_ref().shutdown(Shutdown::Write)
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

/// As in async-io: `poll_close` flushes, and ends nothing. A server library that closes its writer before the peer has
/// all of its answer loses none of it.
#[test]
fn closing_the_writer_of_a_pipe_only_flushes_it() {
    run(|| async {
        let (mut reader, mut writer) = pipe()?;
        AsyncWriteExt::close(&mut &writer).await?;
        (&writer).write_all(b"a").await?;
        AsyncWriteExt::close(&mut writer).await?;
        writer.write_all(b"b").await?;
        let mut buffer = [0; 2];
        reader.read_exact(&mut buffer).await?;
        assert_eq!(&buffer, b"ab");
        drop(writer);
        assert_eq!(reader.read(&mut buffer).await?, 0);
        Ok(())
    });
}

#[test]
fn closing_the_writer_of_a_socket_only_flushes_it() {
    run(|| async {
        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
        let address = listener.get_ref().local_addr()?;
        let mut one = Async::<TcpStream>::connect(address).await?;
        let (mut other, _) = listener.accept().await?;
        AsyncWriteExt::close(&mut &one).await?;
        (&one).write_all(b"a").await?;
        AsyncWriteExt::close(&mut one).await?;
        one.write_all(b"b").await?;
        let mut buffer = [0; 2];
        other.read_exact(&mut buffer).await?;
        assert_eq!(&buffer, b"ab");
        Async::close(&one).await?;
        assert_closed(AsyncWriteExt::close(&mut one).await);
        assert_eq!(other.read(&mut buffer).await?, 0);
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
        assert_timed_out((&writer).write(b"x").await);
        AsyncWriteExt::close(&mut &writer).await
    });
}

#[test]
fn deadlines_and_close_hold_for_the_traits() {
    run(|| async {
        let (mut reader, mut writer): (Async<PipeReader>, Async<PipeWriter>) = pipe()?;
        reader.set_deadline(past())?;
        assert_timed_out(reader.read(&mut [0]).await);
        assert_timed_out((&reader).read(&mut [0]).await);
        let mut buffers = [IoSliceMut::new(&mut [])];
        assert_timed_out(reader.read_vectored(&mut buffers).await);
        writer.set_deadline(past())?;
        assert_timed_out(writer.write(b"x").await);
        assert_timed_out((&writer).write(b"x").await);
        assert_timed_out(writer.write_vectored(&[IoSlice::new(b"x")]).await);
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
fn which_types_have_which_traits() {
    is_async::<Async<TcpStream>>();
    is_async::<Async<UnixStream>>();
    is_async::<&'static Async<TcpStream>>();
    is_async::<Async<Box<dyn Duplex>>>();
    reads::<Async<std::process::ChildStdout>>();
    reads::<&'static Async<PipeReader>>();
    writes::<Async<std::process::ChildStdin>>();
    writes::<&'static Async<std::process::ChildStdin>>();
}

trait Duplex: io::Read + io::Write + std::os::fd::AsFd + Send + Sync {}
