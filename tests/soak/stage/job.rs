//! An operation that is under way, on whatever executor, and its result.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use futures::FutureExt;
use futures::future::{AbortHandle, Abortable, BoxFuture};
use futures::task::AtomicWaker;
use netpoll_tests::fixtures::budget;

use super::host::{Host, Hosts};

/// The result of an operation.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) result: io::Result<usize>,
    /// The bytes that it has read.
    pub(crate) bytes: Vec<u8>,
    /// By the system's clock, directly after.
    pub(crate) at: Instant,
}

impl Done {
    pub(crate) fn new(result: io::Result<usize>, bytes: Vec<u8>) -> Self {
        Self { result, bytes, at: Instant::now() }
    }
}

pub(crate) type Operation = BoxFuture<'static, Done>;

/// An operation that has begun. Dropped, it is given up, but perhaps not at once.
#[derive(Debug)]
pub(crate) struct Job {
    shared: Arc<Shared>,
    run: Run,
}

enum Run {
    /// Polled by the walk.
    Here(Operation),
    /// Polled by others, until this is dropped.
    There(AbortHandle),
    Over,
}

/// The reports of the poller to the walk.
#[derive(Debug, Default)]
struct Shared {
    /// It was woken, has been polled for the first time, or is over.
    told: AtomicBool,
    begun: AtomicBool,
    over: AtomicBool,
    done: Mutex<Option<Done>>,
    walk: AtomicWaker,
}

impl Shared {
    fn tell(&self) {
        self.told.store(true, Ordering::Release);
        self.walk.wake();
    }
}

/// For operations that the walk polls.
impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.tell();
    }
}

/// The operation is gone, with all that it had borrowed.
struct Over(Arc<Shared>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Release);
        self.0.tell();
    }
}

impl Job {
    /// Begins it. [`begun`](Self::begun) tells when it has been polled.
    pub(crate) fn start(hosts: &Hosts, host: Host, operation: Operation) -> Self {
        let shared = Arc::new(Shared::default());
        if host == Host::Walk {
            let mut job = Self { shared, run: Run::Here(operation) };
            job.poll_here();
            return job;
        }
        let (abort, aborted) = AbortHandle::new_pair();
        let task = Abortable::new(reporting(operation, shared.clone()), aborted);
        hosts.spawn(host, task.map(drop).boxed());
        Self { shared, run: Run::There(abort) }
    }

    /// Resolves when it has been polled once.
    pub(crate) async fn begun(&self) {
        let begun = || self.shared.begun.load(Ordering::Acquire) || self.is_over();
        poll_fn(|cx| self.poll_told(cx, begun)).await;
    }

    /// Whether it is known to be done. Polls it, if it is the walk's and was woken.
    pub(crate) fn is_done(&mut self) -> bool {
        if let Run::Here(_) = self.run
            && self.shared.told.swap(false, Ordering::AcqRel)
        {
            self.poll_here();
        }
        self.is_over()
    }

    /// Polls it, though nothing may have woken it.
    pub(crate) fn poke(&mut self) -> bool {
        if let Run::Here(_) = self.run {
            self.poll_here();
        }
        self.is_over()
    }

    /// [`is_done`](Self::is_done) for waiters: only a wake-up of the operation leads to its end.
    pub(crate) fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.walk.register(cx.waker());
        if self.is_done() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Its result, once.
    pub(crate) fn take(&mut self) -> Option<Done> {
        self.shared.done.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Gives it up, and resolves when it is gone. It may have been done before.
    pub(crate) async fn cancel(&mut self) {
        match std::mem::replace(&mut self.run, Run::Over) {
            Run::Here(operation) => {
                drop(operation);
                self.shared.over.store(true, Ordering::Release);
            }
            Run::There(abort) => abort.abort(),
            Run::Over => {}
        }
        poll_fn(|cx| self.poll_told(cx, || self.is_over())).await;
    }

    fn poll_told(&self, cx: &mut Context<'_>, what: impl Fn() -> bool) -> Poll<()> {
        self.shared.walk.register(cx.waker());
        if what() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn is_over(&self) -> bool {
        self.shared.over.load(Ordering::Acquire)
    }

    fn poll_here(&mut self) {
        let Run::Here(operation) = &mut self.run else { return };
        let waker = Waker::from(self.shared.clone());
        if let Poll::Ready(done) = operation.as_mut().poll(&mut Context::from_waker(&waker)) {
            self.run = Run::Over;
            *self.shared.done.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
            self.shared.over.store(true, Ordering::Release);
        }
    }
}

/// On another thread: reports that it has begun, and its result.
async fn reporting(operation: Operation, shared: Arc<Shared>) {
    let over = Over(shared);
    let shared = &over.0;
    let mut operation = pin!(operation);
    let mut may_be_put_off = true;
    let done = poll_fn(|cx| {
        let polled = operation.as_mut().poll(cx);
        // An operation that ends directly shows that by its result. One that the budget of its thread has put off has tried
        // nothing yet, and has not begun: it is polled once more, and then it has.
        if polled.is_pending() {
            if budget::is_spent() && std::mem::take(&mut may_be_put_off) {
                cx.waker().wake_by_ref();
            } else if !shared.begun.swap(true, Ordering::AcqRel) {
                shared.tell();
            }
        }
        polled
    });
    let done = done.await;
    *shared.done.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Run::Here(_) => "here",
            Run::There(_) => "there",
            Run::Over => "over",
        })
    }
}
