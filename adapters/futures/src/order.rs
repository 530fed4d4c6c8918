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
    /// Nobody waits while so many others come that it begins anew.
    last_place: u32,
    /// Who was handed the turn and does not know it yet.
    handed_to: Option<u32>,
}

#[derive(Debug)]
struct Waiter {
    /// `None` for a `poll_*` call.
    place: Option<u32>,
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
    pub(crate) fn take(&self) -> impl Future<Output = io::Result<Turn<'_>>> {
        let mut place = self.place();
        poll_fn(move |cx| place.poll(cx).map_ok(|()| place.give_turn()))
    }

    /// A place among those who want the turn, which is yet to be taken.
    #[inline]
    pub(crate) fn place(&self) -> Place<'_> {
        Place { order: self, standing: Standing::Outside }
    }

    /// The turn, or a wake-up when it is worth asking again.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<io::Result<Turn<'_>>> {
        if let Some(turn) = self.try_take() {
            return Poll::Ready(Ok(turn));
        }
        let waker = cx.waker().clone();
        let mut waiting = self.lock();
        if self.take_or_queue() {
            drop(waiting);
            return Poll::Ready(Ok(Turn(self)));
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

    /// Under the lock: takes the turn, if it is free; else it is known that somebody queues.
    fn take_or_queue(&self) -> bool {
        // Nobody but the holder of the lock sets or clears `QUEUED`, so this ends.
        loop {
            if self.exchange(FREE, TAKEN) {
                return true;
            }
            if self.exchange(TAKEN, QUEUED) || self.word.load(Ordering::Relaxed) == QUEUED {
                return false;
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

/// A future's place in the queue, and then its turn. Dropped, it gives up the one or the other.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    order: &'a Order,
    standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It has not queued yet, or no more.
    Outside,
    Queued(u32),
    /// It has the turn.
    First,
}

impl<'a> Place<'a> {
    /// Whether it has not queued, and nobody has the turn whom it would overtake: a hint.
    #[inline]
    pub(crate) fn is_free(&self) -> bool {
        self.is_outside() && self.order.is_free()
    }

    #[inline]
    fn is_outside(&self) -> bool {
        self.standing == Standing::Outside
    }

    /// Ready when it has the turn, from then on.
    ///
    /// Fails with [`Closed`] after [`Order::end`].
    #[inline]
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_outside() && self.order.exchange(FREE, TAKEN) {
            self.standing = Standing::First;
        }
        if self.standing == Standing::First { Poll::Ready(Ok(())) } else { self.queue(cx) }
    }

    fn queue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waker = cx.waker().clone();
        let mut waiting = self.order.lock();
        let over = waiting.over;
        let queue = waiting.queue.get_or_insert_default();
        if queue.hands_over(self.standing) {
            self.standing = Standing::First;
            return Poll::Ready(Ok(()));
        }
        if self.is_outside() && self.order.take_or_queue() {
            drop(waiting);
            self.standing = Standing::First;
            return Poll::Ready(Ok(()));
        }
        if over {
            return Poll::Ready(Err(Closed::error()));
        }
        let replaced = queue.wait(&mut self.standing, waker);
        drop(waiting);
        drop(replaced);
        Poll::Pending
    }

    /// Gives the turn that it has away.
    fn give_turn(&mut self) -> Turn<'a> {
        debug_assert_eq!(self.standing, Standing::First);
        self.standing = Standing::Outside;
        Turn(self.order)
    }

    /// Gives up what it has, the place or the turn.
    #[inline]
    pub(crate) fn leave(&mut self) {
        match std::mem::replace(&mut self.standing, Standing::Outside) {
            Standing::Outside => {}
            Standing::First => self.order.pass_on(),
            queued => self.leave_queue(queued),
        }
    }

    fn leave_queue(&self, queued: Standing) {
        let mut waiting = self.order.lock();
        let Some(queue) = &mut waiting.queue else { return };
        if queue.hands_over(queued) {
            drop(waiting);
            self.order.pass_on();
        } else {
            let own = queue.waiters.iter().position(|own| own.is(queued));
            let left = own.and_then(|index| queue.waiters.remove(index));
            drop(waiting);
            drop(left);
        }
    }
}

impl Drop for Place<'_> {
    #[inline]
    fn drop(&mut self) {
        self.leave();
    }
}

impl Waiter {
    fn is(&self, standing: Standing) -> bool {
        self.place.is_some_and(|place| standing == Standing::Queued(place))
    }
}

impl Queue {
    /// Whether the turn was handed to who stands there. It knows now.
    fn hands_over(&mut self, standing: Standing) -> bool {
        self.handed_to.take_if(|place| standing == Standing::Queued(*place)).is_some()
    }

    /// Takes a place, or brings the waker up to date. Returns the waker that it replaced.
    fn wait(&mut self, standing: &mut Standing, waker: Waker) -> Option<Waker> {
        if let Some(own) = self.waiters.iter_mut().find(|own| own.is(*standing)) {
            return Some(std::mem::replace(&mut own.waker, waker));
        }
        self.last_place = self.last_place.wrapping_add(1);
        *standing = Standing::Queued(self.last_place);
        self.waiters.push_back(Waiter { place: Some(self.last_place), waker });
        None
    }
}
