//! hyper's executor trait for any executor.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::task::{FutureObj, Spawn};
use hyper::rt;

/// A task for an executor.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An executor for hyper and for the server here: any function that spawns tasks. Clones are the same executor.
///
/// ```
/// use netpoll_hyper::Executor;
/// use std::sync::Arc;
///
/// // smol's global executor.
/// let global = Executor::new(|task| smol::spawn(task).detach());
/// // An executor of your own, which another thread runs. tokio's `Handle` works in the same way.
/// let own = Arc::new(smol::Executor::new());
/// let mine = Executor::new(move |task| own.spawn(task).detach());
/// // An executor with the `Spawn` trait of futures.
/// let pool = Executor::spawner(futures::executor::ThreadPool::new()?);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct Executor {
    spawn: Arc<dyn Fn(Task) + Send + Sync>,
}

impl Executor {
    /// An executor that spawns a task by calling `spawn`, which must detach the task: a task that is dropped
    /// before its end ends its connection.
    #[must_use]
    pub fn new(spawn: impl Fn(Task) + Send + Sync + 'static) -> Self {
        Self { spawn: Arc::new(spawn) }
    }

    /// An executor with the `Spawn` trait. A task that it refuses, after its shutdown, is dropped.
    #[must_use]
    pub fn spawner(spawner: impl Spawn + Send + Sync + 'static) -> Self {
        Self::new(move |task| drop(spawner.spawn_obj(FutureObj::from(task))))
    }

    /// Spawns a task.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        (self.spawn)(Box::pin(task));
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
