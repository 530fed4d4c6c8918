//! Listeners: when an accept waits, which task gets a connection, and how it ends.

mod addresses;
mod close;
mod deadlines;
mod service;

use std::io;
use std::pin::pin;
use std::sync::Arc;

use futures::channel::oneshot;
use futures::poll;

use super::stage::Task;
use super::{Behaviour, Listener, Listening, Stage};

pub(super) fn all<T: Listening>() -> Vec<Behaviour> {
    [deadlines::all::<T>(), close::all::<T>(), service::all::<T>(), addresses::all::<T>()].concat()
}

/// Accepts, and tells once it waits.
async fn accept_telling<L: Listener>(
    listener: &L,
    waits: oneshot::Sender<()>,
) -> io::Result<L::Stream> {
    let mut accept = pin!(listener.accept());
    assert!(poll!(accept.as_mut()).is_pending(), "no client has connected");
    waits.send(()).expect("the receiver lives");
    accept.await
}

/// A task that accepts, and that waits by now.
async fn accepting<L: Listener>(stage: &Stage, listener: &Arc<L>) -> Task<io::Result<L::Stream>> {
    let (tell, waits) = oneshot::channel();
    let listener = listener.clone();
    let task = stage.spawn(async move { accept_telling(&*listener, tell).await });
    waits.await.expect("it waits");
    task
}
