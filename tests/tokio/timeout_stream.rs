//! `TimeoutStream`, with tokio's io traits.

use std::io;
use std::time::{Duration, Instant};

use netpoll_tests::fixtures::{assert_closed, assert_timed_out};
use netpoll_tokio::net::UnixStream;
use netpoll_tokio::{TimeoutStream, Timeouts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fixtures::{MUCH, TOO_MUCH, everywhere, pair};

const SHORT: Duration = Duration::from_millis(20);

fn idle() -> Timeouts {
    Timeouts { idle: Some(SHORT), write_stall: None }
}

fn write_stall() -> Timeouts {
    Timeouts { idle: None, write_stall: Some(SHORT) }
}

#[test]
fn a_silent_peer_is_timed_out_and_may_speak_again() {
    everywhere(|| async {
        let (stream, mut peer) = pair().await?;
        let mut stream = TimeoutStream::new(stream, idle());
        assert_eq!(stream.timeouts(), idle());
        // Into room that is not initialised, and into some that is.
        let mut room = Vec::with_capacity(64);
        peer.write_all(b"hello").await?;
        assert_eq!(stream.read_buf(&mut room).await?, 5);
        let began = Instant::now();
        assert_timed_out(stream.read_buf(&mut room).await);
        assert!(began.elapsed() >= SHORT, "early");
        assert_timed_out(stream.read(&mut [0; 8]).await);

        peer.write_all(b" again").await?;
        peer.shutdown().await?;
        stream.set_timeouts(Timeouts::none());
        stream.read_to_end(&mut room).await?;
        assert_eq!(room, b"hello again");
        Ok(())
    });
}

#[test]
fn a_peer_that_takes_nothing_is_timed_out() {
    everywhere(|| async {
        let (stream, _peer) = pair().await?;
        let mut stream = TimeoutStream::new(stream, write_stall());
        assert_timed_out(stream.write_all(&vec![0; TOO_MUCH]).await);
        let mut stream = stream.into_inner();
        // The deadlines are gone, and the stream is tokio's again.
        assert_eq!(stream.try_write(b"x").unwrap_err().kind(), io::ErrorKind::WouldBlock);
        stream.shutdown().await
    });
}

#[test]
fn much_goes_through_both_ways() {
    everywhere(|| async {
        let (near, far) = UnixStream::pair()?;
        let [mut near, mut far] =
            [near, far].map(|stream| TimeoutStream::new(stream, Timeouts::default()));
        let sent = vec![7; MUCH];
        let mut received = vec![0; MUCH];
        let send = async {
            near.write_all(&sent).await?;
            near.flush().await?;
            near.shutdown().await
        };
        let receive = async {
            far.read_exact(&mut received).await?;
            far.read(&mut [0]).await
        };
        let (sent_all, end) = futures::future::join(send, receive).await;
        sent_all?;
        assert_eq!(end?, 0);
        assert_eq!(received, sent);
        near.close().await?;
        assert_closed(near.flush().await);
        assert_closed(near.close().await);
        Ok(())
    });
}
