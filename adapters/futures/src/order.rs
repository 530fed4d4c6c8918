//! Whose turn it is in each direction of a socket: one operation at a time, in the order in which they
//! came.
//!
//! Go's read and write locks (`internal/poll/fd_mutex.go`). A future that waits is handed the turn by
//! the one before it, and passes it on when it is dropped. A `poll_*` call cannot keep a place in the
//! queue between polls: it is woken when the turn passes on, and asks again.
//!
//! # The handshake
//!
//! One word for each direction says whether the turn is taken, and whether anybody queues for it. Mostly
//! nobody queues, and then taking it and passing it on are one exchange each, and there is no queue.
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

use crate::sync::{AtomicU32, Mutex, MutexGuard, Ordering, lock};
use crate::wake;
use crate::{Closed, Direction, ReactorGone, fork_generation};

const FREE: u32 = 0;
const TAKEN: u32 = 1;
/// Taken, and somebody may be in the queue.
const QUEUED: u32 = 2;
/// Beside these: the socket is closed, and nobody queues any more. Set and seen under the lock; without
/// it, whoever finds the flag finds no word that it could exchange, and comes for the lock.
const OVER: u32 = 4;

/// Small, as every socket has them: of the two queues there is mostly none.
#[derive(Debug)]
pub(crate) struct Orders {
    words: [AtomicU32; 2],
    /// Of the process that made it. A forked child does not take the lock, which a thread may hold that
    /// it does not have.
    generation: u32,
    /// Made when the first has to wait.
    queues: Mutex<Option<Box<[Queue; 2]>>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiters: VecDeque<Waiter>,
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
pub(crate) struct Turn<'a>(&'a Orders, Direction);

/// What comes of asking under the lock.
enum Asked {
    Taken,
    /// Whoever has the turn knows that somebody queues.
    Queues,
    Over,
}

impl Orders {
    pub(crate) fn new() -> Self {
        let words = [FREE, FREE].map(AtomicU32::new);
        Self { words, generation: fork_generation(), queues: Mutex::new(None) }
    }

    /// Whether nobody has the turn, so that nobody waits for it: a hint.
    #[inline]
    pub(crate) fn is_free(&self, direction: Direction) -> bool {
        self.word(direction).load(Ordering::Relaxed) == FREE
    }

    /// The turn, if nobody has it.
    #[inline]
    pub(crate) fn try_take(&self, direction: Direction) -> Option<Turn<'_>> {
        self.exchange(direction, FREE, TAKEN).then(|| Turn(self, direction))
    }

    /// The turn, when it comes. Dropped, it gives up its place.
    ///
    /// Fails with [`Closed`] after [`end`](Self::end).
    pub(crate) fn take(&self, direction: Direction) -> impl Future<Output = io::Result<Turn<'_>>> {
        let mut place = self.place(direction);
        poll_fn(move |cx| place.poll(cx).map_ok(|()| place.give_turn()))
    }

    /// A place among those who want the turn, which is yet to be taken.
    #[inline]
    pub(crate) fn place(&self, direction: Direction) -> Place<'_> {
        Place { orders: self, direction, standing: Standing::Outside, number: 0 }
    }

    /// The turn, or a wake-up when it is worth asking again.
    pub(crate) fn poll_take(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
    ) -> Poll<io::Result<Turn<'_>>> {
        if let Some(turn) = self.try_take(direction) {
            return Poll::Ready(Ok(turn));
        }
        let waker = cx.waker().clone();
        let mut queues = self.lock()?;
        match self.take_or_queue(direction) {
            Asked::Taken => Poll::Ready(Ok(Turn(self, direction))),
            Asked::Over => Poll::Ready(Err(Closed::error())),
            Asked::Queues => {
                let known = queue(&mut queues, direction).wait_to_ask(waker);
                drop(queues);
                drop(known);
                Poll::Pending
            }
        }
    }

    /// Nobody waits for a turn any more, whoever has it: the socket is closed.
    pub(crate) fn end(&self) {
        // The waiters of a forked child are copies of the parent's.
        let Ok(mut queues) = self.lock() else { return };
        for word in &self.words {
            word.fetch_or(OVER, Ordering::AcqRel);
        }
        let both = queues.iter_mut().flat_map(|queues| queues.iter_mut());
        let waiters: Vec<VecDeque<Waiter>> =
            both.map(|queue| std::mem::take(&mut queue.waiters)).collect();
        drop(queues);
        waiters.into_iter().flatten().for_each(|waiter| wake(waiter.waker));
    }

    /// Under the lock: takes the turn, if it is free; else it is known that somebody queues.
    fn take_or_queue(&self, direction: Direction) -> Asked {
        // Nobody but the holder of the lock sets or clears `QUEUED` and `OVER`, so this ends.
        loop {
            let seen = self.word(direction).load(Ordering::Relaxed);
            let (next, asked) = match seen & !OVER {
                FREE => (seen | TAKEN, Asked::Taken),
                _ if seen & OVER != 0 => return Asked::Over,
                TAKEN => (QUEUED, Asked::Queues),
                _ => return Asked::Queues,
            };
            if self.exchange(direction, seen, next) {
                return asked;
            }
        }
    }

    /// Under the lock.
    fn is_over(&self, direction: Direction) -> bool {
        self.word(direction).load(Ordering::Relaxed) & OVER != 0
    }

    /// Passes the turn on: to the first future that waits, waking every poller before it.
    #[inline]
    fn pass_on(&self, direction: Direction) {
        if !self.exchange(direction, TAKEN, FREE) {
            self.pass_on_to_next(direction);
        }
    }

    fn pass_on_to_next(&self, direction: Direction) {
        let mut woken = Vec::new();
        let Ok(mut queues) = self.lock() else { return };
        let handed =
            queues.as_mut().is_some_and(|queues| queues[direction as usize].pop(&mut woken));
        if !handed {
            self.word(direction).fetch_and(OVER, Ordering::AcqRel);
        }
        drop(queues);
        woken.into_iter().for_each(wake);
    }

    /// Acquire and release: what was done in one turn was done before the next.
    #[inline]
    fn exchange(&self, direction: Direction, from: u32, to: u32) -> bool {
        let word = self.word(direction);
        word.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    #[inline]
    fn word(&self, direction: Direction) -> &AtomicU32 {
        &self.words[direction as usize]
    }

    /// Fails with [`ReactorGone`] in a forked child.
    fn lock(&self) -> io::Result<MutexGuard<'_, Option<Box<[Queue; 2]>>>> {
        if self.generation == fork_generation() {
            Ok(lock(&self.queues))
        } else {
            Err(ReactorGone::error())
        }
    }
}

fn queue(queues: &mut Option<Box<[Queue; 2]>>, direction: Direction) -> &mut Queue {
    &mut queues.get_or_insert_default()[direction as usize]
}

impl Drop for Turn<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.pass_on(self.1);
    }
}

/// A future's place in the queue, and then its turn. Dropped, it gives up the one or the other.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    orders: &'a Orders,
    /// If it is queued: which it is.
    number: u32,
    standing: Standing,
    direction: Direction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It has not queued yet, or no more.
    Outside,
    Queued,
    /// It has the turn.
    First,
}

impl<'a> Place<'a> {
    /// Whether it has not queued, and nobody has the turn whom it would overtake: a hint.
    #[inline]
    pub(crate) fn is_free(&self) -> bool {
        self.standing == Standing::Outside && self.orders.is_free(self.direction)
    }

    /// Ready when it has the turn, from then on.
    ///
    /// Fails with [`Closed`] after [`Orders::end`].
    #[inline]
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outside = self.standing == Standing::Outside;
        if outside && self.orders.exchange(self.direction, FREE, TAKEN) {
            self.standing = Standing::First;
        }
        if self.standing == Standing::First { Poll::Ready(Ok(())) } else { self.poll_queue(cx) }
    }

    fn poll_queue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waker = cx.waker().clone();
        let mut queues = self.orders.lock()?;
        let asked = match self.standing {
            _ if self.is_handed(&mut queues) => Asked::Taken,
            Standing::Outside => self.orders.take_or_queue(self.direction),
            _ if self.orders.is_over(self.direction) => Asked::Over,
            _ => Asked::Queues,
        };
        match asked {
            Asked::Taken => self.standing = Standing::First,
            Asked::Over => return Poll::Ready(Err(Closed::error())),
            Asked::Queues => {
                let replaced = self.wait(queue(&mut queues, self.direction), waker);
                drop(queues);
                drop(replaced);
                return Poll::Pending;
            }
        }
        drop(queues);
        Poll::Ready(Ok(()))
    }

    /// Takes a place, or brings the waker up to date. Returns the waker that it replaced.
    fn wait(&mut self, queue: &mut Queue, waker: Waker) -> Option<Waker> {
        if let Some(index) = self.find(queue) {
            return Some(std::mem::replace(&mut queue.waiters[index].waker, waker));
        }
        // Nobody waits while so many others come that the numbers begin anew.
        queue.last_place = queue.last_place.wrapping_add(1);
        (self.standing, self.number) = (Standing::Queued, queue.last_place);
        queue.waiters.push_back(Waiter { place: Some(self.number), waker });
        None
    }

    fn find(&self, queue: &Queue) -> Option<usize> {
        let is_queued = self.standing == Standing::Queued;
        queue.waiters.iter().position(|own| is_queued && own.place == Some(self.number))
    }

    /// Whether the turn was handed to it. It knows now.
    fn is_handed(&self, queues: &mut Option<Box<[Queue; 2]>>) -> bool {
        let is_queued = self.standing == Standing::Queued;
        queues.as_mut().is_some_and(|queues| {
            let handed = &mut queues[self.direction as usize].handed_to;
            handed.take_if(|place| is_queued && *place == self.number).is_some()
        })
    }

    /// Gives the turn that it has away.
    fn give_turn(&mut self) -> Turn<'a> {
        debug_assert_eq!(self.standing, Standing::First);
        self.standing = Standing::Outside;
        Turn(self.orders, self.direction)
    }

    /// Gives up what it has, the place or the turn.
    #[inline]
    pub(crate) fn leave(&mut self) {
        match self.standing {
            Standing::Outside => {}
            Standing::First => self.orders.pass_on(self.direction),
            Standing::Queued => self.leave_queue(),
        }
        self.standing = Standing::Outside;
    }

    fn leave_queue(&self) {
        let Ok(mut queues) = self.orders.lock() else { return };
        if self.is_handed(&mut queues) {
            drop(queues);
            self.orders.pass_on(self.direction);
        } else {
            let queue = queue(&mut queues, self.direction);
            let left = self.find(queue).and_then(|index| queue.waiters.remove(index));
            drop(queues);
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

impl Queue {
    /// A `poll_*` call waits to ask again. Returns its waker if that is known already.
    fn wait_to_ask(&mut self, waker: Waker) -> Option<Waker> {
        let is_same = |other: &Waiter| other.place.is_none() && other.waker.will_wake(&waker);
        if self.waiters.iter().any(is_same) {
            return Some(waker);
        }
        self.waiters.push_back(Waiter { place: None, waker });
        None
    }

    /// Hands the turn to the first future, if there is one. It is woken, and every poller before it.
    fn pop(&mut self, woken: &mut Vec<Waker>) -> bool {
        while let Some(next) = self.waiters.pop_front() {
            woken.push(next.waker);
            if next.place.is_some() {
                self.handed_to = next.place;
                return true;
            }
        }
        false
    }
}
