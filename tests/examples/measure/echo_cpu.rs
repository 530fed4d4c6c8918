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
    let names = SERVERS.map(|(name, _)| name);
    compare(args, &names, ["echo-server", "echo-client"], "echo");
}

/// Runs servers in turns, and says what each costs for an exchange, beside the first.
pub(crate) fn compare(args: &Args, names: &[&str], ends: [&str; 2], exchange: &str) {
    let rounds = args.number("--rounds", 9);
    let mut runs: Vec<_> = names.iter().map(|_| Vec::new()).collect();
    for round in 1..=rounds {
        for (name, runs) in names.iter().zip(&mut runs) {
            let run = measure(ends, name, args);
            eprintln!("round {round} of {rounds}: {name}: {:.2} us", run.processor_us);
            runs.push(run);
        }
    }
    let times: Vec<_> = runs.iter().map(|runs| sample(runs, |run| run.processor_us)).collect();
    let rates: Vec<_> = runs.iter().map(|runs| sample(runs, |run| run.echoes_per_second)).collect();
    let (each, rate) =
        (format!("us of processor each {exchange}"), format!("{exchange}s a second"));
    let mut table = Table::new(&["server", &each, "middle half", "of the first", &rate]);
    for (number, name) in names.iter().enumerate() {
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
fn measure([server_end, client_end]: [&str; 2], name: &str, args: &Args) -> Run {
    let connections = args.number("--connections", 64);
    let counted = args.number("--echoes", 3000);
    let warm_up = counted.div_ceil(10);
    let (count, uncounted) = (connections.to_string(), (warm_up * connections).to_string());
    let mut words = vec![server_end, name, "--connections", &count, "--warm-up", &uncounted];
    if args.flag("--deadlines") {
        words.push("--deadlines");
    }
    let mut server = Child::start(&words);
    let (port, rounds) = (server.port(), (warm_up + counted).to_string());
    let words = [client_end, &port, "--connections", &count, "--rounds", &rounds];
    Child::start(&words).finish();
    let [echoes, processor_ns, elapsed_ns] = server.numbers();
    server.finish();
    Run {
        processor_us: processor_ns as f64 / 1e3 / echoes as f64,
        echoes_per_second: echoes as f64 * 1e9 / elapsed_ns as f64,
    }
}
