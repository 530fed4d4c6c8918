//! Deadlines, on every kind of descriptor.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::time::{Duration, Instant};

use netpoll::Direction;
use netpoll_futures::is_deadline_exceeded;
use netpoll_tests::CountingWaker;
use netpoll_tests::fixtures::any::read_byte;
use netpoll_tests::fixtures::{
    assert_kind, assert_timed_out, in_ms, os, past, run, wait_for_wakes,
};

use crate::kinds::{Kind, full, silent};
use crate::pipe::pipe;

fn read(io: &OwnedFd) -> io::Result<u8> {
    read_byte(io)
}

fn write(io: &OwnedFd) -> io::Result<usize> {
    os::write(io.as_fd(), &[0, 0, 0, 0, 0, 0, 0, 2])
}

#[test]
fn a_read_ends_in_time_and_not_before() {
    run(|| async {
        for Kind { name, io, .. } in silent()? {
            let deadline = Instant::now() + Duration::from_millis(3);
            io.set_read_deadline(Some(deadline))?;
            let late = io.readable().await.expect_err(name);
            assert!(Instant::now() >= deadline, "{name}: early");
            assert!(is_deadline_exceeded(&late), "{name}: {late:?}");
            assert_timed_out(io.read_with(read).await);
            assert_timed_out(io.try_io(Direction::Read, read));
            io.set_read_deadline(None)?;
            assert_kind(io.try_io(Direction::Read, read), io::ErrorKind::WouldBlock);
        }
        Ok(())
    });
}

#[test]
fn a_write_ends_in_time_and_not_before() {
    run(|| async {
        for Kind { name, io, .. } in full().await? {
            let deadline = Instant::now() + Duration::from_millis(3);
            io.set_write_deadline(Some(deadline))?;
            let late = io.write_with(write).await.expect_err(name);
            assert!(Instant::now() >= deadline, "{name}: early");
            assert!(is_deadline_exceeded(&late), "{name}: {late:?}");
            assert_timed_out(io.writable().await);
            io.set_write_deadline(None)?;
            assert_kind(io.try_io(Direction::Write, write), io::ErrorKind::WouldBlock);
        }
        Ok(())
    });
}

#[test]
fn a_deadline_in_the_past_ends_pending_operations() {
    run(|| async {
        for Kind { name, io, .. } in silent()? {
            let waker = CountingWaker::new();
            let mut pending = pin!(io.read_with(read));
            let mut readable = pin!(io.readable());
            assert!(waker.poll(pending.as_mut()).is_pending(), "{name}");
            assert!(waker.poll(readable.as_mut()).is_pending(), "{name}");
            io.set_deadline(past())?;
            wait_for_wakes(&waker, 2);
            assert_timed_out(pending.await);
            assert_timed_out(readable.await);
        }
        Ok(())
    });
}

/// Each of those in line finds that it is too late, and none is left waiting.
#[test]
fn every_task_in_line_is_late() {
    run(|| async {
        let (reader, _writer) = pipe()?;
        let reads: Vec<_> = (0..10).map(|_| reader.read_with(read_byte)).collect();
        reader.set_read_deadline(in_ms(3))?;
        for read in futures::future::join_all(reads).await {
            assert_timed_out(read);
        }
        Ok(())
    });
}

#[test]
fn nothing_is_lost_to_a_deadline() {
    run(|| async {
        let (reader, writer) = pipe()?;
        reader.set_deadline(past())?;
        writer.write_with(|io| netpoll_tests::fixtures::os::write(io.as_fd(), b"xy")).await?;
        assert_timed_out(reader.read_with(read_byte).await);
        reader.set_deadline(None)?;
        assert_eq!(reader.read_with(read_byte).await?, b'x');
        assert_eq!(reader.read_with(read_byte).await?, b'y');
        Ok(())
    });
}

#[test]
fn a_deadline_moved_away_does_not_fire() {
    run(|| async {
        let (reader, writer) = pipe()?;
        reader.set_read_deadline(in_ms(5))?;
        let waker = CountingWaker::new();
        let mut read = pin!(reader.read_with(read_byte));
        assert!(waker.poll(read.as_mut()).is_pending());
        reader.set_read_deadline(in_ms(3_600_000))?;
        netpoll_tests::fixtures::reactor_reaches(Duration::from_millis(10)).await?;
        assert_eq!(waker.wakes(), 0);
        assert!(waker.poll(read.as_mut()).is_pending());
        writer.write_with(|io| netpoll_tests::fixtures::os::write(io.as_fd(), b"x")).await?;
        assert_eq!(read.await?, b'x');
        Ok(())
    });
}

#[test]
fn the_directions_have_deadlines_of_their_own() {
    run(|| async {
        for Kind { name, io, .. } in full().await? {
            if name == "pipe" {
                continue;
            }
            io.set_read_deadline(past())?;
            assert_timed_out(io.read_with(read).await);
            assert_kind(io.try_io(Direction::Write, write), io::ErrorKind::WouldBlock);
            io.set_deadline(None)?;
            io.set_write_deadline(past())?;
            assert_timed_out(io.write_with(write).await);
            let nothing = io.try_io(Direction::Read, read);
            assert!(!nothing.is_err_and(|error| is_deadline_exceeded(&error)), "{name}");
        }
        Ok(())
    });
}
