//! The error of an operation where several things are true: closed, then deadline, then the rest.

use std::io;
use std::pin::pin;

use futures::poll;
use netpoll::{is_closed, is_deadline_exceeded};

use crate::conformance::peers::{
    pattern, read_exactly, read_to_end, write_to_the_deadline, write_until_it_fails,
};
use crate::conformance::{Behaviour, Stage, Stream, Transport, behaviours};
use crate::fixtures::{assert_closed, assert_timed_out, past};

pub(super) fn all<T: Transport>() -> Vec<Behaviour> {
    behaviours![
        T:
        c1_closed_comes_before_the_deadline,
        c1_the_deadline_comes_before_the_end,
        c1_the_deadline_comes_before_the_error_of_the_system,
        c3_a_past_deadline_fails_a_read_though_data_is_there,
        c3_a_past_deadline_fails_a_write_though_there_is_room,
        c5_closed_comes_before_everything,
        g1_reading_nothing_takes_nothing_and_has_no_deadline,
    ]
}

/// Pending operations that are woken for their deadline, and find the stream closed, fail for that.
async fn c1_closed_comes_before_the_deadline<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    let mut buffer = [0; 16];
    let mut read = pin!(near.read(&mut buffer));
    let mut write = pin!(write_to_the_deadline(&*near, 0));
    assert!(poll!(read.as_mut()).is_pending());
    assert!(poll!(write.as_mut()).is_pending());
    near.set_deadline(past())?;
    near.close().await?;
    assert_closed(read.await);
    assert_closed(write.await);
    Ok(())
}

/// The end of the stream waits until there is time to read it.
async fn c1_the_deadline_comes_before_the_end<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    far.close().await?;
    assert_eq!(near.read(&mut [0; 16]).await?, 0, "the end is there");
    near.set_read_deadline(past())?;
    assert_timed_out(near.read(&mut [0; 16]).await);
    near.set_read_deadline(None)?;
    assert_eq!(near.read(&mut [0; 16]).await?, 0, "and still is");
    Ok(())
}

/// Where the peer has stopped reading, writing fails; for its deadline if that has passed, and for being
/// closed if it is.
async fn c1_the_deadline_comes_before_the_error_of_the_system<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    far.close().await?;
    for _ in 0..2 {
        near.set_write_deadline(None)?;
        let (_, error) = write_until_it_fails(&*near).await;
        assert!(!is_deadline_exceeded(&error) && !is_closed(&error), "{error:?}");
        near.set_write_deadline(past())?;
        assert_timed_out(near.write(b"late").await);
    }
    near.close().await?;
    assert_closed(near.write(b"later").await);
    Ok(())
}

/// It reads nothing, not even bytes that are there; a later read finds them.
async fn c3_a_past_deadline_fails_a_read_though_data_is_there<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    far.write_all(b"hello").await?;
    assert_eq!(read_exactly(&*near, 1).await?, b"h", "so the rest is there, too");
    near.set_read_deadline(past())?;
    for _ in 0..3 {
        let mut buffer = [0; 16];
        assert_timed_out(near.read(&mut buffer).await);
        assert_eq!(buffer, [0; 16]);
    }
    near.set_read_deadline(None)?;
    assert_eq!(read_exactly(&*near, 4).await?, b"ello");
    Ok(())
}

/// It writes nothing, though it could: the peer gets only bytes that were written in time.
async fn c3_a_past_deadline_fails_a_write_though_there_is_room<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    near.write_all(b"in time, ").await?;
    near.set_write_deadline(past())?;
    assert_timed_out(near.write(b"late").await);
    assert_timed_out(near.write_all(&pattern(1000)).await);
    near.set_write_deadline(None)?;
    near.write_all(b"and again").await?;
    near.close().await?;
    assert_eq!(read_to_end(&*far).await?, b"in time, and again");
    Ok(())
}

/// Closed is found first, also by operations without bytes, and with a deadline that has passed.
async fn c5_closed_comes_before_everything<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    far.write_all(b"hello").await?;
    assert_eq!(read_exactly(&*near, 1).await?, b"h");
    near.set_deadline(past())?;
    near.close().await?;
    assert_closed(near.read(&mut [0; 16]).await);
    assert_closed(near.read(&mut []).await);
    assert_closed(near.write(b"late").await);
    assert_closed(near.write(b"").await);
    assert_closed(near.write_all(b"late").await);
    assert_closed(near.write_all(b"").await);
    Ok(())
}

/// Reading into no room needs no data and no time. On a closed stream it fails like all else (c5).
async fn g1_reading_nothing_takes_nothing_and_has_no_deadline<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    assert_eq!(near.read(&mut []).await?, 0, "with nothing there");
    far.write_all(b"hello").await?;
    assert_eq!(read_exactly(&*near, 1).await?, b"h");
    assert_eq!(near.read(&mut []).await?, 0, "with something there");
    near.set_read_deadline(past())?;
    assert_eq!(near.read(&mut []).await?, 0, "too late for anything else");
    assert_timed_out(near.read(&mut [0; 16]).await);
    near.set_read_deadline(None)?;
    assert_eq!(read_exactly(&*near, 4).await?, b"ello");
    Ok(())
}
