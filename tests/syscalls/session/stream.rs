//! A conversation over two connected streams, of any family.

use std::io::{IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::time::Instant;

use futures::future::try_join;
use netpoll_futures::{Stream, StreamSocket};

use super::{During, Failure, Played, SOON, Script, ends_late};

/// More than a Unix socket takes at once.
const MUCH: usize = 512 * 1024;

/// Echo, deadlines past and future, more than there is room for, and the end of one direction.
pub(super) async fn talk<S: StreamSocket>(
    script: &Script<'_>,
    near: &Stream<S>,
    far: &Stream<S>,
) -> Played {
    patient(script, [near, far])?;
    echo(near, far).await?;
    past(near).await?;
    future(near).await?;
    patient(script, [near, far])?;
    echo(near, far).await?;
    much(near, far).await?;
    half_close(near, far).await
}

/// An echo.
pub(super) async fn talk_briefly<S: StreamSocket>(
    script: &Script<'_>,
    near: &Stream<S>,
    far: &Stream<S>,
) -> Played {
    patient(script, [near, far])?;
    echo(near, far).await
}

fn patient<S: StreamSocket>(script: &Script<'_>, ends: [&Stream<S>; 2]) -> Played {
    ends.iter().try_for_each(|end| end.set_deadline(script.deadline()).during("set_deadline"))
}

async fn echo<S: StreamSocket>(near: &Stream<S>, far: &Stream<S>) -> Played {
    let echoes = async {
        assert_eq!(read(far, 4).await?, b"ping");
        let halves = [IoSlice::new(b"po"), IoSlice::new(b"ng")];
        assert_eq!(far.write_vectored(&halves).await.during("write_vectored")?, 4);
        Ok(())
    };
    let asks = async {
        near.write_all(b"ping").await.during("write_all")?;
        let (mut first, mut second) = ([0; 2], [0; 2]);
        let halves = &mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(near.read_vectored(halves).await.during("read_vectored")?, 4);
        assert_eq!((&first, &second), (b"po", b"ng"));
        Ok(())
    };
    try_join(echoes, asks).await.map(drop)
}

async fn past<S: StreamSocket>(near: &Stream<S>) -> Played {
    let now = Instant::now();
    near.set_read_deadline(Some(now)).during("set_read_deadline")?;
    ends_late(near.read(&mut [0]), "read", now).await
}

async fn future<S: StreamSocket>(near: &Stream<S>) -> Played {
    let soon = Instant::now() + SOON;
    near.set_read_deadline(Some(soon)).during("set_read_deadline")?;
    ends_late(near.read(&mut [0]), "read", soon).await
}

async fn much<S: StreamSocket>(near: &Stream<S>, far: &Stream<S>) -> Played {
    let bytes = vec![7; MUCH];
    let writes = async { near.write_all(&bytes).await.during("write_all") };
    let reads = async {
        assert!(
            read(far, MUCH).await? == bytes,
            "as many bytes came, and other ones than were sent"
        );
        Ok(())
    };
    try_join(writes, reads).await.map(drop)
}

async fn half_close<S: StreamSocket>(near: &Stream<S>, far: &Stream<S>) -> Played {
    near.shutdown(Shutdown::Write).during("shutdown")?;
    assert_eq!(far.read(&mut [0]).await.during("read")?, 0, "the end");
    far.write_all(b"bye").await.during("write_all")?;
    assert_eq!(read(near, 3).await?, b"bye");
    Ok(())
}

async fn read<S: StreamSocket>(end: &Stream<S>, len: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = vec![0; len];
    let mut filled = 0;
    while filled < len {
        let more = end.read(&mut bytes[filled..]).await.during("read")?;
        assert!(more > 0, "the end came after {filled} bytes");
        filled += more;
    }
    Ok(bytes)
}
