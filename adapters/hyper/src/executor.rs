//! Any executor as hyper's.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::task::{FutureObj, Spawn};
use hyper::rt;

/// What an executor is given to run.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An executor for hyper, and for the server here: anything that takes tasks on. Clones are the same.
///
/// ```
/// use netpoll_hyper::Executor;
/// use std::sync::Arc;
///
/// // smol's.
/// let global = Executor::new(|task| smol::spawn(task).detach());
/// // An executor of one's own, which is run elsewhere. So also tokio's `Handle`.
/// let own = Arc::new(smol::Executor::new());
/// let of_mine = Executor::new(move |task| own.spawn(task).detach());
/// // One of futures.
/// let pool = Executor::spawner(futures::executor::ThreadPool::new()?);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct Executor {
    take_on: Arc<dyn Fn(Task) + Send + Sync>,
}

impl Executor {
    /// An executor that takes a task on by calling `take_on`. The task is to run to its end by itself,
    /// whether a handle to it is kept or not; one that is dropped instead ends its connection.
    #[must_use]
    pub fn new(take_on: impl Fn(Task) + Send + Sync + 'static) -> Self {
        Self { take_on: Arc::new(take_on) }
    }

    /// An executor of futures. Tasks that it refuses, because it has been shut down, are dropped.
    #[must_use]
    pub fn spawner(spawner: impl Spawn + Send + Sync + 'static) -> Self {
        Self::new(move |task| drop(spawner.spawn_obj(FutureObj::from(task))))
    }

    /// Has the executor run a task.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        (self.take_on)(Box::pin(task));
    }
}

impl<F: Future<Output = ()> + Send + 'static> rt::Executor<F> for Executor {
    fn execute(&self, task: F) {
        self.spawn(task);
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").finish_non_exhaustive()
    }
}
