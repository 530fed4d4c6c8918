//! Timers: never early, once, and where they were set last.

use std::future::poll_fn;
use std::time::{Duration, Instant};

use futures::task::noop_waker;
use futures::{FutureExt, StreamExt};
use netpoll::Timer;

use crate::stage::Stage;
use crate::stage::home::{Home, TICK};
use crate::stage::job::{Done, Job};

/// A timer of a reactor.
pub(crate) struct Alarm {
    timer: std::sync::Arc<Timer>,
    home: Home,
}

const FAR: Duration = Duration::from_secs(3600);

impl Alarm {
    pub(crate) fn new(stage: &mut Stage) -> Self {
        let home = stage.any_home();
        stage.does("timer", home.kind.name(), 0);
        Self { timer: Timer::never(&home.reactor).expect("a timer").into(), home }
    }

    /// A step. False if it is to be dropped.
    pub(crate) fn step(&mut self, stage: &mut Stage) -> bool {
        match stage.roll(100) {
            0..30 => self.fires(stage),
            30..60 => self.is_moved(stage),
            60..85 => self.is_not_due(stage),
            85..90 => one_of_the_adapter(stage),
            90..95 => an_interval(stage),
            _ => return false,
        }
        true
    }

    /// A task waits for it, and it fires: not before its time.
    fn fires(&mut self, stage: &mut Stage) {
        let at = self.home.now() + Duration::from_micros(stage.roll(150) as u64);
        self.timer.set(Some(at));
        let mut job = self.wait_for_it(stage);
        self.pass(stage, at);
        self.finish(stage, &mut job, at);
        stage.does("timer", "fires", 0);
    }

    /// A task waits for it while it is set to another time, once or more often.
    fn is_moved(&mut self, stage: &mut Stage) {
        self.timer.set(stage.chance(50).then(|| self.home.now() + FAR));
        let mut job = self.wait_for_it(stage);
        if stage.chance(50) {
            self.timer.set(Some(self.home.now() + 2 * FAR));
        }
        let soon = Duration::from_micros(stage.roll(100) as u64);
        let past = self.home.now().checked_sub(FAR).unwrap_or_else(|| self.home.now());
        let at = if stage.chance(50) { past } else { self.home.now() + soon };
        self.timer.set(Some(at));
        self.pass(stage, at);
        self.finish(stage, &mut job, at);
        stage.does("timer", "fires where it was moved", 0);
    }

    /// Neither a time that is far nor none comes.
    fn is_not_due(&mut self, stage: &mut Stage) {
        self.timer.set(stage.chance(50).then(|| self.home.now() + FAR));
        let waker = noop_waker();
        let fired = self.timer.poll_fired(&mut std::task::Context::from_waker(&waker));
        assert!(fired.is_pending(), "timer: {fired:?}");
        stage.does("timer", "not due", 0);
    }

    /// The time passes, if it does not by itself.
    fn pass(&self, stage: &mut Stage, at: Instant) {
        if !self.home.has_clock() {
            let left = at.saturating_duration_since(self.home.now());
            self.home.reactor.advance(left + TICK);
            stage.notes("clock", "moved past", 0);
        }
    }

    fn wait_for_it(&self, stage: &mut Stage) -> Job {
        let timer = self.timer.clone();
        let fired = async move {
            let fired = poll_fn(|cx| timer.poll_fired(cx)).await;
            Done::new(fired.map(|()| 0), Vec::new())
        };
        stage.start(fired.boxed())
    }

    fn finish(&self, stage: &mut Stage, job: &mut Job, at: Instant) {
        let done = stage.finish(job);
        done.result.expect("it has a reactor");
        let now = if self.home.has_clock() { done.at } else { self.home.now() };
        assert!(now >= at, "timer: it was set to {at:?}, and has fired at {now:?}");
    }

    /// Whether this reactor was its own, which was shut down: then it fails.
    pub(crate) fn loses(&mut self, stage: &mut Stage, home: &Home) -> bool {
        if self.home.number != home.number {
            return false;
        }
        let mut job = self.wait_for_it(stage);
        let error = stage.finish(&mut job).result.expect_err("there is no reactor");
        assert!(error.to_string().contains("shut down"), "timer: {error}");
        stage.does("timer", "ReactorGone", 0);
        true
    }
}

/// The adapter's timer, which gives the time that it was set to.
fn one_of_the_adapter(stage: &mut Stage) {
    let at = Instant::now() + Duration::from_micros(stage.roll(150) as u64);
    let came = stage.wait(netpoll_futures::Timer::at(at));
    assert!(came == at && Instant::now() >= at, "timer: {came:?} instead of {at:?}");
    stage.does("timer", "of the adapter", 0);
}

fn an_interval(stage: &mut Stage) {
    let (begin, period) = (Instant::now(), Duration::from_micros(70));
    let ticks = netpoll_futures::Timer::interval_at(begin, period).take(3).collect::<Vec<_>>();
    let ticks = stage.wait(ticks);
    let expected: Vec<_> = (0..3).map(|tick| begin + tick * period).collect();
    assert!(ticks == expected && Instant::now() >= expected[2], "timer: {ticks:?}");
    stage.does("timer", "an interval", 0);
}
