//! Reading and writing: the bytes that one call moves, the end, and the errors that tell the
//! causes apart.

use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::pin::pin;
use std::sync::Arc;

use futures::future::{join, try_join};
use futures::poll;
use netpoll::{is_closed, is_deadline_exceeded, raw_os_error};
use netpoll_futures::bytes_written;

use super::peers::{
    fill_up, more_than_fits, pattern, pending_read, pending_write, read_exactly, read_to_end,
    write_until_it_fails,
};
use super::{Behaviour, Stage, Stream, Transport, behaviours};
use crate::fixtures::{assert_timed_out, in_ms, past};

const MIB: usize = 1024 * 1024;

pub(super) fn all<T: Transport>() -> Vec<Behaviour> {
    behaviours![
        T: g1_a_read_waits_for_bytes,
        g1_all_data_comes_before_the_end, g2_a_read_takes_the_bytes_that_are_there,
        g2_bytes_that_a_read_leaves_are_there_for_the_next, g3_writing_nothing_is_not_the_end,
        g4_a_write_cut_short_says_how_much_was_written, g4_writing_to_a_peer_that_is_gone_fails,
        g4_a_pending_write_to_a_peer_that_goes_away_fails, g5_writing_nothing_asks_for_the_deadline,
        g5_writing_nothing_needs_no_room, g5_writing_all_of_nothing_asks_for_the_deadline,
        g6_a_write_larger_than_all_buffers_is_whole, g6_a_mebibyte_goes_each_way_at_once,
        l3_the_end_is_no_error_however_often, l5_a_deadline_is_told_by_its_error,
        l7_closed_is_told_by_its_error, l8_a_system_error_is_neither_and_keeps_its_number,
    ]
}

/// Again and again, a byte at a time, in another task.
async fn g1_a_read_waits_for_bytes<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    for _ in 0..20 {
        let read = pending_read(&stage, &near).await;
        far.write_all(b"a").await?;
        assert_eq!(read.await?, 1);
    }
    Ok(())
}

/// The peer closes as soon as it has written: fewer bytes than a read has room for, as many, and
/// more.
async fn g1_all_data_comes_before_the_end<T: Transport>(stage: Stage) -> io::Result<()> {
    const ROOM: usize = 1000;
    let sent = pattern(64 * ROOM);
    for len in [0, 1, ROOM - 1, ROOM, ROOM + 1, 2 * ROOM, sent.len()] {
        let (near, far) = stage.pair::<T>().await?;
        far.write_all(&sent[..len]).await?;
        far.close().await?;
        let mut received = Vec::new();
        let mut room = [0; ROOM];
        while let count @ 1.. = near.read(&mut room).await? {
            received.extend_from_slice(&room[..count]);
        }
        assert!(received == sent[..len], "{} of {len} bytes", received.len());
    }
    Ok(())
}

/// And does not wait until its buffer is full.
async fn g2_a_read_takes_the_bytes_that_are_there<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let mut buffer = [0; 64];
    for word in [&b"hello"[..], b"world", b"!"] {
        far.write_all(word).await?;
        assert_eq!(near.read(&mut buffer).await?, word.len());
        assert!(buffer.starts_with(word));
    }
    Ok(())
}

/// Nothing new has to come for that.
async fn g2_bytes_that_a_read_leaves_are_there_for_the_next<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let sent = pattern(100);
    far.write_all(&sent).await?;
    for byte in &sent {
        assert_eq!(read_exactly(&*near, 1).await?, [*byte]);
    }
    let mut buffer = [0; 16];
    assert!(poll!(pin!(near.read(&mut buffer))).is_pending());
    Ok(())
}

/// The peer does not even notice.
async fn g3_writing_nothing_is_not_the_end<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let read = pending_read(&stage, &near).await;
    for _ in 0..3 {
        assert_eq!(far.write(b"").await?, 0);
        far.write_all(b"").await?;
    }
    far.write_all(b"a").await?;
    assert_eq!(read.await?, 1);
    Ok(())
}

/// So that one can go on from there, when the deadline is set anew.
async fn g4_a_write_cut_short_says_how_much_was_written<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let block = more_than_fits();
    near.set_write_deadline(in_ms(20))?;
    let error = near.write_all(&block).await.expect_err("it does not fit");
    let written = bytes_written(&error);
    assert_timed_out(Err::<(), _>(error));
    near.set_write_deadline(None)?;
    let rest = &block[written..][..1000];
    let go_on = async {
        near.write_all(rest).await?;
        near.close().await
    };
    let (gone_on, received) = join(go_on, read_to_end(&*far)).await;
    gone_on?;
    assert!(received? == block[..written + 1000], "other bytes than were written");
    Ok(())
}

/// Which of the two errors comes is the system's choice. It is no signal, or we would not be here.
async fn g4_writing_to_a_peer_that_is_gone_fails<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    far.close().await?;
    for _ in 0..2 {
        let (_, error) = write_until_it_fails(&*near).await;
        let kinds = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
        assert!(kinds.contains(&error.kind()), "{error:?}");
        assert!(!is_closed(&error), "this side has closed nothing");
    }
    near.close().await
}

async fn g4_a_pending_write_to_a_peer_that_goes_away_fails<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    fill_up(&*near).await?;
    let write = pending_write(&stage, &near).await;
    far.close().await?;
    let error = write.await.expect_err("the peer is gone");
    let kinds = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
    assert!(kinds.contains(&error.kind()), "{error:?}");
    assert!(!is_closed(&error), "this side has closed nothing");
    Ok(())
}

async fn g5_writing_nothing_asks_for_the_deadline<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    near.set_write_deadline(past())?;
    assert_timed_out(near.write(b"").await);
    near.set_write_deadline(None)?;
    assert_eq!(near.write(b"").await?, 0);
    Ok(())
}

async fn g5_writing_all_of_nothing_asks_for_the_deadline<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    near.set_write_deadline(past())?;
    assert_timed_out(near.write_all(b"").await);
    near.set_write_deadline(None)?;
    near.write_all(b"").await
}

/// Where there is none, it still ends at once.
async fn g5_writing_nothing_needs_no_room<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    fill_up(&*near).await?;
    assert!(poll!(pin!(near.write(b""))).is_ready());
    assert!(poll!(pin!(near.write_all(b""))).is_ready());
    Ok(())
}

/// That it is larger shows in that it has to wait before the peer reads.
async fn g6_a_write_larger_than_all_buffers_is_whole<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let block = more_than_fits();
    near.write_all(&block[..1]).await?;
    let mut write = pin!(near.write_all(&block[1..]));
    assert!(poll!(write.as_mut()).is_pending());
    let len = block.len();
    let receive = stage.spawn(async move { read_exactly(&*far, len).await });
    let (written, received) = join(write, receive).await;
    written?;
    assert!(received? == block, "other bytes than were written");
    Ok(())
}

async fn g6_a_mebibyte_goes_each_way_at_once<T: Transport>(stage: Stage) -> io::Result<()> {
    /// Sends the one and has the other come.
    async fn swap(stream: Arc<impl Stream>, sent: Vec<u8>, expected: Vec<u8>) -> io::Result<()> {
        let receive = read_exactly(&*stream, expected.len());
        let ((), received) = try_join(stream.write_all(&sent), receive).await?;
        assert!(received == expected, "other bytes than were sent");
        Ok(())
    }
    let (near, far) = stage.pair::<T>().await?;
    let one = pattern(MIB);
    let other: Vec<u8> = one.iter().rev().copied().collect();
    let near = stage.spawn(swap(near, one.clone(), other.clone()));
    let far = stage.spawn(swap(far, other, one));
    try_join(near, far).await.map(drop)
}

/// It stays the end, and ends nothing but reading.
async fn l3_the_end_is_no_error_however_often<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    far.write_all(b"hello").await?;
    far.shutdown(Shutdown::Write)?;
    assert_eq!(read_to_end(&*near).await?, b"hello");
    for _ in 0..3 {
        assert_eq!(near.read(&mut [0; 16]).await?, 0);
    }
    near.write_all(b"hello").await?;
    assert_eq!(read_exactly(&*far, 5).await?, b"hello");
    assert_eq!(near.read(&mut [0; 16]).await?, 0);
    Ok(())
}

/// For tasks that wait and for tasks that come later: no errno, so it is not the kernel's `ETIMEDOUT`.
async fn l5_a_deadline_is_told_by_its_error<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    let read = pending_read(&stage, &near).await;
    near.set_deadline(past())?;
    for error in [
        read.await.expect_err("it was pending"),
        near.read(&mut [0; 16]).await.expect_err("it is late"),
        near.write(b"more").await.expect_err("it is late"),
        near.write_all(b"more").await.expect_err("it is late"),
    ] {
        assert!(is_deadline_exceeded(&error) && !is_closed(&error), "{error:?}");
        assert_eq!((error.kind(), raw_os_error(&error)), (ErrorKind::TimedOut, None));
    }
    Ok(())
}

/// For tasks that wait, tasks that come later, and the setters.
async fn l7_closed_is_told_by_its_error<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    let read = pending_read(&stage, &near).await;
    near.close().await?;
    for error in [
        read.await.expect_err("it was pending"),
        near.read(&mut [0; 16]).await.expect_err("it is closed"),
        near.write(b"more").await.expect_err("it is closed"),
        near.set_read_deadline(None).expect_err("it is closed"),
        near.set_write_deadline(None).expect_err("it is closed"),
        near.close().await.expect_err("it is closed"),
    ] {
        assert!(is_closed(&error) && !is_deadline_exceeded(&error), "{error:?}");
        assert!(error.kind() != ErrorKind::TimedOut && raw_os_error(&error).is_none());
    }
    Ok(())
}

/// A reset, here, of a peer that waits.
async fn l8_a_system_error_is_neither_and_keeps_its_number<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    near.set_deadline(crate::fixtures::in_an_hour())?;
    near.write_all(b"ab").await?;
    assert_eq!(read_exactly(&*far, 1).await?, b"a");
    let read = pending_read(&stage, &near).await;
    far.close().await?;
    let error = read.await.expect_err("it left something unread");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(raw_os_error(&error).is_some(), "{error:?}");
    assert!(!is_deadline_exceeded(&error) && !is_closed(&error));
    Ok(())
}
