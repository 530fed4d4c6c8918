//! The library of the tests: a watchdog, a waker that counts, the [`fixtures`], a process for one test ([`alone`]), the
//! [`conformance`] suite, the [`churn`], the [`loops`] of others, the [`proxy`](mod@proxy) and the [`commands`] of examples, and the [`programs`] of others.

pub mod alone;
#[cfg(not(netpoll_loom))]
pub mod churn;
#[cfg(not(netpoll_loom))]
pub mod commands;
#[cfg(not(netpoll_loom))]
pub mod conformance;
#[cfg(not(netpoll_loom))]
pub mod fixtures;
#[cfg(not(netpoll_loom))]
pub mod loops;
#[cfg(not(netpoll_loom))]
pub mod programs;
#[cfg(not(netpoll_loom))]
pub mod proxy;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

/// How long a test may take before it is said to hang: a minute, of which none takes a tenth, or as
/// many seconds as `NETPOLL_TEST_PATIENCE` says.
fn patience() -> Duration {
    let told = std::env::var("NETPOLL_TEST_PATIENCE").ok();
    Duration::from_secs(told.and_then(|told| told.parse().ok()).unwrap_or(60))
}

/// Runs the body of a test under a watchdog: a hang is a failure with the test's name.
///
/// # Panics
///
/// If the body does, or if it hangs.
pub fn watched(body: impl FnOnce() + Send + 'static) {
    let name = thread::current().name().unwrap_or("a test").to_owned();
    watch(&name, body, || {});
}

/// Runs a body under a watchdog, which does something about a hang before it names it.
fn watch(name: &str, body: impl FnOnce() + Send + 'static, about_a_hang: impl FnOnce()) {
    let (done, finished) = channel();
    let test = thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            body();
            // The receiver is gone if the watchdog has given up.
            let _ = done.send(());
        })
        .expect("a thread for the test");
    match finished.recv_timeout(patience()) {
        Err(RecvTimeoutError::Timeout) => {
            about_a_hang();
            panic!("{name} hangs");
        }
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            if let Err(panic) = test.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// A waker that counts how often it is woken.
#[derive(Debug, Default)]
pub struct CountingWaker(AtomicUsize);

impl CountingWaker {
    /// One that has not been woken.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// How often it was woken so far.
    #[must_use]
    pub fn wakes(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Polls a future once, with this waker.
    pub fn poll<F: Future + ?Sized>(self: &Arc<Self>, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&Waker::from(self.clone())))
    }
}

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// The programs of the README, which must compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
