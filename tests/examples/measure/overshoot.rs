//! How late a deadline is noticed by the task that waits for it: each library in turns.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use futures::executor::LocalPool;
use netpoll::{Reactor, Timer};
use netpoll_futures::is_deadline_exceeded;

use crate::args::Args;
use crate::stats::{Sample, Table};

const DELAYS: [Duration; 3] =
    [Duration::from_micros(100), Duration::from_millis(1), Duration::from_millis(10)];

/// The bounds of the histogram's classes, in microseconds.
const BOUNDS: [f64; 10] = [0.0, 25.0, 50.0, 100.0, 150.0, 200.0, 500.0, 1000.0, 2000.0, f64::MAX];

/// Waits until a time, on its own executor.
type Wait = Box<dyn FnMut(Instant)>;

pub(crate) fn run(args: &Args) {
    let rounds = args.number("--rounds", 1000);
    let mut contestants = contestants().expect("sockets and runtimes to be had");
    for delay in DELAYS {
        eprintln!("{rounds} deadlines of {delay:?} of each");
        let mut late = contestants.each_ref().map(|_| Vec::with_capacity(rounds));
        for _ in 0..rounds {
            for ((_, wait), late) in contestants.iter_mut().zip(&mut late) {
                late.push(overshoot(wait, delay));
            }
        }
        let samples = late.map(Sample::new);
        let names = contestants.each_ref().map(|(name, _)| *name);
        print(delay, &names, &samples);
    }
}

/// How many microseconds after its time the wait was over.
fn overshoot(wait: &mut Wait, delay: Duration) -> f64 {
    let at = Instant::now() + delay;
    wait(at);
    let late = Instant::now().checked_duration_since(at).expect("no deadline is early");
    late.as_secs_f64() * 1e6
}

fn contestants() -> io::Result<[(&'static str, Wait); 5]> {
    Ok([
        ("netpoll deadline, LocalPool", netpoll_deadline()?),
        ("netpoll Timer, LocalPool", netpoll_timer()?),
        ("tokio sleep, current_thread", tokio_sleep()?),
        ("async-io Timer, LocalPool", async_io_timer()),
        ("async-io Timer, its block_on", async_io_alone()),
    ])
}

/// A read that ends by its deadline, on a connection on which nothing comes.
fn netpoll_deadline() -> io::Result<Wait> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let silent = TcpStream::connect(listener.local_addr()?)?;
    let (stream, _) = listener.accept()?;
    let stream = netpoll_futures::TcpStream::try_from(stream)?;
    let mut pool = LocalPool::new();
    Ok(Box::new(move |at| {
        stream.set_read_deadline(Some(at)).expect("it is open");
        let read = pool.run_until(stream.read(&mut [0; 64]));
        let error = read.expect_err("nothing comes");
        assert!(is_deadline_exceeded(&error), "{error} from {silent:?}");
    }))
}

fn netpoll_timer() -> io::Result<Wait> {
    let timer = Timer::never(Reactor::global()?)?;
    let mut pool = LocalPool::new();
    Ok(Box::new(move |at| {
        timer.set(Some(at));
        pool.run_until(poll_fn(|cx| timer.poll_fired(cx))).expect("the reactor lives");
    }))
}

fn tokio_sleep() -> io::Result<Wait> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    Ok(Box::new(move |at| runtime.block_on(async { tokio::time::sleep_until(at.into()).await })))
}

fn async_io_timer() -> Wait {
    let mut pool = LocalPool::new();
    Box::new(move |at| {
        pool.run_until(async_io::Timer::at(at));
    })
}

/// With its reactor on the thread that waits, and not on another.
fn async_io_alone() -> Wait {
    Box::new(|at| {
        async_io::block_on(async_io::Timer::at(at));
    })
}

fn print(delay: Duration, names: &[&str], samples: &[Sample]) {
    println!("Deadlines of {delay:?}: microseconds late");
    println!();
    let mut table = Table::new(&["", "least", "p50", "p99", "most"]);
    for (name, sample) in names.iter().zip(samples) {
        let quantiles = [0.0, 0.5, 0.99, 1.0].map(|q| format!("{:.0}", sample.quantile(q)));
        table.row(std::iter::once((*name).to_owned()).chain(quantiles).collect());
    }
    table.print();

    let below = |high: f64| if high < f64::MAX { format!("< {high:.0}") } else { "more".into() };
    let head: Vec<String> = BOUNDS[1..].iter().map(|high| below(*high)).collect();
    let head: Vec<&str> = std::iter::once("").chain(head.iter().map(String::as_str)).collect();
    let mut table = Table::new(&head);
    for (name, sample) in names.iter().zip(samples) {
        let counts = BOUNDS.windows(2).map(|pair| sample.count_within(pair[0], pair[1]));
        let cells = counts.map(|count| count.to_string());
        table.row(std::iter::once((*name).to_owned()).chain(cells).collect());
    }
    table.print();
}
