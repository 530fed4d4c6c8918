//! How listening ends.

use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join, join_all};
use futures::poll;
use netpoll::is_closed;

use super::accepting;
use crate::conformance::peers::{call, caller, echo, roundtrip};
use crate::conformance::{Behaviour, Listener, Listening, Stage, Stream, behaviours};
use crate::fixtures::{assert_closed, in_an_hour, in_ms, past};

pub(super) fn all<T: Listening>() -> Vec<Behaviour> {
    behaviours![
        T: e6_closing_ends_a_pending_accept,
        e6_closing_ends_ten_pending_accepts,
        e1_only_the_first_close_of_a_listener_counts,
        e7_everything_fails_on_a_closed_listener,
        c1_a_listener_is_closed_rather_than_late,
        e4_the_address_is_free_when_close_resolves,
        e9_dropping_a_listener_closes_it,
        e11_accepted_connections_survive_their_listener,
        e11_connections_that_were_not_accepted_are_reset,
        e8_a_connection_that_races_with_close_is_accepted_or_reset,
        a8_a_listener_inherits_nothing_of_a_closed_one,
    ]
}

/// When `close` has resolved, so has the accept.
async fn e6_closing_ends_a_pending_accept<T: Listening>(stage: Stage) -> io::Result<()> {
    for deadline in [None, in_an_hour()] {
        let listener = stage.listen::<T>().await?;
        listener.set_deadline(deadline)?;
        let mut accept = pin!(listener.accept());
        assert!(poll!(accept.as_mut()).is_pending());
        listener.close().await?;
        let ended = poll!(accept.as_mut()).map(|ended| assert_closed(ended.map(drop)));
        assert!(ended.is_ready(), "it still waits");
    }
    Ok(())
}

/// Each of them is woken.
async fn e6_closing_ends_ten_pending_accepts<T: Listening>(stage: Stage) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    let mut tasks = Vec::new();
    for _ in 0..10 {
        tasks.push(accepting(&stage, &listener).await);
    }
    listener.close().await?;
    for ended in join_all(tasks).await {
        assert_closed(ended.map(drop));
    }
    Ok(())
}

/// Of two tasks that close at once, one gets "already closed", and so does a task that closes later.
async fn e1_only_the_first_close_of_a_listener_counts<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    for _ in 0..10 {
        let listener = stage.listen::<T>().await?;
        let accept = accepting(&stage, &listener).await;
        let close = || {
            let listener = listener.clone();
            stage.spawn(async move { listener.close().await })
        };
        match join(close(), close()).await {
            (Ok(()), second) => assert_closed(second),
            (first, second) => {
                assert_closed(first);
                second?;
            }
        }
        assert_closed(listener.close().await);
        assert_closed(accept.await.map(drop));
    }
    Ok(())
}

/// Setting a deadline included, whatever it is.
async fn e7_everything_fails_on_a_closed_listener<T: Listening>(stage: Stage) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    let _client = call::<T>(&stage, &listener, 1).await?;
    listener.close().await?;
    for deadline in [None, past(), in_an_hour()] {
        assert_closed(listener.accept().await.map(drop));
        assert_closed(listener.set_deadline(deadline));
    }
    assert_closed(listener.close().await);
    Ok(())
}

/// Where it is both, being closed comes first.
async fn c1_a_listener_is_closed_rather_than_late<T: Listening>(stage: Stage) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    let mut accept = pin!(listener.accept());
    assert!(poll!(accept.as_mut()).is_pending());
    listener.set_deadline(past())?;
    listener.close().await?;
    assert_closed(accept.await.map(drop));
    assert_closed(listener.accept().await.map(drop));
    Ok(())
}

/// Twenty listeners in a row, each with a task that accepts. A connection that stays keeps the
/// address from sockets to which the system gives one, and must not keep it from us.
async fn e4_the_address_is_free_when_close_resolves<T: Listening>(stage: Stage) -> io::Result<()> {
    let mut listener = stage.listen::<T>().await?;
    let address = listener.local_addr()?;
    let _client = call::<T>(&stage, &listener, 1).await?;
    let _accepted = listener.accept().await?;
    for _ in 0..20 {
        let accept = accepting(&stage, &listener).await;
        listener.close().await?;
        listener = Arc::new(T::listen_again(&stage, &address).await?);
        assert_closed(accept.await.map(drop));
    }
    assert_eq!(listener.local_addr()?, address);
    let _client = call::<T>(&stage, &listener, 2).await?;
    assert_eq!(caller(&listener.accept().await?).await?, 2);
    Ok(())
}

/// At once: a peer that was not accepted is reset, and the address is free.
async fn e9_dropping_a_listener_closes_it<T: Listening>(stage: Stage) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    let address = listener.local_addr()?;
    let _client = call::<T>(&stage, &listener, 1).await?;
    let _accepted = listener.accept().await?;
    let waiting = call::<T>(&stage, &listener, 2).await?;
    drop(listener);
    assert_reset(&*waiting).await;
    drop(T::listen_again(&stage, &address).await?);
    Ok(())
}

/// They are sockets of their own.
async fn e11_accepted_connections_survive_their_listener<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    let mut clients = Vec::new();
    for who in 0..5 {
        clients.push(call::<T>(&stage, &listener, who).await?);
        let accepted = stage.share(listener.accept().await?);
        assert_eq!(caller(&*accepted).await?, who);
        drop(stage.spawn(echo(accepted)));
    }
    listener.close().await?;
    drop(listener);
    for client in clients {
        roundtrip(&*client).await?;
    }
    Ok(())
}

/// Peers that wait for data from us, too.
async fn e11_connections_that_were_not_accepted_are_reset<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    let mut reads = Vec::new();
    let mut clients = Vec::new();
    for who in 0..3 {
        let client = call::<T>(&stage, &listener, who).await?;
        reads.push(stage.spawn(async move { assert_reset(&*client).await }));
        clients.push(call::<T>(&stage, &listener, who).await?);
    }
    listener.close().await?;
    join_all(reads).await;
    for client in clients {
        assert_reset(&*client).await;
    }
    Ok(())
}

/// That the other end is gone, and not in an orderly way.
async fn assert_reset(stream: &impl Stream) {
    let error = stream.read(&mut [0]).await.expect_err("it was never accepted");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error:?}");
}

/// Whichever it is, both sides are told, and agree.
async fn e8_a_connection_that_races_with_close_is_accepted_or_reset<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    for who in 0..20 {
        let listener = stage.listen::<T>().await?;
        let accept = accepting(&stage, &listener).await;
        let client = call::<T>(&stage, &listener, who).await?;
        let close = stage.spawn(async move { listener.close().await });
        match accept.await {
            Err(error) => {
                assert!(is_closed(&error), "{error:?}");
                assert_reset(&*client).await;
            }
            Ok(accepted) => {
                assert_eq!(caller(&accepted).await?, who);
                accepted.close().await?;
                assert_eq!(client.read(&mut [0]).await?, 0);
            }
        }
        close.await?;
    }
    Ok(())
}

/// Neither its connections nor its deadline, though it may have the number of its descriptor.
async fn a8_a_listener_inherits_nothing_of_a_closed_one<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    for before in [past, || in_ms(1), || in_ms(5)] {
        let (mut listeners, mut accepts) = (Vec::new(), Vec::new());
        for _ in 0..10 {
            let closed = stage.listen::<T>().await?;
            closed.set_deadline(before())?;
            let _client = call::<T>(&stage, &closed, 1).await?;
            closed.close().await?;
            let listener = stage.listen::<T>().await?;
            accepts.push(accepting(&stage, &listener).await);
            listeners.push(listener);
        }
        // By then the deadlines of those that were closed have passed.
        stage.sleep(Duration::from_millis(10)).await?;
        for (listener, accept) in listeners.iter().zip(accepts) {
            let _client = call::<T>(&stage, listener, 2).await?;
            assert_eq!(caller(&accept.await?).await?, 2);
        }
    }
    Ok(())
}
