//! Models of the reactor's handshakes, explored by loom: every interleaving of a few threads, and
//! every value that the memory model lets a load return.
//!
//! The models explore the code that ships. The modules of the reactor are mounted here as they are, over a kernel
//! of the models' own (`sys`), and take their atomics from loom by `--cfg netpoll_loom`:
//!
//! ```text
//! RUSTFLAGS="--cfg netpoll_loom" cargo test --release -p netpoll-tests --test loom
//! ```
//!
//! Without the cfg there is nothing here.
#![cfg(netpoll_loom)]
// The mounted modules are the library's: the models use a part of each, and cannot reach into it
// for the lints of a crate of its own.
#![allow(dead_code, unused_imports, unreachable_pub)]

#[path = "../../reactor/src/arena.rs"]
mod arena;
#[path = "../../reactor/src/budget.rs"]
mod budget;
#[path = "../../reactor/src/driver/mod.rs"]
mod driver;
#[path = "../../reactor/src/error.rs"]
mod error;
#[path = "../../reactor/src/fd_mutex.rs"]
mod fd_mutex;
#[path = "../../reactor/src/lease/mod.rs"]
mod lease;
#[path = "../../adapters/futures/src/limit.rs"]
mod limit;
#[path = "../../reactor/src/metrics.rs"]
mod metrics;
#[path = "../../reactor/src/parker.rs"]
mod parker;
#[path = "../../reactor/src/reactor.rs"]
mod reactor;
#[path = "../../reactor/src/ready.rs"]
mod ready;
#[path = "../../reactor/src/registration/mod.rs"]
mod registration;
#[path = "../../reactor/src/sleep.rs"]
mod sleep;
#[path = "../../reactor/src/slot/mod.rs"]
mod slot;
#[path = "../../reactor/src/sync.rs"]
mod sync;
mod sys;
#[path = "../../reactor/src/thread.rs"]
mod thread;
#[path = "../../reactor/src/token.rs"]
mod token;
#[path = "../../reactor/src/wake.rs"]
mod wake;
#[path = "../../reactor/src/wall.rs"]
mod wall;

#[path = "../../reactor/src/time"]
mod time {
    pub(crate) mod clock;
    pub(crate) mod deadline;
    pub(crate) mod wheel;
}

/// A handle on one reactor, which the models turn by themselves.
mod handle {
    #![allow(unsafe_code)] // An unsafe trait.

    use std::io;
    use std::os::fd::RawFd;
    use std::sync::Arc;

    use crate::arena::{Arena, KeepsArena, OwnedSlot};
    use crate::reactor::ReactorInner;
    use crate::time::clock::Clock;

    #[derive(Clone)]
    pub struct Reactor(Arc<ReactorInner>);

    // SAFETY: the `Arc` keeps the reactor, which never replaces its arena.
    unsafe impl KeepsArena for Reactor {
        fn arena(&self) -> &Arena {
            self.0.arena()
        }
    }

    impl Reactor {
        pub(crate) fn new() -> Self {
            Self(Arc::new(ReactorInner::new(Clock::by_hand(), false).unwrap()))
        }

        pub fn global() -> io::Result<&'static Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(crate) fn inner(&self) -> &ReactorInner {
            &self.0
        }

        pub(crate) fn allocate_for_descriptor(&self, _: RawFd) -> io::Result<OwnedSlot<Self>> {
            Arena::allocate(self.clone())
        }

        pub(crate) fn forget_descriptor(&self, _: RawFd) {}
    }
}

/// The models begin the reactor's thread themselves.
mod helper {
    use std::io;
    use std::thread::JoinHandle;

    pub(crate) enum Affinity {}

    pub(crate) fn spawn<T>(
        _: &str,
        _: Affinity,
        _: impl FnOnce() -> T,
    ) -> io::Result<JoinHandle<T>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// No model forks.
pub(crate) fn fork_generation() -> u32 {
    0
}

/// The models, by subject.
#[path = "."]
mod models {
    mod deadline;
    mod fd_mutex;
    mod fixtures;
    mod lease;
    mod limit;
    mod reuse;
    mod sleep;
    mod slot;
    mod write_interest;
    mod write_lock;
}
