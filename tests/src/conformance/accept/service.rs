//! Which task gets which connection.

use std::io;
use std::pin::pin;
use std::sync::Arc;

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::channel::oneshot;
use futures::future::join_all;
use futures::{StreamExt, poll};

use super::{accept_telling, accepting};
use crate::conformance::peers::{accept_from, call, caller};
use crate::conformance::stage::Task;
use crate::conformance::{Behaviour, Listener, Listening, Stage, Stream, behaviours};
use crate::fixtures::assert_closed;

pub(super) fn all<T: Listening>() -> Vec<Behaviour> {
    behaviours![
        T: g10_a_burst_is_accepted_whole_by_one_task,
        g10_a_burst_is_accepted_whole_by_several_tasks,
        g10_fifty_tasks_accept_each_connection_once,
        g10_a_dropped_accept_leaves_its_connection_to_the_next,
        g10_a_dropped_accept_passes_its_connection_on,
        g10_accepts_that_are_dropped_leave_the_connection_to_the_one_that_stays,
        g10_each_of_several_accepts_is_served,
        g10_an_accept_kept_aside_keeps_no_connection_from_another,
        g7_a_connection_that_is_gone_does_not_fail_accept,
    ]
}

/// They may all be one event.
async fn g10_a_burst_is_accepted_whole_by_one_task<T: Listening>(stage: Stage) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    for _ in 0..3 {
        let first = accepting(&stage, &listener).await;
        let calls = (0..20).map(|who| call::<T>(&stage, &listener, who));
        let clients: io::Result<Vec<_>> = join_all(calls).await.into_iter().collect();
        let mut callers = vec![caller(&first.await?).await?];
        while callers.len() < 20 {
            callers.push(caller(&listener.accept().await?).await?);
        }
        callers.sort_unstable();
        assert_eq!(callers, (0..20).collect::<Vec<_>>());
        drop(clients?);
        assert!(poll!(pin!(listener.accept())).is_pending(), "there were no more");
    }
    Ok(())
}

/// Though there are more connections than tasks.
async fn g10_a_burst_is_accepted_whole_by_several_tasks<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    serve::<T>(stage, 5, 20).await
}

/// Every accept and every connect ends, and each connection is accepted once.
async fn g10_fifty_tasks_accept_each_connection_once<T: Listening>(stage: Stage) -> io::Result<()> {
    serve::<T>(stage, 50, 200).await
}

/// So many tasks accept, so many clients call, and then the listener is closed.
async fn serve<T: Listening>(stage: Stage, tasks: usize, calls: u8) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    let (tasks, reports) = servers(&stage, &listener, tasks).await;
    let clients = (0..calls).map(|who| {
        let (stage_of_task, listener) = (stage.clone(), listener.clone());
        stage.spawn(async move {
            let client = call::<T>(&stage_of_task, &listener, who).await?;
            assert_eq!(client.read(&mut [0]).await?, 0, "it is served, and sent away");
            Ok(())
        })
    });
    join_all(clients).await.into_iter().collect::<io::Result<()>>()?;
    listener.close().await?;
    for ended in join_all(tasks).await {
        assert_closed(ended);
    }
    let mut callers: Vec<_> = reports.collect().await;
    callers.sort_unstable();
    assert_eq!(callers, (0..calls).collect::<Vec<_>>());
    Ok(())
}

/// Tasks that accept until an accept fails; and the clients that they accepted.
async fn servers<L: Listener>(
    stage: &Stage,
    listener: &Arc<L>,
    count: usize,
) -> (Vec<Task<io::Result<()>>>, UnboundedReceiver<u8>) {
    let (report, reports) = unbounded();
    let mut tasks = Vec::new();
    for _ in 0..count {
        let (tell, waits) = oneshot::channel();
        let (listener, report) = (listener.clone(), report.clone());
        tasks.push(stage.spawn(async move {
            let mut accepted = accept_telling(&*listener, tell).await?;
            loop {
                send_away(accepted, &report).await?;
                accepted = listener.accept().await?;
            }
        }));
        waits.await.expect("it waits");
    }
    (tasks, reports)
}

async fn send_away(accepted: impl Stream, report: &UnboundedSender<u8>) -> io::Result<()> {
    report.unbounded_send(caller(&accepted).await?).expect("the receiver lives");
    accepted.close().await
}

/// It was woken for a connection, but has not accepted it.
async fn g10_a_dropped_accept_leaves_its_connection_to_the_next<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    for who in 0..20 {
        let _client = {
            let mut dropped = pin!(listener.accept());
            assert!(poll!(dropped.as_mut()).is_pending());
            call::<T>(&stage, &listener, who).await?
        };
        assert_eq!(caller(&listener.accept().await?).await?, who);
    }
    Ok(())
}

/// The same where the next has waited for as long.
async fn g10_a_dropped_accept_passes_its_connection_on<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    for who in 0..20 {
        let mut first = Box::pin(listener.accept());
        assert!(poll!(first.as_mut()).is_pending());
        let second = accepting(&stage, &listener).await;
        let third = accepting(&stage, &listener).await;
        let _clients = if who % 2 == 0 {
            let client = call::<T>(&stage, &listener, who).await?;
            drop(first);
            client
        } else {
            drop(first);
            call::<T>(&stage, &listener, who).await?
        };
        let _last = call::<T>(&stage, &listener, who).await?;
        assert_eq!(caller(&second.await?).await?, who);
        assert_eq!(caller(&third.await?).await?, who);
    }
    Ok(())
}

async fn g10_accepts_that_are_dropped_leave_the_connection_to_the_one_that_stays<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    for who in 0..20 {
        let mut first = Box::pin(listener.accept());
        assert!(poll!(first.as_mut()).is_pending());
        let mut second = Box::pin(listener.accept());
        assert!(poll!(second.as_mut()).is_pending());
        let third = accepting(&stage, &listener).await;
        drop(first);
        drop(second);
        let _client = call::<T>(&stage, &listener, who).await?;
        assert_eq!(caller(&third.await?).await?, who);
    }
    Ok(())
}

/// Each connection goes to one of the accepts that wait.
async fn g10_each_of_several_accepts_is_served<T: Listening>(stage: Stage) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    let mut accepts = Vec::new();
    for _ in 0..10 {
        accepts.push(accepting(&stage, &listener).await);
    }
    let mut clients = Vec::new();
    for who in 0..10 {
        clients.push(call::<T>(&stage, &listener, who).await?);
    }
    let mut callers = Vec::new();
    for accept in accepts {
        callers.push(caller(&accept.await?).await?);
    }
    callers.sort_unstable();
    assert!(callers.into_iter().eq(0..10));
    Ok(())
}

/// The first was woken for the connection, and is not polled: the second takes it.
async fn g10_an_accept_kept_aside_keeps_no_connection_from_another<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    for who in 0..20 {
        let mut aside = Box::pin(listener.accept());
        assert!(poll!(aside.as_mut()).is_pending());
        let _client = call::<T>(&stage, &listener, who).await?;
        assert_eq!(caller(&listener.accept().await?).await?, who);
    }
    Ok(())
}

/// It is passed over, or accepted and at its end; the next connection is served.
async fn g7_a_connection_that_is_gone_does_not_fail_accept<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    for who in 0..10 {
        for _ in 0..3 {
            T::connect(&stage, &listener, None).await?.close().await?;
        }
        let _client = call::<T>(&stage, &listener, who).await?;
        accept_from(&*listener, who).await?;
    }
    Ok(())
}
