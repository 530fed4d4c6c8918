//! The ends of operations on datagrams, of both families: deadlines and closing.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::time::{Duration, Instant};

use netpoll_tests::fixtures::{assert_closed, assert_timed_out, in_ms, past, poll_once};
use netpoll_tokio::Datagram;
use netpoll_tokio::io::{Interest, ReadBuf};

use crate::datagram::{BOTH, Family, for_both_families};

for_both_families!(
    everything_that_receives_has_the_deadline,
    everything_that_sends_has_the_deadline,
    a_deadline_ends_pending_operations,
    closing_ends_pending_operations,
    everything_fails_on_a_closed_socket,
);

/// Too late, whatever it is that receives; and in time again, nothing is lost.
async fn everything_that_receives_has_the_deadline<S: Family>() -> io::Result<()> {
    let (near, far) = S::pair().await?;
    far.send(b"hello").await?;
    near.readable().await?;
    let (mut buffer, mut vec) = ([0; 8], Vec::with_capacity(8));
    for late in [Datagram::set_read_deadline, Datagram::set_deadline] {
        late(&near, past())?;
        assert_timed_out(near.recv(&mut buffer).await);
        assert_timed_out(near.recv_from(&mut buffer).await);
        assert_timed_out(near.recv_buf(&mut vec).await);
        assert_timed_out(near.recv_buf_from(&mut vec).await);
        assert_timed_out(near.peek(&mut buffer).await);
        assert_timed_out(near.peek_from(&mut buffer).await);
        assert_timed_out(near.peek_sender().await);
        assert_timed_out(near.readable().await);
        assert_timed_out(near.ready(BOTH).await);
        assert_timed_out(near.try_recv(&mut buffer));
        assert_timed_out(near.try_recv_from(&mut buffer));
        assert_timed_out(near.try_recv_buf(&mut vec));
        assert_timed_out(near.try_recv_buf_from(&mut vec));
        assert_timed_out(near.try_peek_sender());
        assert_timed_out(near.try_io(Interest::READABLE, || Ok(())));
        assert_timed_out(near.async_io(Interest::READABLE, || Ok(())).await);
        let mut buffer = ReadBuf::new(&mut buffer);
        assert_timed_out(poll_fn(|cx| near.poll_recv(cx, &mut buffer)).await);
        assert_timed_out(poll_fn(|cx| near.poll_recv_from(cx, &mut buffer)).await);
        assert_timed_out(poll_fn(|cx| S::poll_peek(&near, cx, &mut buffer)).await);
        assert_timed_out(poll_fn(|cx| near.poll_peek_from(cx, &mut buffer)).await);
        assert_timed_out(poll_fn(|cx| near.poll_recv_ready(cx)).await);
        assert!(buffer.filled().is_empty() && vec.is_empty());
        near.set_write_deadline(None)?;
        near.send(b"sending is in time").await?;
    }
    near.set_read_deadline(in_ms(60_000))?;
    assert_eq!((near.recv(&mut buffer).await?, &buffer[..5]), (5, &b"hello"[..]));
    Ok(())
}

async fn everything_that_sends_has_the_deadline<S: Family>() -> io::Result<()> {
    let (near, far) = S::pair().await?;
    near.set_write_deadline(past())?;
    assert_timed_out(near.send(b"x").await);
    assert_timed_out(near.try_send(b"x"));
    assert_timed_out(poll_fn(|cx| near.poll_send(cx, b"x")).await);
    assert_timed_out(poll_fn(|cx| near.poll_send_ready(cx)).await);
    assert_timed_out(near.writable().await);
    assert_timed_out(near.ready(BOTH).await);
    assert_timed_out(near.try_io(Interest::WRITABLE, || Ok(())));
    far.send(b"receiving is in time").await?;
    assert_eq!(near.recv(&mut [0; 64]).await?, 20);
    near.set_write_deadline(None)?;
    near.send(b"the only one").await?;
    assert_eq!(far.recv(&mut [0; 64]).await?, 12);
    Ok(())
}

/// Not early, and also for operations that wait already.
async fn a_deadline_ends_pending_operations<S: Family>() -> io::Result<()> {
    let (near, far) = S::pair().await?;
    let begun = Instant::now();
    let mut buffer = [0; 8];
    {
        let mut receive = pin!(near.recv(&mut buffer));
        assert!(poll_once(receive.as_mut()).is_pending());
        near.set_read_deadline(in_ms(20))?;
        assert_timed_out(receive.await);
    }
    assert!(begun.elapsed() >= Duration::from_millis(20), "early");
    near.set_read_deadline(None)?;
    far.send(b"hello").await?;
    assert_eq!(near.recv(&mut buffer).await?, 5);
    Ok(())
}

async fn closing_ends_pending_operations<S: Family>() -> io::Result<()> {
    let (near, _far) = S::pair().await?;
    let (mut first, mut second) = ([0; 8], Vec::with_capacity(8));
    let mut receive = pin!(near.recv(&mut first));
    let mut next = pin!(near.recv_buf_from(&mut second));
    let mut ready = pin!(near.ready(Interest::READABLE));
    assert!(poll_once(receive.as_mut()).is_pending());
    assert!(poll_once(next.as_mut()).is_pending());
    assert!(poll_once(ready.as_mut()).is_pending());
    near.close().await?;
    assert_closed(receive.await);
    assert_closed(next.await);
    assert_closed(ready.await);
    Ok(())
}

async fn everything_fails_on_a_closed_socket<S: Family>() -> io::Result<()> {
    let (near, far) = S::pair().await?;
    far.send(b"there is something").await?;
    near.readable().await?;
    near.close().await?;
    let (mut buffer, mut vec) = ([0; 8], Vec::with_capacity(8));
    assert_closed(near.close().await);
    assert_closed(near.recv(&mut buffer).await);
    assert_closed(near.recv_buf(&mut vec).await);
    assert_closed(near.peek_sender().await);
    assert_closed(near.send(b"x").await);
    assert_closed(near.try_recv_buf_from(&mut vec));
    assert_closed(near.try_send(b"x"));
    let mut buffer = ReadBuf::new(&mut buffer);
    assert_closed(poll_fn(|cx| near.poll_recv(cx, &mut buffer)).await);
    assert_closed(poll_fn(|cx| near.poll_send(cx, b"x")).await);
    assert_closed(near.readable().await);
    assert_closed(near.writable().await);
    assert_closed(near.ready(BOTH).await);
    assert_closed(near.try_io(Interest::WRITABLE, || Ok(())));
    assert_closed(near.async_io(Interest::READABLE, || Ok(())).await);
    assert_closed(near.set_deadline(None));
    assert_closed(near.set_read_deadline(past()));
    assert_closed(near.set_write_deadline(in_ms(1)));
    assert_closed(near.local_addr());
    assert_closed(near.peer_addr());
    Ok(())
}
