//! The pauses of an accept loop that has run out of something.

use std::io::{self, ErrorKind};
use std::pin::pin;
use std::time::{Duration, Instant};

use netpoll_futures::{Backoff, OpError, raw_os_error};
use netpoll_tests::fixtures::{assert_closed, assert_kind, assert_timed_out, os, poll_once, run};

const FIRST: Duration = Duration::from_millis(5);

fn exhausted() -> io::Error {
    io::Error::from_raw_os_error(libc::EMFILE)
}

fn wrapped() -> io::Error {
    OpError::wrap("accept", "127.0.0.1:80", exhausted())
}

/// How long this pause is, at least.
async fn pause(backoff: &mut Backoff, error: io::Error) -> io::Result<Duration> {
    let began = Instant::now();
    backoff.pause(error).await?;
    Ok(began.elapsed())
}

#[test]
fn other_errors_come_back_as_they_are() {
    run(|| async {
        let mut backoff = Backoff::new();
        for code in [libc::EINVAL, libc::EBADF, libc::EFAULT, libc::ENOTSOCK] {
            let error = backoff.pause(io::Error::from_raw_os_error(code)).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(code));
            let error = OpError::wrap("accept", "here", io::Error::from_raw_os_error(code));
            let error = backoff.pause(error).await.unwrap_err();
            assert_eq!(raw_os_error(&error), Some(code));
            assert!(error.to_string().starts_with("accept here: "));
        }
        assert_closed(backoff.pause(netpoll_futures::Closed::error()).await);
        assert_timed_out(backoff.pause(netpoll_futures::DeadlineExceeded::error()).await);
        assert_kind(backoff.pause(ErrorKind::InvalidData.into()).await, ErrorKind::InvalidData);
        assert_eq!(format!("{backoff:?}"), format!("{:?}", Backoff::new()), "and cost nothing");
        Ok(())
    });
}

#[test]
fn a_lack_of_anything_is_waited_out() {
    run(|| async {
        for code in [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS, libc::ENOSPC] {
            let error = io::Error::from_raw_os_error(code);
            assert!(pause(&mut Backoff::new(), error).await? >= FIRST);
        }
        assert!(pause(&mut Backoff::default(), wrapped()).await? >= FIRST);
        let ours = ErrorKind::OutOfMemory.into();
        assert!(
            pause(&mut Backoff::new(), ours).await? >= FIRST,
            "memory is not only the kernel's"
        );
        Ok(())
    });
}

/// `accept(2)`: network errors of the new connection are told by accepting it, and are no reason to
/// stop. A server that stopped could be stopped by a peer.
#[test]
fn an_error_of_one_connection_is_waited_out() {
    run(|| async {
        for code in os::OF_ONE_CONNECTION {
            let error = OpError::wrap("accept", "here", io::Error::from_raw_os_error(code));
            assert!(pause(&mut Backoff::new(), error).await? >= FIRST);
        }
        Ok(())
    });
}

#[test]
fn pauses_double() {
    run(|| async {
        let mut backoff = Backoff::new();
        let mut least = FIRST;
        for round in 0..6 {
            let error = if round % 2 == 0 { exhausted() } else { wrapped() };
            assert!(pause(&mut backoff, error).await? >= least);
            least *= 2;
        }
        backoff.reset();
        assert_eq!(format!("{backoff:?}"), format!("{:?}", Backoff::new()));
        assert!(pause(&mut backoff, exhausted()).await? >= FIRST);
        Ok(())
    });
}

/// Doubled for ever, it would be years by the end; a pause that was begun counts.
#[test]
fn pauses_grow_to_a_second() {
    run(|| async {
        let mut backoff = Backoff::new();
        for _ in 0..100 {
            assert!(poll_once(pin!(backoff.pause(exhausted()))).is_pending());
        }
        assert!(pause(&mut backoff, exhausted()).await? >= Duration::from_secs(1));
        Ok(())
    });
}
