//! Where listeners are, and the addresses that accepted streams have.

use std::io;
use std::pin::pin;

use futures::poll;

use crate::conformance::peers::{call, caller, fill, read_exactly};
use crate::conformance::{Behaviour, Listener, Listening, Stage, Stream, behaviours};
use crate::fixtures::{assert_timed_out, in_ms};

pub(super) fn all<T: Listening>() -> Vec<Behaviour> {
    behaviours![
        T: h6_each_end_has_the_address_that_the_other_sees,
        i3_each_listener_has_an_address_of_its_own,
        i3_an_address_in_use_is_not_listened_at_twice,
        i1_an_accepted_stream_does_not_block,
    ]
}

/// The accepted stream is where its listener is.
async fn h6_each_end_has_the_address_that_the_other_sees<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    for who in 0..3 {
        let client = call::<T>(&stage, &listener, who).await?;
        let accepted = listener.accept().await?;
        assert_eq!(caller(&accepted).await?, who);
        assert_eq!(accepted.local_addr()?, listener.local_addr()?);
        assert_eq!(accepted.local_addr()?, client.peer_addr()?);
        assert_eq!(accepted.peer_addr()?, client.local_addr()?);
    }
    Ok(())
}

/// And it stays the same, and leads to it.
async fn i3_each_listener_has_an_address_of_its_own<T: Listening>(stage: Stage) -> io::Result<()> {
    let one = stage.listen::<T>().await?;
    let other = stage.listen::<T>().await?;
    assert_ne!(one.local_addr()?, other.local_addr()?);
    for (who, listener) in [(1, &one), (2, &other), (3, &one)] {
        let address = listener.local_addr()?;
        let _client = call::<T>(&stage, listener, who).await?;
        assert_eq!(caller(&listener.accept().await?).await?, who);
        assert_eq!(listener.local_addr()?, address);
    }
    Ok(())
}

/// That it can be listened at again does not mean at the same time; the first is not disturbed.
async fn i3_an_address_in_use_is_not_listened_at_twice<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    let address = listener.local_addr()?;
    let error = T::listen_again(&stage, &address).await.map(drop).expect_err("it is taken");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error:?}");
    let _client = call::<T>(&stage, &listener, 1).await?;
    assert_eq!(caller(&listener.accept().await?).await?, 1);
    Ok(())
}

/// Neither reading where there is nothing, nor writing where there is no room: both wait, for as
/// long as their deadlines say.
async fn i1_an_accepted_stream_does_not_block<T: Listening>(stage: Stage) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    let client = call::<T>(&stage, &listener, 1).await?;
    let accepted = listener.accept().await?;
    assert_eq!(caller(&accepted).await?, 1);
    let mut byte = [0];
    let mut read = pin!(accepted.read(&mut byte));
    assert!(poll!(read.as_mut()).is_pending());
    let filled = fill(&accepted).await?;
    accepted.set_deadline(in_ms(1))?;
    assert_timed_out(read.await);
    assert_timed_out(accepted.write(&[0]).await);
    read_exactly(&*client, filled).await.map(drop)
}
