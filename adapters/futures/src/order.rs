//! Whose turn it is in one direction of a socket: one operation at a time, in the order in which they
//! came.
//!
//! Go's read and write locks (`internal/poll/fd_mutex.go`). A future that waits is handed the turn by
//! the one before it, and passes it on when it is dropped. A `poll_*` call cannot keep a place in the
//! queue between polls: it is woken when the turn passes on, and asks again.
//!
//! # The handshake
//!
//! One word says whether the turn is taken, and whether anybody queues for it. Mostly nobody queues,
//! and then taking it and passing it on are one exchange each.
//!
//! - **Who has to queue** does so under the lock: it sets `QUEUED`, or takes the turn if it is free at
//!   that moment, in one step.
//! - **Who passes the turn on** gives it back in one step if `QUEUED` is not set. If it is, it looks for
//!   the next under the lock, and hands the turn over, or gives it back with the flag.
//!
//! Both steps are exchanges of one word: if the first comes before, the second fails and takes the
//! lock, under which it finds the place; if after, the first takes the turn. (Models:
//! `tests/loom/order.rs`.)
//!
//! The word may be read alone by who is content with a hint: an operation that comes while another
//! does has no claim to be first.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, Waker};

use crate::Closed;
use crate::sync::{AtomicU32, Mutex, MutexGuard, Ordering, lock};
use crate::wake;

const FREE: u32 = 0;
const TAKEN: u32 = 1;
/// Taken, and somebody may be in the queue.
const QUEUED: u32 = 2;

#[derive(Debug)]
pub(crate) struct Order {
    word: AtomicU32,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// The socket is closed, and nobody gets a turn any more.
    over: bool,
    /// Made when the first has to wait.
    queue: Option<Box<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiters: VecDeque<Waiter>,
    last_place: u64,
    /// Who was handed the turn and does not know it yet.
    handed_to: Option<u64>,
}

#[derive(Debug)]
struct Waiter {
    /// `None` for a `poll_*` call.
    place: Option<u64>,
    waker: Waker,
}

/// The turn. Dropped, it passes on.
#[derive(Debug)]
pub(crate) struct Turn<'a>(&'a Order);

impl Order {
    pub(crate) fn new() -> Self {
        Self { word: AtomicU32::new(FREE), waiting: Mutex::new(Waiting::default()) }
    }

    /// Whether nobody has the turn, so that nobody waits for it: a hint.
    #[inline]
    pub(crate) fn is_free(&self) -> bool {
        self.word.load(Ordering::Relaxed) == FREE
    }

    /// The turn, if nobody has it.
    #[inline]
    pub(crate) fn try_take(&self) -> Option<Turn<'_>> {
        self.exchange(FREE, TAKEN).then(|| Turn(self))
    }

    /// The turn, when it comes. Dropped, it gives up its place.
    ///
    /// Fails with [`Closed`] after [`end`](Self::end).
    pub(crate) async fn take(&self) -> io::Result<Turn<'_>> {
        if let Some(turn) = self.try_take() {
            return Ok(turn);
        }
        let mut place = Place { order: self, number: None };
        poll_fn(|cx| place.poll(cx)).await
    }

    /// The turn, or a wake-up when it is worth asking again.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<io::Result<Turn<'_>>> {
        if let Some(turn) = self.try_take() {
            return Poll::Ready(Ok(turn));
        }
        let waker = cx.waker().clone();
        let mut waiting = self.lock();
        if let Some(turn) = self.take_or_queue() {
            drop(waiting);
            return Poll::Ready(Ok(turn));
        }
        if waiting.over {
            return Poll::Ready(Err(Closed::error()));
        }
        let waiters = &mut waiting.queue.get_or_insert_default().waiters;
        if !waiters.iter().any(|other| other.place.is_none() && other.waker.will_wake(&waker)) {
            waiters.push_back(Waiter { place: None, waker });
        }
        Poll::Pending
    }

    /// Nobody waits for a turn any more, whoever has it: the socket is closed.
    pub(crate) fn end(&self) {
        let mut waiting = self.lock();
        waiting.over = true;
        let waiters = waiting.queue.as_mut().map(|queue| std::mem::take(&mut queue.waiters));
        drop(waiting);
        waiters.into_iter().flatten().for_each(|waiter| wake(waiter.waker));
    }

    /// Under the lock: the turn, if it is free; else it is known that somebody queues.
    fn take_or_queue(&self) -> Option<Turn<'_>> {
        // Nobody but the holder of the lock sets or clears `QUEUED`, so this ends.
        loop {
            if let Some(turn) = self.try_take() {
                return Some(turn);
            }
            if self.exchange(TAKEN, QUEUED) || self.word.load(Ordering::Relaxed) == QUEUED {
                return None;
            }
        }
    }

    /// Passes the turn on: to the first future that waits, waking every poller before it.
    #[inline]
    fn pass_on(&self) {
        if !self.exchange(TAKEN, FREE) {
            self.pass_on_to_next();
        }
    }

    fn pass_on_to_next(&self) {
        let mut woken = Vec::new();
        let mut waiting = self.lock();
        let mut handed = false;
        if let Some(queue) = &mut waiting.queue {
            while let Some(next) = queue.waiters.pop_front() {
                woken.push(next.waker);
                if next.place.is_some() {
                    (handed, queue.handed_to) = (true, next.place);
                    break;
                }
            }
        }
        if !handed {
            self.word.store(FREE, Ordering::Release);
        }
        drop(waiting);
        woken.into_iter().for_each(wake);
    }

    /// Acquire and release: what was done in one turn was done before the next.
    #[inline]
    fn exchange(&self, from: u32, to: u32) -> bool {
        self.word.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }
}

impl Drop for Turn<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.pass_on();
    }
}

/// A future's place in the queue.
struct Place<'a> {
    order: &'a Order,
    number: Option<u64>,
}

impl<'a> Place<'a> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Turn<'a>>> {
        let waker = cx.waker().clone();
        let mut waiting = self.order.lock();
        let over = waiting.over;
        let queue = waiting.queue.get_or_insert_default();
        if self.number.is_some() && queue.handed_to == self.number {
            queue.handed_to = None;
            self.number = None;
            return Poll::Ready(Ok(Turn(self.order)));
        }
        if self.number.is_none()
            && let Some(turn) = self.order.take_or_queue()
        {
            drop(waiting);
            return Poll::Ready(Ok(turn));
        }
        if over {
            return Poll::Ready(Err(Closed::error()));
        }
        let replaced = queue.wait(&mut self.number, waker);
        drop(waiting);
        drop(replaced);
        Poll::Pending
    }
}

impl Queue {
    /// Takes a place, or brings the waker up to date. Returns the waker that it replaced.
    fn wait(&mut self, place: &mut Option<u64>, waker: Waker) -> Option<Waker> {
        if let Some(own) =
            self.waiters.iter_mut().find(|own| place.is_some() && own.place == *place)
        {
            return Some(std::mem::replace(&mut own.waker, waker));
        }
        self.last_place += 1;
        *place = Some(self.last_place);
        self.waiters.push_back(Waiter { place: *place, waker });
        None
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.number.is_none() {
            return;
        }
        let mut waiting = self.order.lock();
        let Some(queue) = &mut waiting.queue else { return };
        if queue.handed_to == self.number {
            queue.handed_to = None;
            drop(waiting);
            self.order.pass_on();
        } else {
            let own = queue.waiters.iter().position(|own| own.place == self.number);
            let left = own.and_then(|index| queue.waiters.remove(index));
            drop(waiting);
            drop(left);
        }
    }
}
