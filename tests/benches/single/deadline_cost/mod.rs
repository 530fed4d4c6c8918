//! The cost of moving a deadline, as a server does before every read.
//!
//! Every call is given the time in 30 seconds, so every round reads the clock once per call; one
//! contestant does nothing else, and is subtracted. The rounds are short and the contestants take
//! turns; the median of the differences is the value that other work of the machine disturbs least.

mod contestants;

use std::time::{Duration, Instant};

use crate::args::Args;
use crate::measure::stats::Sample;
use crate::measure::table::Table;

const PATIENCE: Duration = Duration::from_secs(30);

/// The baseline of the others.
const CLOCK: &str = "the clock alone";

/// One way to move a deadline, of one object or of many in turn.
struct Contestant {
    name: &'static str,
    objects: usize,
    /// How many calls a round is to make: few enough that most rounds are not interrupted.
    calls: usize,
    /// Makes so many calls.
    round: Box<dyn FnMut(usize)>,
}

pub(crate) fn run(args: &Args) {
    let rounds = args.number("--rounds", 301);
    measure(rounds, |_| true, print);
}

/// One contestant alone, with many objects: prints the median, in picoseconds beyond the clock.
pub(crate) fn one(args: &Args) {
    let wanted = |contestant: &Contestant| {
        contestant.name == CLOCK || contestant.name == args.operand() && contestant.objects > 1
    };
    measure(args.number("--rounds", 101), wanted, |_, times| {
        let nanos = beyond(&times[1], &times[0]).median();
        println!("{:.0}", nanos.max(0.0) * 1e3);
    });
}

/// Lets the chosen contestants take turns, and gives their times to `tell`.
fn measure(
    rounds: usize,
    wanted: impl Fn(&Contestant) -> bool,
    tell: impl FnOnce(&[Contestant], &[Vec<f64>]),
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    // Tokio's timers ask for their runtime when they are made and when they are polled.
    let _inside = runtime.enter();
    let mut contestants = contestants::all().expect("as many sockets as this takes");
    contestants.retain(wanted);
    let mut times: Vec<Vec<f64>> = contestants.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (contestant, times) in contestants.iter_mut().zip(&mut times) {
            times.push(time_round(contestant));
        }
    }
    tell(&contestants, &times);
}

/// How much longer than the clock alone, in the same rounds.
fn beyond(own: &[f64], clock: &[f64]) -> Sample {
    Sample::new(own.iter().zip(clock).map(|(own, clock)| own - clock).collect())
}

/// Nanoseconds per call.
fn time_round(contestant: &mut Contestant) -> f64 {
    // These bring code and objects back into the caches.
    (contestant.round)(contestant.objects.max(100));
    let began = Instant::now();
    (contestant.round)(contestant.calls);
    began.elapsed().as_nanos() as f64 / contestant.calls as f64
}

fn print(contestants: &[Contestant], times: &[Vec<f64>]) {
    let head = ["", "objects", "ns a call", "beyond the clock", "middle half"];
    let mut table = Table::new(&head);
    for (contestant, own) in contestants.iter().zip(times) {
        let (own, beyond) = (Sample::new(own.clone()), beyond(own, &times[0]));
        table.row(vec![
            contestant.name.to_owned(),
            contestant.objects.to_string(),
            format!("{:.1}", own.median()),
            format!("{:.1}", beyond.median()),
            beyond.middle_half(1),
        ]);
    }
    table.print();
}
