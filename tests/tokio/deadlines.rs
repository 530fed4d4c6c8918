//! Deadlines, which tokio's sockets lack.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use netpoll_tests::CountingWaker;
use netpoll_tests::fixtures::{
    Folder, LOOPBACK, assert_closed, assert_timed_out, in_ms, past, poll_once,
};
use netpoll_tokio::bytes_written;
use netpoll_tokio::io::Interest;
use netpoll_tokio::io::unix::AsyncFd;
use netpoll_tokio::net::unix::pipe;
use netpoll_tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixSocket, UnixStream};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader, ReadBuf};

use crate::fixtures::{TOO_MUCH, everywhere, pair};

/// Too late, whatever it is that reads; and in time again, all is as it was.
#[test]
fn everything_that_reads_has_the_deadline() {
    everywhere(|| async {
        let (mut near, far) = pair().await?;
        far.get_ref().write_all(b"hello").await?;
        near.readable().await?;
        near.set_read_deadline(past())?;
        let mut buffer = [0; 8];
        assert_timed_out(near.read(&mut buffer).await);
        assert_timed_out(AsyncReadExt::read(&mut near, &mut buffer).await);
        assert_timed_out(near.peek(&mut buffer).await);
        assert_timed_out(near.readable().await);
        assert_timed_out(near.ready(Interest::READABLE).await);
        assert_timed_out(near.ready(Interest::READABLE | Interest::WRITABLE).await);
        assert_timed_out(near.try_read(&mut buffer));
        assert_timed_out(near.try_read_buf(&mut Vec::with_capacity(8)));
        assert_timed_out(near.try_io(Interest::READABLE, || Ok(())));
        assert_timed_out(near.async_io(Interest::READABLE, || Ok(())).await);
        assert_timed_out(poll_fn(|cx| near.poll_read_ready(cx)).await);
        assert_timed_out(poll_fn(|cx| near.poll_peek(cx, &mut ReadBuf::new(&mut buffer))).await);
        near.write_all(b"writing is in time").await?;
        near.set_read_deadline(in_ms(60_000))?;
        assert_eq!(AsyncReadExt::read(&mut near, &mut buffer).await?, 5);
        Ok(())
    });
}

#[test]
fn everything_that_writes_has_the_deadline() {
    everywhere(|| async {
        let (mut near, mut far) = pair().await?;
        near.set_write_deadline(past())?;
        assert_timed_out(near.write(b"x").await);
        assert_timed_out(near.write_all(b"x").await);
        assert_timed_out(AsyncWriteExt::write_all(&mut near, b"x").await);
        assert_timed_out(near.writable().await);
        assert_timed_out(near.ready(Interest::WRITABLE).await);
        assert_timed_out(near.try_write(b"x"));
        assert_timed_out(near.try_io(Interest::WRITABLE, || Ok(())));
        assert_timed_out(poll_fn(|cx| near.poll_write_ready(cx)).await);
        far.write_all(b"reading is in time").await?;
        assert_eq!(near.read(&mut [0; 64]).await?, 18);
        near.set_write_deadline(None)?;
        near.write_all(b"x").await?;
        assert_eq!(far.read(&mut [0; 8]).await?, 1);
        Ok(())
    });
}

/// Not early, and also for operations that wait already.
#[test]
fn it_ends_pending_operations() {
    everywhere(|| async {
        let (near, _far) = pair().await?;
        let (mut reader, writer) = near.into_split();
        let begun = Instant::now();
        let mut byte = [0];
        {
            let mut read = pin!(reader.read(&mut byte));
            assert!(poll_once(read.as_mut()).is_pending());
            writer.as_ref().set_read_deadline(in_ms(20))?;
            assert_timed_out(read.await);
        }
        assert!(begun.elapsed() >= Duration::from_millis(20), "early");
        let block = vec![0; TOO_MUCH];
        writer.set_write_deadline(in_ms(20))?;
        let error = writer.as_ref().get_ref().write_all(&block).await.unwrap_err();
        let written = bytes_written(&error);
        assert!(0 < written && written < TOO_MUCH, "{written} bytes were written");
        assert!(begun.elapsed() >= Duration::from_millis(40), "early");
        Ok(())
    });
}

/// Half a line is no line, and is still there when there is time again.
#[test]
fn a_line_that_is_late_is_read_later() {
    everywhere(|| async {
        let (near, mut far) = pair().await?;
        let mut reader = BufReader::new(near);
        far.write_all(b"half a").await?;
        reader.get_ref().set_read_deadline(in_ms(10))?;
        let mut line = String::new();
        assert_timed_out(reader.read_line(&mut line).await);
        reader.get_ref().set_read_deadline(None)?;
        far.write_all(b" line\n").await?;
        reader.read_line(&mut line).await?;
        assert_eq!(line, "half a line\n");
        Ok(())
    });
}

/// One that is moved while the task is pending wakes it for the new time, and for that only.
#[test]
fn one_that_is_moved_away_does_not_fire() {
    everywhere(|| async {
        let (mut near, far) = pair().await?;
        let (near, control) = (&mut near, far);
        near.set_read_deadline(in_ms(10))?;
        near.set_read_deadline(None)?;
        let timer = netpoll::Timer::at(netpoll::Reactor::global()?, in_ms(30).unwrap())?;
        let waker = CountingWaker::new();
        let mut memory = [0; 8];
        let mut buffer = ReadBuf::new(&mut memory);
        {
            let mut read = pin!(poll_fn(|cx| Pin::new(&mut *near).poll_read(cx, &mut buffer)));
            assert!(waker.poll(read.as_mut()).is_pending());
            timer.await?;
            assert_eq!(waker.wakes(), 0, "it fired");
            control.get_ref().write_all(b"x").await?;
            read.await?;
        }
        assert_eq!(buffer.filled(), b"x");
        Ok(())
    });
}

#[test]
fn accepting_has_one() {
    everywhere(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        listener.set_deadline(in_ms(10))?;
        assert_timed_out(listener.accept().await);
        assert_timed_out(poll_fn(|cx| listener.poll_accept(cx)).await);
        listener.set_read_deadline(None)?;
        listener.set_write_deadline(past())?;
        let _client = TcpStream::connect(listener.local_addr()?).await?;
        listener.accept().await?;
        Ok(())
    });
}

#[test]
fn unix_sockets_have_them() {
    everywhere(|| async {
        let (mut near, far) = UnixStream::pair()?;
        near.set_deadline(past())?;
        assert_timed_out(near.read(&mut [0]).await);
        assert_timed_out(near.write(b"x").await);
        near.set_deadline(None)?;
        near.write_all(b"x").await?;
        assert_eq!(far.get_ref().read(&mut [0]).await?, 1);
        let listener = UnixListener::bind(format!("\0netpoll-tokio-late-{}", std::process::id()))?;
        listener.set_deadline(in_ms(10))?;
        assert_timed_out(listener.accept().await);
        Ok(())
    });
}

/// A descriptor and the two ends of a pipe that a library has taken: the owner sets their deadlines.
#[test]
fn a_handle_sets_the_deadlines_of_any_descriptor() {
    everywhere(|| async {
        let (mut sender, mut receiver) = pipe::pipe()?;
        let (sends, receives) = (sender.deadlines(), receiver.deadlines());
        receives.set_read_deadline(in_ms(10))?;
        assert_timed_out(receiver.read_u8().await);
        receives.set_deadline(None)?;
        sends.set_write_deadline(past())?;
        assert_timed_out(sender.write_u8(b'x').await);
        sends.set_write_deadline(None)?;
        sender.write_u8(b'x').await?;
        assert_eq!(receiver.read_u8().await?, b'x');
        a_shared_descriptor().await?;

        // The handle does not keep the end open, and an end that is given back has no deadlines.
        drop(sender);
        assert_closed(sends.set_deadline(None));
        assert_eq!(receiver.read(&mut [0; 8]).await?, 0);
        let _given_back = receiver.into_nonblocking_fd()?;
        assert_closed(receives.set_deadline(None));
        Ok(())
    });
}

async fn a_shared_descriptor() -> std::io::Result<()> {
    let (near, _far) = std::os::unix::net::UnixStream::pair()?;
    near.set_nonblocking(true)?;
    let near = Arc::new(AsyncFd::new(near)?);
    let deadlines = near.deadlines();
    deadlines.set_read_deadline(in_ms(10))?;
    assert_timed_out(near.readable().await);
    near.writable().await?.retain_ready();
    deadlines.set_deadline(past())?;
    assert_timed_out(near.writable().await);
    drop(near);
    assert_closed(deadlines.set_deadline(None));
    Ok(())
}

/// A port of which the queue is full answers no connect.
#[test]
fn a_connect_ends_after_its_time() {
    everywhere(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let time = Duration::from_secs(60);
        TcpStream::connect_timeout(listener.local_addr()?, time).await?;
        let full = TcpSocket::new_v4()?;
        full.bind(LOOPBACK.parse().expect("an address"))?;
        let full = full.listen(0)?;
        let address = full.local_addr()?;
        let _queued = TcpStream::connect(address).await?;
        let began = Instant::now();
        let short = Duration::from_millis(20);
        assert_timed_out(TcpStream::connect_timeout(address, short).await);
        assert!(began.elapsed() >= short, "early");

        let folder = Folder::new()?;
        let path = folder.join("socket");
        let socket = UnixSocket::new_stream()?;
        socket.bind(&path)?;
        let _full = socket.listen(0)?;
        let _queued = UnixStream::connect_timeout(&path, time).await?;
        assert_timed_out(UnixStream::connect_timeout(&path, short).await);
        Ok(())
    });
}
