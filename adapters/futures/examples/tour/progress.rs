//! The check that runs now: shown while it lasts, and named by the watchdog when it does not end.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often the bar moves, and the watchdog looks.
const TICK: Duration = Duration::from_millis(100);

/// How often there is a line, where there is no terminal for a bar.
const LINE: Duration = Duration::from_secs(5);

/// Of the bar, in characters.
const WIDTH: usize = 24;

/// Where the tour is.
pub(crate) struct Progress {
    place: Mutex<Place>,
    done: AtomicUsize,
    executors: usize,
    terminal: bool,
}

#[derive(Clone, Copy, Default)]
struct Place {
    executor: &'static str,
    /// Counted from one.
    number: usize,
    step: &'static str,
    total: usize,
}

impl Progress {
    pub(crate) fn new(executors: usize) -> Self {
        let terminal = io::stderr().is_terminal();
        Self { place: Mutex::default(), done: AtomicUsize::new(0), executors, terminal }
    }

    /// The next executor's turn.
    pub(crate) fn executor(&self, executor: &'static str) {
        let mut place = self.lock();
        *place = Place { executor, number: place.number + 1, step: "start", total: 0 };
        if !self.terminal {
            say(&format!("{}/{} {executor}\n", place.number, self.executors));
        }
    }

    /// The next step, of so many parts. A step is a check, and has its name.
    pub(crate) fn step(&self, step: &'static str, total: usize) {
        let mut place = self.lock();
        (place.step, place.total) = (step, total);
        self.done.store(0, Ordering::Relaxed);
    }

    /// A part of the step is done.
    pub(crate) fn advance(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// The step has failed.
    pub(crate) fn failed(&self, error: &dyn Error) {
        let Place { executor, step, .. } = *self.lock();
        self.note(&format!("{executor}: {step}: {error}"));
    }

    /// Says something that is to stay.
    pub(crate) fn note(&self, note: &str) {
        let _place = self.lock();
        self.clear();
        say(&format!("tour: {note}\n"));
    }

    /// Draws the bar, or prints a line.
    fn draw(&self) {
        // Held meanwhile: nothing else is to be said in between.
        let place = self.lock();
        let Place { executor, number, step, total } = *place;
        let done = self.done.load(Ordering::Relaxed).min(total);
        let state = format!("{number}/{} {executor}: {step} {done}/{total}", self.executors);
        if self.terminal {
            let filled = (WIDTH * done).checked_div(total).unwrap_or(0);
            let (full, empty) = ("#".repeat(filled), ".".repeat(WIDTH - filled));
            say(&format!("\r\x1b[K[{full}{empty}] {state}"));
        } else {
            say(&format!("{state}\n"));
        }
    }

    fn clear(&self) {
        if self.terminal {
            say("\r\x1b[K");
        }
    }

    /// Gives up.
    fn hangs(&self, limit: Duration) -> ! {
        let Place { executor, step, total, .. } = *self.lock();
        let done = self.done.load(Ordering::Relaxed);
        let seconds = limit.as_secs();
        self.note(&format!(
            "{executor}: {step}: hangs at {done} of {total}, {seconds} s after the tour began; if \
             it is only slow, give it more with --limit"
        ));
        std::process::exit(1);
    }

    fn lock(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// To the terminal. A closed one is no failure of the tour.
fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Starts the thread that draws the bar, and that ends the process if the tour takes longer than
/// `limit`. The thread ends when the returned value is dropped.
pub(crate) fn watch(progress: Arc<Progress>, limit: Duration) -> io::Result<Watchdog> {
    let (stop, stopped) = channel();
    let (began, pause) = (Instant::now(), if progress.terminal { TICK } else { LINE });
    let thread = thread::Builder::new().name("watchdog".into()).spawn(move || {
        let mut drawn = began;
        while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            if drawn.elapsed() >= pause {
                progress.draw();
                drawn = Instant::now();
            }
            if began.elapsed() > limit {
                progress.hangs(limit);
            }
        }
        progress.clear();
    })?;
    Ok(Watchdog { stop: Some(stop), thread: Some(thread) })
}

/// See [`watch`].
pub(crate) struct Watchdog {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // Had it panicked, there would be no watchdog, and nothing else to do about it.
            let _ = thread.join();
        }
    }
}
