//! A `write_all` that fails midway.

use std::io;
use std::net::Shutdown;
use std::pin::pin;
use std::time::Duration;

use netpoll_futures::{bytes_written, is_deadline_exceeded, raw_os_error};
use netpoll_tests::fixtures::tcp::{TOO_MUCH, read_to_end, tight_pair};
use netpoll_tests::fixtures::{in_ms, pattern, poll_once, run};

/// Go's `Write` returns how much it has written besides its error.
#[test]
fn a_write_that_fails_midway_says_how_much_was_written() {
    run(|| async {
        let (client, server) = tight_pair().await?;
        let sent = pattern(TOO_MUCH);
        client.set_write_deadline(in_ms(20))?;
        let late = client.write_all(&sent).await.unwrap_err();
        assert!(is_deadline_exceeded(&late) && late.kind() == io::ErrorKind::TimedOut);
        let written = bytes_written(&late);
        assert!(written > 0 && written < sent.len());
        let message = format!("deadline exceeded, after {written} bytes were written");
        assert_eq!(late.to_string(), message);
        client.shutdown(Shutdown::Write)?;
        assert!(read_to_end(&server).await? == sent[..written]);
        assert_eq!(bytes_written(&client.write_all(b"").await.unwrap_err()), 0);
        Ok(())
    });
}

/// The errno is still to be found, and the kind is the same.
#[test]
fn a_write_that_is_reset_midway_says_how_much_was_written() {
    run(|| async {
        let (client, server) = tight_pair().await?;
        let block = pattern(TOO_MUCH);
        let mut write = pin!(client.write_all(&block));
        assert!(poll_once(write.as_mut()).is_pending(), "part of it is sent");
        server.set_linger(Some(Duration::ZERO))?;
        server.close().await?;
        let reset = write.await.unwrap_err();
        assert!(bytes_written(&reset) > 0);
        assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);
        assert!(raw_os_error(&reset).is_some());
        Ok(())
    });
}
