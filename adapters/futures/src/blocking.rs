//! A thread pool for name lookups, which block.
//!
//! The process has one pool, with a maximum number of threads and a queue. The pool starts a thread
//! when a queued call may begin at once. A thread ends when no queued call may begin.
//!
//! # Shares
//!
//! A name server that does not answer occupies a thread for many seconds. To leave threads for other
//! names, lookups in one domain (the last two labels) use at most a quarter of the threads at a time,
//! and those in one top-level domain at most half. Names without a dot count as one top-level domain,
//! except `localhost`. A call whose share is used up stays in the queue, and later calls overtake it.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Instant;

use futures_util::task::AtomicWaker;
use netpoll::{DeadlineExceeded, Reactor, ReactorGone, Timer, fork_generation, spawn_helper};

use crate::per_process::{self, COPIES, PerProcess};
use crate::sync::lock;

/// The maximum number of threads.
const MOST_THREADS: usize = 32;
const SHARE_OF_A_DOMAIN: usize = MOST_THREADS / 4;
const SHARE_OF_A_TOP_LEVEL: usize = MOST_THREADS / 2;

static POOLS: [PerProcess<Pool>; COPIES] = [const { PerProcess::new(Pool::new()) }; COPIES];

struct Pool {
    state: Mutex<State>,
}

struct State {
    threads: usize,
    /// The shares of the calls that are running.
    running: Vec<Zone>,
    /// Ordered by arrival.
    queue: BTreeMap<u64, Job>,
    next: u64,
}

struct Job {
    zone: Zone,
    /// Called with an error, it passes that on, and does not make the call.
    call: Box<dyn FnOnce(io::Result<()>) + Send>,
}

/// The domain and the top-level domain of a name, whose shares a call uses: the last two labels, and the
/// last one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Zone {
    domain: String,
    top_level: String,
}

/// Runs `work`, which looks up `host`, on a thread of the pool. Dropping the future removes the call
/// from the queue; a call that has begun goes on, and its result is dropped.
///
/// # Errors
///
/// An error of `work`, or one of the kind [`Other`](io::ErrorKind::Other) if no thread could be started
/// and the pool has none. [`ReactorGone`] in a forked child, if the call was queued before the fork.
pub(crate) async fn run<T: Send + 'static>(
    host: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (pool, generation) = per_process::own(&POOLS)?;
    run_in(pool, generation, Zone::of(host), work).await
}

/// `work`, or [`DeadlineExceeded`] at a time on the clock of a reactor. After that, `work` is not polled
/// at all.
pub(crate) async fn before<T>(
    deadline: Option<(&Reactor, Instant)>,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let Some((reactor, deadline)) = deadline else { return work.await };
    let timer = Timer::at(reactor, deadline)?;
    let mut work = pin!(work);
    poll_fn(|cx| match timer.poll_fired(cx)? {
        Poll::Ready(()) => Poll::Ready(Err(DeadlineExceeded::error())),
        Poll::Pending => work.as_mut().poll(cx),
    })
    .await
}

async fn run_in<T: Send + 'static>(
    pool: &'static Pool,
    generation: u32,
    zone: Zone,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let here = Arc::new(Handover { result: Mutex::new(None), waiter: AtomicWaker::new() });
    let there = here.clone();
    let call = Box::new(move |begun: io::Result<()>| there.set(begun.and_then(|()| work())));
    let _queued = Queued { id: pool.queue(Job { zone, call }), pool, generation };
    poll_fn(|cx| {
        if generation != fork_generation() {
            return Poll::Ready(Err(ReactorGone::error()));
        }
        here.waiter.register(cx.waker());
        lock(&here.result).take().map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

/// Passes the result of a call to the waiting task.
struct Handover<T> {
    result: Mutex<Option<io::Result<T>>>,
    waiter: AtomicWaker,
}

impl<T> Handover<T> {
    fn set(&self, result: io::Result<T>) {
        *lock(&self.result) = Some(result);
        if let Some(waker) = self.waiter.take() {
            netpoll::wake(waker);
        }
    }
}

/// A call that may be in the queue. Dropping this removes it.
struct Queued {
    id: u64,
    pool: &'static Pool,
    generation: u32,
}

impl Drop for Queued {
    fn drop(&mut self) {
        // In a forked child, a thread of the parent may have held the lock at the fork.
        if self.generation == fork_generation() {
            let cancelled = lock(&self.pool.state).queue.remove(&self.id);
            drop(cancelled);
        }
    }
}

impl Pool {
    const fn new() -> Self {
        let state = State { threads: 0, running: Vec::new(), queue: BTreeMap::new(), next: 0 };
        Self { state: Mutex::new(state) }
    }

    /// Queues a call, and starts a thread for it if it may begin and the pool is not full.
    fn queue(&'static self, job: Job) -> u64 {
        let mut state = lock(&self.state);
        let id = state.next;
        state.next += 1;
        let starts = state.threads < MOST_THREADS && state.may_begin(&job.zone);
        state.queue.insert(id, job);
        if starts {
            state.threads += 1;
            drop(state);
            if let Err(error) = spawn_helper("netpoll-resolve", || self.work()) {
                self.thread_failed(&error);
            }
        }
        id
    }

    /// A thread could not be started. The other threads make the call later; if there are none, all
    /// queued calls fail, since none would ever begin.
    fn thread_failed(&self, error: &io::Error) {
        let mut state = lock(&self.state);
        state.threads -= 1;
        if state.threads > 0 {
            return;
        }
        let stranded = std::mem::take(&mut state.queue);
        drop(state);
        stranded.into_values().for_each(|job| (job.call)(Err(io::Error::other(error.to_string()))));
    }

    /// The body of a thread.
    fn work(&self) {
        while let Some(Job { zone, call }) = self.next() {
            call(Ok(()));
            lock(&self.state).end(&zone);
        }
    }

    /// Takes the next call that may begin. `None` ends the thread.
    fn next(&self) -> Option<Job> {
        let mut state = lock(&self.state);
        let mut waiting = state.queue.iter();
        let next = waiting.find(|(_, job)| state.may_begin(&job.zone)).map(|(id, _)| *id);
        let Some(job) = next.and_then(|id| state.queue.remove(&id)) else {
            state.threads -= 1;
            return None;
        };
        state.running.push(job.zone.clone());
        Some(job)
    }
}

impl State {
    fn may_begin(&self, zone: &Zone) -> bool {
        let running = |is_of: fn(&Zone, &Zone) -> bool| {
            self.running.iter().filter(|other| is_of(other, zone)).count()
        };
        running(|other, zone| other.domain == zone.domain) < SHARE_OF_A_DOMAIN
            && running(|other, zone| other.top_level == zone.top_level) < SHARE_OF_A_TOP_LEVEL
    }

    fn end(&mut self, zone: &Zone) {
        let place = self.running.iter().position(|other| other == zone);
        self.running.swap_remove(place.expect("it was running"));
    }
}

impl Zone {
    fn of(host: &str) -> Self {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let mut labels = host.rsplit('.');
        let (last, before) = (labels.next().unwrap_or_default(), labels.next());
        let domain = format!("{}.{last}", before.unwrap_or_default());
        let top_level = if before.is_some() || last == "localhost" { last } else { "" };
        Self { domain, top_level: top_level.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::RwLock;
    use std::task::{Context, Waker};
    use std::thread;

    use super::*;

    type Lookup = Pin<Box<dyn Future<Output = io::Result<()>>>>;

    fn pool() -> &'static Pool {
        Box::leak(Box::new(Pool::new()))
    }

    /// A lookup that completes once the gate is open.
    fn look_up(pool: &'static Pool, host: &str, gate: &Arc<RwLock<()>>) -> Lookup {
        let (gate, gate_is_shut) = (gate.clone(), gate.try_read().is_err());
        let work = move || {
            drop(gate.read());
            Ok(())
        };
        let mut lookup = Box::pin(run_in(pool, fork_generation(), Zone::of(host), work));
        if gate_is_shut {
            assert!(poll(lookup.as_mut()).is_pending());
        }
        lookup
    }

    fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn queued(pool: &Pool) -> usize {
        lock(&pool.state).queue.len()
    }

    fn threads(pool: &Pool) -> usize {
        lock(&pool.state).threads
    }

    fn wait_until(mut condition: impl FnMut() -> bool) {
        while !condition() {
            thread::yield_now();
        }
    }

    /// Looks up many names of a server that does not answer, then names of other servers. The many
    /// names are in one domain, in one top-level domain, or without a dot.
    #[test]
    fn a_dead_name_server_holds_up_no_other_name() {
        let open = Arc::new(RwLock::new(()));
        for (dead, others) in [
            (".dead.example.", ["localhost", "live.example", "Example.org"]),
            (".dead", ["localhost", "live.example", "intranet"]),
            ("", ["localhost", "live.example", "example.org"]),
        ] {
            let (pool, gate) = (pool(), Arc::new(RwLock::new(())));
            let shut = gate.write();
            let kept: Vec<_> =
                (0..200).map(|n| look_up(pool, &format!("n{n}{dead}"), &gate)).collect();
            for other in others {
                netpoll::block_on(look_up(pool, other, &open)).expect("an answer");
            }
            assert!(threads(pool) <= MOST_THREADS);
            assert!(queued(pool) >= kept.len() - SHARE_OF_A_TOP_LEVEL);
            drop(shut);
            for lookup in kept {
                netpoll::block_on(lookup).expect("an answer");
            }
            wait_until(|| threads(pool) == 0);
            assert_eq!(lock(&pool.state).running, []);
        }
    }

    #[test]
    fn threads_are_bounded_and_all_calls_are_made() {
        let (pool, gate) = (pool(), Arc::new(RwLock::new(())));
        let shut = gate.write();
        let lookups: Vec<_> = (0..500).map(|n| look_up(pool, &format!("{n}.{n}"), &gate)).collect();
        assert_eq!(threads(pool), MOST_THREADS);
        drop(shut);
        for lookup in lookups {
            netpoll::block_on(lookup).expect("an answer");
        }
        wait_until(|| threads(pool) == 0);
    }

    #[test]
    fn a_cancelled_lookup_leaves_the_queue() {
        let (pool, gate) = (pool(), Arc::new(RwLock::new(())));
        let shut = gate.write();
        let lookups: Vec<_> = (0..100).map(|_| look_up(pool, "dead.example", &gate)).collect();
        wait_until(|| queued(pool) == 100 - SHARE_OF_A_DOMAIN);
        drop(lookups);
        assert_eq!(queued(pool), 0);
        drop(shut);
        wait_until(|| threads(pool) == 0);
    }

    #[test]
    fn without_a_thread_calls_fail_and_are_not_taken_for_not_ready() {
        let (pool, gate) = (pool(), Arc::new(RwLock::new(())));
        let (_shut, zone) = (gate.write(), Zone::of("example.org"));
        // As if the domain's share were used up, and the system could start no further thread.
        lock(&pool.state).running = vec![zone; SHARE_OF_A_DOMAIN];
        lock(&pool.state).threads = 2;
        let mut lookup = look_up(pool, "example.org", &gate);
        let error = io::Error::from(io::ErrorKind::WouldBlock);
        pool.thread_failed(&error);
        assert!(poll(lookup.as_mut()).is_pending(), "another thread comes to it");
        pool.thread_failed(&error);
        let Poll::Ready(Err(error)) = poll(lookup.as_mut()) else { panic!("no thread is left") };
        assert_eq!((error.kind(), error.raw_os_error()), (io::ErrorKind::Other, None));
    }
}
