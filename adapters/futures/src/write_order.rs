//! Whose turn it is to write: one writer at a time, in the order in which they came.
//!
//! Go's write lock (`internal/poll/fd_mutex.go`), which makes a `Write` contiguous also when it has
//! to wait midway. A future that waits is handed the turn by the one before it, and passes it on when
//! it is dropped. A `poll_write` cannot keep a place in the queue between polls: it is woken when the
//! turn passes on, and asks again.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

#[derive(Debug, Default)]
pub(crate) struct WriteOrder(Mutex<Order>);

#[derive(Debug, Default)]
struct Order {
    taken: bool,
    /// Made when the first writer has to wait.
    queue: Option<Box<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    last_place: u64,
    /// Who was handed the turn and does not know it yet.
    handed_to: Option<u64>,
}

#[derive(Debug)]
struct Waiting {
    /// `None` for a `poll_write`.
    place: Option<u64>,
    waker: Waker,
}

/// The turn. Dropped, it passes on.
#[derive(Debug)]
pub(crate) struct Turn<'a>(&'a WriteOrder);

impl WriteOrder {
    /// The turn, if nobody has it.
    pub(crate) fn try_take(&self) -> Option<Turn<'_>> {
        let mut order = self.lock();
        let taken = std::mem::replace(&mut order.taken, true);
        // Not a turn made ahead of the question: dropping it would pass on what is another's.
        if taken { None } else { Some(Turn(self)) }
    }

    /// The turn, when it comes. Dropped, it gives up its place.
    pub(crate) async fn take(&self) -> Turn<'_> {
        if let Some(turn) = self.try_take() {
            return turn;
        }
        let mut place = Place { order: self, number: None };
        poll_fn(|cx| place.poll(cx)).await
    }

    /// The turn, or a wake-up when it is worth asking again.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Turn<'_>> {
        if let Some(turn) = self.try_take() {
            return Poll::Ready(turn);
        }
        let waker = cx.waker().clone();
        let mut order = self.lock();
        if !std::mem::replace(&mut order.taken, true) {
            drop(order);
            return Poll::Ready(Turn(self));
        }
        let waiting = &mut order.queue.get_or_insert_default().waiting;
        if !waiting.iter().any(|other| other.place.is_none() && other.waker.will_wake(&waker)) {
            waiting.push_back(Waiting { place: None, waker });
        }
        Poll::Pending
    }

    /// Passes the turn on: to the first future that waits, waking every poller before it.
    fn pass_on(&self) {
        let mut woken = Vec::new();
        let mut order = self.lock();
        order.taken = false;
        if let Order { taken, queue: Some(queue) } = &mut *order {
            while let Some(next) = queue.waiting.pop_front() {
                woken.push(next.waker);
                if let Some(place) = next.place {
                    (*taken, queue.handed_to) = (true, Some(place));
                    break;
                }
            }
        }
        drop(order);
        woken.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Order> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.pass_on();
    }
}

/// A future's place in the queue.
struct Place<'a> {
    order: &'a WriteOrder,
    number: Option<u64>,
}

impl<'a> Place<'a> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn<'a>> {
        let waker = cx.waker().clone();
        let mut order = self.order.lock();
        let Order { taken, queue } = &mut *order;
        let queue = queue.get_or_insert_default();
        if self.number.is_some() && queue.handed_to == self.number {
            queue.handed_to = None;
            self.number = None;
            return Poll::Ready(Turn(self.order));
        }
        if self.number.is_none() && !std::mem::replace(taken, true) {
            return Poll::Ready(Turn(self.order));
        }
        let replaced = queue.wait(&mut self.number, waker);
        drop(order);
        drop(replaced);
        Poll::Pending
    }
}

impl Queue {
    /// Takes a place, or brings the waker up to date. Returns the waker that it replaced.
    fn wait(&mut self, place: &mut Option<u64>, waker: Waker) -> Option<Waker> {
        if let Some(own) =
            self.waiting.iter_mut().find(|own| place.is_some() && own.place == *place)
        {
            return Some(std::mem::replace(&mut own.waker, waker));
        }
        self.last_place += 1;
        *place = Some(self.last_place);
        self.waiting.push_back(Waiting { place: *place, waker });
        None
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.number.is_none() {
            return;
        }
        let mut order = self.order.lock();
        let Some(queue) = &mut order.queue else { return };
        if queue.handed_to == self.number {
            queue.handed_to = None;
            drop(order);
            self.order.pass_on();
        } else {
            let own = queue.waiting.iter().position(|own| own.place == self.number);
            let left = own.and_then(|index| queue.waiting.remove(index));
            drop(order);
            drop(left);
        }
    }
}
