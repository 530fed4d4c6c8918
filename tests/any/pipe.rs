//! Pipes, of all kinds.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::pin::pin;

use netpoll::{Direction, Interest};
use netpoll_futures::Async;
use netpoll_tests::CountingWaker;
use netpoll_tests::fixtures::any::{fill, read_byte};
use netpoll_tests::fixtures::{Folder, assert_kind, os, run, wait_for_wakes, wait_until_woken};

pub(crate) fn pipe() -> io::Result<(Async<PipeReader>, Async<PipeWriter>)> {
    let (reader, writer) = io::pipe()?;
    Ok((Async::new(reader)?, Async::new(writer)?))
}

#[test]
fn a_pending_read_is_woken_by_a_write() {
    run(|| async {
        let (reader, writer) = pipe()?;
        let waker = CountingWaker::new();
        let mut read = pin!(reader.read_with(read_byte));
        assert!(waker.poll(read.as_mut()).is_pending());
        writer.write_with(|mut io| io.write(b"x")).await?;
        wait_for_wakes(&waker, 1);
        assert_eq!(read.await?, b'x');
        Ok(())
    });
}

#[test]
fn a_pending_write_is_woken_for_room() {
    run(|| async {
        let (reader, writer) = pipe()?;
        let mut written = fill(&writer).await?;
        assert!(written > 0);
        let waker = CountingWaker::new();
        let mut write = pin!(writer.write_with(|mut io| io.write(&[1; 4096])));
        assert!(waker.poll(write.as_mut()).is_pending());
        let mut buffer = vec![0; 1 << 16];
        let read = reader.read_with(|mut io| io.read(&mut buffer)).await?;
        assert!(read > 4096);
        wait_until_woken(&waker);
        written += write.await?;
        let mut left = written - read;
        while left > 0 {
            left -= reader.read_with(|mut io| io.read(&mut buffer)).await?;
        }
        Ok(())
    });
}

#[test]
fn the_end_is_read_when_the_writer_is_dropped() {
    run(|| async {
        let (reader, writer) = pipe()?;
        let waker = CountingWaker::new();
        let mut read = pin!(reader.read_with(|mut io| io.read(&mut [0])));
        assert!(waker.poll(read.as_mut()).is_pending());
        drop(writer);
        wait_for_wakes(&waker, 1);
        assert_eq!(read.await?, 0);
        Ok(())
    });
}

#[test]
fn a_pipe_without_a_reader_is_broken() {
    run(|| async {
        let (reader, writer) = pipe()?;
        fill(&writer).await?;
        let waker = CountingWaker::new();
        let mut write = pin!(writer.write_with(|mut io| io.write(b"x")));
        assert!(waker.poll(write.as_mut()).is_pending());
        drop(reader);
        assert_kind(write.await, ErrorKind::BrokenPipe);
        assert_kind(writer.write_with(|mut io| io.write(b"x")).await, ErrorKind::BrokenPipe);
        writer.writable().await
    });
}

/// async-io waits for ever, unless the other end goes.
#[test]
fn an_end_does_not_wait_for_a_direction_that_it_lacks() {
    run(|| async {
        let (reader, writer) = pipe()?;
        assert_kind(reader.writable().await, ErrorKind::InvalidInput);
        assert_kind(reader.write_with(|_| Ok(())).await, ErrorKind::InvalidInput);
        assert_kind(reader.try_io(Direction::Write, |_| Ok(())), ErrorKind::InvalidInput);
        assert_kind(writer.readable().await, ErrorKind::InvalidInput);
        assert_kind(writer.read_with(|_| Ok(())).await, ErrorKind::InvalidInput);
        Ok(())
    });
}

/// Registered for both, an end reports nothing of the other's direction until that end is gone: it
/// does no harm, but waiting for it is in vain.
#[test]
fn an_end_registered_for_both_reports_its_own_direction() {
    use netpoll::{Reactor, Registration};
    use std::time::Duration;
    netpoll_tests::watched(|| {
        let reactor = Reactor::builder().embedded().build().expect("a reactor");
        let (reader, mut writer) = io::pipe().expect("a pipe");
        netpoll_futures::sys::set_nonblocking(reader.as_fd(), true).expect("open");
        let registration =
            Registration::with(&reactor, reader, Interest::Both).expect("a registration");
        let reader = Async::from(registration);
        let waker = CountingWaker::new();
        let (mut readable, mut writable) = (pin!(reader.readable()), pin!(reader.writable()));
        for _ in 0..3 {
            reactor.turn(Some(Duration::ZERO)).expect("a turn");
        }
        assert!(waker.poll(writable.as_mut()).is_pending());
        writer.write_all(b"x").expect("room");
        reactor.turn(None).expect("a turn");
        assert!(waker.poll(readable.as_mut()).is_ready());
        assert!(waker.poll(writable.as_mut()).is_pending());
        assert_eq!(waker.wakes(), 0);
        drop(writer);
        while waker.wakes() == 0 {
            reactor.turn(None).expect("a turn");
        }
        assert!(waker.poll(writable).is_ready(), "there is no other end");
    });
}

/// A read of a packet pipe that fills less than the buffer is not the last: short reads prove nothing.
#[test]
fn packets_are_read_one_by_one() {
    run(|| async {
        let (reader, writer) = os::packet_pipe()?;
        let (reader, writer) = (Async::new(reader)?, Async::new(writer)?);
        for packet in [&b"one"[..], b"two", b"three"] {
            writer.write_with(|io| os::write(io.as_fd(), packet)).await?;
        }
        for packet in [&b"one"[..], b"two", b"three"] {
            let mut buffer = [0; 64];
            let len = reader.read_with(|io| os::read(io.as_fd(), &mut buffer)).await?;
            assert_eq!(&buffer[..len], packet);
        }
        Ok(())
    });
}

/// A named pipe that is opened for both directions can do both.
#[test]
fn a_named_pipe_opened_for_both_reads_its_own_bytes() {
    run(|| async {
        let folder = Folder::new()?;
        let path = folder.join("pipe");
        os::make_fifo(&path)?;
        let pipe = Async::new(OpenOptions::new().read(true).write(true).open(path)?)?;
        let waker = CountingWaker::new();
        let mut read = pin!(pipe.read_with(read_byte));
        assert!(waker.poll(read.as_mut()).is_pending());
        assert_eq!(pipe.write_with(|mut io| io.write(b"x")).await?, 1);
        assert_eq!(read.await?, b'x');
        let room = fill(&pipe).await?;
        let mut writable = pin!(pipe.writable());
        assert!(waker.poll(writable.as_mut()).is_pending(), "full after {room}");
        let mut buffer = vec![0; room];
        assert_eq!(pipe.read_with(|mut io| io.read(&mut buffer)).await?, room);
        writable.await
    });
}
