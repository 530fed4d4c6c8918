//! Ending one direction. The system ends the calls that wait for it, but where the buffer is full it
//! has no event for that.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::pin::pin;
use std::time::{Duration, Instant};

use netpoll_futures::UnixStream;
use netpoll_tests::CountingWaker;
use netpoll_tests::fixtures::assert_timed_out;
use netpoll_tests::fixtures::tcp::read_exactly;
use netpoll_tests::fixtures::{assert_kind, poll_once, run};

/// More than a stream takes before it blocks.
const TOO_MUCH: usize = 4 * 1024 * 1024;

#[test]
fn ending_writing_breaks_a_write_that_waits() {
    run(|| async {
        for how in [Shutdown::Write, Shutdown::Both] {
            let (near, _far) = UnixStream::pair()?;
            let block = vec![0x5a; TOO_MUCH];
            let waker = CountingWaker::new();
            let mut write = pin!(near.write_all(&block));
            assert!(waker.poll(write.as_mut()).is_pending());
            near.shutdown(how)?;
            assert!(waker.wakes() > 0, "by ending it");
            assert_kind(write.await, ErrorKind::BrokenPipe);
        }
        Ok(())
    });
}

#[test]
fn ending_reading_ends_a_read_that_waits() {
    run(|| async {
        let (near, far) = UnixStream::pair()?;
        let mut buffer = [0; 16];
        let mut read = pin!(near.read(&mut buffer));
        assert!(poll_once(read.as_mut()).is_pending());
        near.shutdown(Shutdown::Read)?;
        assert_eq!(read.await?, 0);
        assert_kind(far.write(b"hello").await, ErrorKind::BrokenPipe);
        near.write_all(b"hello").await?;
        assert_eq!(read_exactly(&far, 5).await?, b"hello", "the other way is open");
        Ok(())
    });
}

/// The system has no event for a write that waits for room while the peer ends its reading. Its
/// deadline ends it, or the peer's close.
#[test]
fn a_peer_that_ends_its_reading_breaks_writes() {
    run(|| async {
        let (near, far) = UnixStream::pair()?;
        near.write_all(b"hello").await?;
        far.shutdown(Shutdown::Read)?;
        assert_kind(near.write_all(b"more").await, ErrorKind::BrokenPipe);
        let (near, far) = UnixStream::pair()?;
        let block = vec![0x5a; TOO_MUCH];
        let mut write = pin!(near.write_all(&block));
        assert!(poll_once(write.as_mut()).is_pending());
        far.shutdown(Shutdown::Read)?;
        near.set_write_deadline(Some(Instant::now() + Duration::from_millis(5)))?;
        match write.await.expect_err("the peer does not read it") {
            told if told.kind() == ErrorKind::BrokenPipe => {}
            late => assert_timed_out::<()>(Err(late)),
        }
        near.set_write_deadline(None)?;
        drop(far);
        assert_kind(near.write_all(b"more").await, ErrorKind::BrokenPipe);
        Ok(())
    });
}
