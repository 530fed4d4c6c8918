//! Processor time of an echo server: netpoll, tokio and async-net in turns.

use crate::args::Args;
use crate::child::Child;
use crate::echo_servers::SERVERS;
use crate::stats::{Sample, Table};

/// What one run of a server says.
struct Run {
    processor_us: f64,
    echoes_per_second: f64,
}

pub(crate) fn run(args: &Args) {
    let rounds = args.number("--rounds", 9);
    let mut runs = SERVERS.map(|_| Vec::new());
    for round in 1..=rounds {
        for ((name, _), runs) in SERVERS.iter().zip(&mut runs) {
            let run = measure(name, args);
            eprintln!("round {round} of {rounds}: {name}: {:.2} us an echo", run.processor_us);
            runs.push(run);
        }
    }
    let times = runs.each_ref().map(|runs| sample(runs, |run| run.processor_us));
    let rates = runs.each_ref().map(|runs| sample(runs, |run| run.echoes_per_second));
    let head = ["server", "us an echo", "middle half", "of netpoll's", "echoes a second"];
    let mut table = Table::new(&head);
    for (number, (name, _)) in SERVERS.iter().enumerate() {
        table.row(vec![
            (*name).to_owned(),
            format!("{:.2}", times[number].median()),
            times[number].middle_half(2),
            format!("{:.2}", times[number].median() / times[0].median()),
            format!("{:.0}", rates[number].median()),
        ]);
    }
    table.print();
}

fn sample(runs: &[Run], value: impl Fn(&Run) -> f64) -> Sample {
    Sample::new(runs.iter().map(value).collect())
}

/// One run: a tenth more echoes than are counted, to warm up.
fn measure(name: &str, args: &Args) -> Run {
    let connections = args.number("--connections", 64);
    let counted = args.number("--echoes", 3000);
    let warm_up = counted.div_ceil(10);
    let (count, uncounted) = (connections.to_string(), (warm_up * connections).to_string());
    let mut words = vec!["echo-server", name, "--connections", &count, "--warm-up", &uncounted];
    if args.flag("--deadlines") {
        words.push("--deadlines");
    }
    let mut server = Child::start(&words);
    let (port, rounds) = (server.port(), (warm_up + counted).to_string());
    let words = ["echo-client", &port, "--connections", &count, "--rounds", &rounds];
    Child::start(&words).finish();
    let [echoes, processor_ns, elapsed_ns] = server.numbers();
    server.finish();
    Run {
        processor_us: processor_ns as f64 / 1e3 / echoes as f64,
        echoes_per_second: echoes as f64 * 1e9 / elapsed_ns as f64,
    }
}
