//! The reactors in whose care sockets are, and the ways in which the walk waits.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use netpoll::Reactor;

/// After so much more of a clock that is moved by hand, a deadline has been looked at.
pub(crate) const TICK: Duration = Duration::from_micros(66);

/// A reactor, and its special settings.
#[derive(Clone)]
pub(crate) struct Home {
    pub(crate) reactor: Reactor,
    pub(crate) kind: Kind,
    /// No two have the same.
    pub(crate) number: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The process's own.
    Global,
    /// Another with a thread.
    Threaded,
    /// Three behind one handle.
    Several,
    /// The walk moves its clock.
    ByClock,
    /// The walk turns it, and moves its clock.
    ByHand,
}

impl Kind {
    /// Those that the walk makes and ends.
    pub(crate) const MADE: [Kind; 4] = [Kind::Threaded, Kind::Several, Kind::ByClock, Kind::ByHand];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Global => "global",
            Kind::Threaded => "with a thread",
            Kind::Several => "three in one",
            Kind::ByClock => "clock by hand",
            Kind::ByHand => "turned by hand",
        }
    }
}

impl Home {
    pub(crate) fn new(kind: Kind, number: usize) -> Self {
        let builder = Reactor::builder();
        let reactor = match kind {
            Kind::Global => return Self::global(),
            Kind::Threaded => builder.build(),
            Kind::Several => builder.reactors(3).build(),
            Kind::ByClock => builder.manual_clock().build(),
            Kind::ByHand => builder.embedded().manual_clock().build(),
        };
        Self { reactor: reactor.expect("a reactor"), kind, number }
    }

    pub(crate) fn global() -> Self {
        Self {
            reactor: Reactor::global().expect("a reactor").clone(),
            kind: Kind::Global,
            number: 0,
        }
    }

    /// Whether its time passes by itself.
    pub(crate) fn has_clock(&self) -> bool {
        !matches!(self.kind, Kind::ByClock | Kind::ByHand)
    }

    pub(crate) fn now(&self) -> Instant {
        self.reactor.now()
    }
}

/// How the walk waits. Whichever way, the reactors' own threads may do the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// On a thread that sleeps.
    Park,
    /// In `block_on` of the global reactor.
    Global,
    /// In `block_on` of another.
    Inline,
    /// Turning it by hand.
    Turn,
}

impl Way {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Way::Park => "parked",
            Way::Global => "global inline",
            Way::Inline => "inline",
            Way::Turn => "turning",
        }
    }

    /// Runs a future to its end. A reactor without a thread must be the one that is turned.
    pub(crate) fn run<F: Future>(self, home: &Home, future: F) -> F::Output {
        match self {
            Way::Park => futures::executor::block_on(future),
            Way::Global => netpoll::block_on(future),
            Way::Inline => home.reactor.block_on(future),
            Way::Turn => turning(&home.reactor, future),
        }
    }

    pub(crate) fn for_home(home: &Home, random: usize) -> Self {
        match home.kind {
            Kind::ByHand => [Way::Inline, Way::Turn][random % 2],
            Kind::Global => [Way::Park, Way::Global][random % 2],
            Kind::Threaded | Kind::Several | Kind::ByClock => {
                [Way::Park, Way::Global, Way::Inline][random % 3]
            }
        }
    }
}

/// Ends the turn in progress.
struct Notify(Reactor);

impl Wake for Notify {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

fn turning<F: Future>(reactor: &Reactor, future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Notify(reactor.clone())));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        reactor.turn(None).expect("no other thread turns it");
    }
}

impl std::fmt::Debug for Home {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.number, self.kind.name())
    }
}
