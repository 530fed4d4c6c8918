//! What it costs to move a deadline away, as a server does before every read.
//!
//! Every call is given the time in 30 seconds, so every round reads the clock once per call; one
//! contestant does nothing else, and is subtracted. The rounds are short and the contestants take
//! turns; the median of the differences is what the machine's other work disturbs least.

mod contestants;

use std::time::{Duration, Instant};

use crate::args::Args;
use crate::stats::{Sample, Table};

const PATIENCE: Duration = Duration::from_secs(30);

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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    // Tokio's timers ask for their runtime when they are made and when they are polled.
    let _inside = runtime.enter();
    let mut contestants = contestants::all().expect("as many sockets as this takes");
    let mut times: Vec<Vec<f64>> = contestants.iter().map(|_| Vec::new()).collect();
    for round in 1..=rounds {
        if round % 100 == 0 {
            eprintln!("round {round} of {rounds}");
        }
        for (contestant, times) in contestants.iter_mut().zip(&mut times) {
            times.push(time_round(contestant));
        }
    }
    print(&contestants, &times);
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
        let beyond = own.iter().zip(&times[0]).map(|(own, clock)| own - clock).collect();
        let (own, beyond) = (Sample::new(own.clone()), Sample::new(beyond));
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
