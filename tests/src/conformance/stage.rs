//! Where a behaviour is shown: an executor, a reactor, and the sockets that were made there.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use netpoll::{Reactor, Timer};

use super::{Listener, Listening, Stream, Transport};

/// How an executor takes a task on.
pub type Spawn = Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>;

/// Where a behaviour is shown. Clones are the same stage.
#[derive(Clone)]
pub struct Stage {
    spawn: Spawn,
    own_reactor: Option<Reactor>,
    props: Props,
}

impl Stage {
    pub(super) fn new(spawn: Spawn, own_reactor: Option<Reactor>, props: Props) -> Self {
        Self { spawn, own_reactor, props }
    }

    /// Two connected streams.
    ///
    /// # Errors
    ///
    /// The error of making them.
    pub async fn pair<T: Transport>(&self) -> io::Result<(Arc<T::Stream>, Arc<T::Stream>)> {
        let (near, far) = T::pair(self).await?;
        Ok((self.share(near), self.share(far)))
    }

    /// A listener.
    ///
    /// # Errors
    ///
    /// The error of making it.
    pub async fn listen<T: Listening>(&self) -> io::Result<Arc<T::Listener>> {
        let listener = Arc::new(T::listen(self).await?);
        let weak = Arc::downgrade(&listener);
        self.props.add(move || {
            let _ = weak.upgrade().map(|listener| listener.close().now_or_never());
        });
        Ok(listener)
    }

    /// Shares a stream, which the watchdog then knows.
    pub fn share<S: Stream>(&self, stream: S) -> Arc<S> {
        let stream = Arc::new(stream);
        let weak = Arc::downgrade(&stream);
        self.props.add(move || {
            let _ = weak.upgrade().map(|stream| stream.close().now_or_never());
        });
        stream
    }

    /// Has the executor run a task.
    pub fn spawn<F>(&self, task: F) -> Task<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let (send, ended) = oneshot::channel();
        let task = AssertUnwindSafe(task).catch_unwind();
        // A dropped receiver does not get the result.
        (self.spawn)(task.map(|end| drop(send.send(end))).boxed());
        Task { ended }
    }

    /// Lets time pass, by the reactor's own timer.
    ///
    /// # Errors
    ///
    /// The error of a timer.
    pub async fn sleep(&self, time: Duration) -> io::Result<()> {
        let reactor = match &self.own_reactor {
            Some(own) => own,
            None => Reactor::global()?,
        };
        Timer::at(reactor, reactor.now() + time)?.await
    }

    /// The reactor that sockets are to be in the care of, if it is not the global one.
    #[must_use]
    pub fn own_reactor(&self) -> Option<&Reactor> {
        self.own_reactor.as_ref()
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("own_reactor", &self.own_reactor).finish_non_exhaustive()
    }
}

/// A task that runs, also if its handle is dropped. Waiting passes its panic on.
#[derive(Debug)]
#[must_use = "a panic in it goes unnoticed; drop it if that is meant"]
pub struct Task<T> {
    ended: oneshot::Receiver<Result<T, Box<dyn Any + Send>>>,
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.ended.poll_unpin(cx).map(|end| match end.expect("the executor runs it to its end") {
            Ok(output) => output,
            Err(panic) => resume_unwind(panic),
        })
    }
}

/// The sockets of a stage that are still in use: the watchdog closes them.
#[derive(Clone, Default)]
pub(super) struct Props(Arc<Mutex<Vec<Close>>>);

type Close = Box<dyn Fn() + Send>;

impl Props {
    fn add(&self, close: impl Fn() + Send + 'static) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(close));
    }

    pub(super) fn close_all(&self) {
        for close in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            close();
        }
    }
}
