//! The last steps, for the reader of a failure.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many are remembered, and told after a failure.
const REMEMBERED: u64 = 50;

/// The walk's footprints.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    step: AtomicU64,
    prints: Mutex<VecDeque<Print>>,
    /// The operation that the walk waits for.
    waits_for: Mutex<Option<Box<dyn Debug + Send>>>,
    waits_at: Mutex<Option<WaitsAt>>,
}

/// Where in these sources, how, and with which reactor.
type WaitsAt = (&'static Location<'static>, &'static str, &'static str);

/// Something that was done, or came of it.
#[derive(Clone, Copy, Debug)]
struct Print {
    step: u64,
    place: &'static str,
    number: usize,
    what: &'static str,
    about: &'static str,
    amount: u64,
}

impl Trail {
    /// The next step begins.
    pub(crate) fn step(&self, number: u64) {
        self.step.store(number, Ordering::Relaxed);
    }

    /// The step that the walk is at.
    pub(crate) fn at(&self) -> u64 {
        self.step.load(Ordering::Relaxed)
    }

    /// Remembers something of the step.
    pub(crate) fn note(
        &self,
        (place, number): (&'static str, usize),
        what: &'static str,
        about: &'static str,
        amount: u64,
    ) {
        let print = Print { step: self.at(), place, number, what, about, amount };
        let mut prints = self.lock();
        while prints.front().is_some_and(|first| first.step + REMEMBERED <= print.step) {
            prints.pop_front();
        }
        prints.push_back(print);
    }

    /// The operation that the walk is about to wait for, or that it has come.
    pub(crate) fn waits_for(&self, known: Option<Box<dyn Debug + Send>>) {
        *self.waits_for.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// Where the walk is about to wait, or that it goes on.
    pub(crate) fn waits_at(&self, at: Option<WaitsAt>) {
        *self.waits_at.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// The step that has not come to its end.
    pub(crate) fn tell_wait(&self) -> String {
        let known = self.waits_for.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.as_ref().map_or_else(String::new, |known| format!("for {known:#?}\n"));
        match *self.waits_at.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((place, way, home)) => format!("it waits at {place}, {way}, {home}\n{known}"),
            None => known,
        }
    }

    /// The last steps, a line each.
    pub(crate) fn tell(&self) -> String {
        let line = |print: &Print| {
            let Print { step, place, number, what, about, amount } = print;
            format!("  {step:>9}  {place} {number:<4} {what:<22} {about:<26} {amount}\n")
        };
        self.lock().iter().map(line).collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Print>> {
        self.prints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
