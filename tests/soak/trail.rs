//! What was done last, for whoever has to find out what went wrong.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many are remembered, and told after a failure.
const REMEMBERED: u64 = 50;

/// The walk's footprints.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    step: AtomicU64,
    prints: Mutex<VecDeque<Print>>,
}

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
