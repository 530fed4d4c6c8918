//! An echo while many timers expire in one millisecond, beside tokio and async-io.
//!
//! Each timer has a task, which ends when it fires. One more task, on the same thread, echoes the messages of a client, which
//! sends one every [`INTERVAL`], whether or not the last ones were answered. A latency counts from the time at which the
//! message was to be sent. The messages that count are those of the time from the deadline until the last task has ended.
//!
//! The client does not sleep. It has the second processor to itself, and all other threads are on the first.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use indicatif::ProgressBar;
use netpoll::{Reactor, Timer};
use smol::LocalExecutor;
use smol::io::{AsyncReadExt, AsyncWriteExt};

use super::clients::MESSAGE;
use crate::args::Args;
use crate::measure::stats::Sample;
use crate::measure::sys;
use crate::measure::table::Table;

/// The time between two messages.
const INTERVAL: Duration = Duration::from_micros(50);

/// How long before the deadline the first message is sent.
const BEFORE: Duration = Duration::from_millis(10);

/// Runs the timers' tasks and the echo on this thread, until the client has closed its stream.
type Contestant = fn(TcpStream, &Expiry);

const CONTESTANTS: [(&str, Contestant); 4] = [
    ("netpoll, inline", netpoll_inline),
    ("netpoll, LocalPool and thread", netpoll_thread),
    ("tokio, current_thread", tokio_current_thread),
    ("async-io, inline", async_io_inline),
];

/// So many timers for one time.
#[derive(Clone)]
struct Expiry {
    timers: usize,
    at: Instant,
    fired: Arc<Fired>,
}

struct Fired {
    left: AtomicUsize,
    /// When the task of the last timer has ended.
    last: OnceLock<Instant>,
}

impl Fired {
    fn one(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.last.set(Instant::now()).expect("there is one last timer");
        }
    }
}

/// In microseconds.
#[derive(Default)]
struct Cost {
    before: Vec<f64>,
    during: Vec<f64>,
    whole: Vec<f64>,
}

pub(crate) fn run(args: &Args) {
    let (timers, rounds) = (args.number("--timers", 20_000), args.number("--rounds", 15));
    let mut costs: [Cost; CONTESTANTS.len()] = Default::default();
    let client = Client::start();
    // A machine of one processor has no other.
    let _ = sys::pin(0);
    let progress = ProgressBar::new(rounds as u64);
    for _ in 0..rounds {
        for ((_, contestant), cost) in CONTESTANTS.iter().zip(&mut costs) {
            round(*contestant, &client, timers, cost);
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    println!(
        "Microseconds of an echo beside {timers} timers that expire at once, and of the whole expiry. {rounds} rounds.\n"
    );
    let mut table = Table::new(&["", "p50 before", "p50", "p99", "largest", "whole expiry"]);
    for ((name, _), Cost { before, during, whole }) in CONTESTANTS.iter().zip(costs) {
        let (before, during) = (Sample::new(before), Sample::new(during));
        let columns = [
            before.median(),
            during.median(),
            during.quantile(0.99),
            during.largest(),
            Sample::new(whole).median(),
        ];
        let cells = columns.map(|microseconds| format!("{microseconds:.0}"));
        table.row([vec![(*name).to_owned()], cells.to_vec()].concat());
    }
    table.print();
}

fn round(contestant: Contestant, client: &Client, timers: usize, cost: &mut Cost) {
    let (server, stream) = pair().expect("two ends of a connection");
    // The tasks are made in much less time.
    let at = Instant::now() + Duration::from_millis(100) + timers as u32 * Duration::from_micros(5);
    let fired = Arc::new(Fired { left: AtomicUsize::new(timers), last: OnceLock::new() });
    let expiry = Expiry { timers, at, fired };
    client.rounds.send((stream, expiry.clone())).expect("the client's thread");
    contestant(server, &expiry);
    let last = *expiry.fired.last.get().expect("the client waits for it");
    for (due, took) in client.echoes.recv().expect("the server answers") {
        match took.as_secs_f64() * 1e6 {
            took if due < at => cost.before.push(took),
            took if due <= last => cost.during.push(took),
            _ => {}
        }
    }
    cost.whole.push((last - at).as_secs_f64() * 1e6);
}

/// When each message was to be sent, and how long its echo took from then.
type Echoes = Vec<(Instant, Duration)>;

/// The client's thread.
struct Client {
    rounds: mpsc::Sender<(TcpStream, Expiry)>,
    echoes: mpsc::Receiver<Echoes>,
}

impl Client {
    fn start() -> Self {
        let (rounds, next) = mpsc::channel();
        let (done, echoes) = mpsc::channel();
        thread::spawn(move || {
            let _ = sys::pin(1);
            for (stream, expiry) in next {
                let echoes = exchange(stream, &expiry).expect("the server answers");
                done.send(echoes).expect("this round waits for them");
            }
        });
        Self { rounds, echoes }
    }
}

fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (server, _) = listener.accept()?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
    }
    Ok((server, client))
}

/// Sends messages until every timer has fired.
fn exchange(mut stream: TcpStream, expiry: &Expiry) -> io::Result<Echoes> {
    let mut next = expiry.at - BEFORE;
    thread::sleep(next.saturating_duration_since(Instant::now()));
    let (mut unanswered, mut answered) = (VecDeque::new(), Vec::new());
    let (mut buffer, mut received) = ([0; 64 * MESSAGE], 0);
    while expiry.fired.last.get().is_none() || !unanswered.is_empty() {
        // It does not sleep: no sleep is as exact as this has to be.
        if next <= Instant::now() && expiry.fired.last.get().is_none() {
            stream.write_all(&[7; MESSAGE])?;
            unanswered.push_back(next);
            next += INTERVAL;
        }
        received += match stream.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        while received >= MESSAGE {
            received -= MESSAGE;
            let due = unanswered.pop_front().expect("it was sent");
            answered.push((due, due.elapsed()));
        }
    }
    Ok(answered)
}

fn netpoll_inline(stream: TcpStream, expiry: &Expiry) {
    let (tasks, reactor) = (LocalExecutor::new(), Reactor::global().expect("a reactor"));
    for _ in 0..expiry.timers {
        tasks.spawn(netpoll_timer(reactor, expiry)).detach();
    }
    netpoll::block_on(tasks.run(tasks.spawn(netpoll_echo(stream))));
}

fn netpoll_thread(stream: TcpStream, expiry: &Expiry) {
    let (mut pool, reactor) = (LocalPool::new(), Reactor::global().expect("a reactor"));
    for _ in 0..expiry.timers {
        let task = netpoll_timer(reactor, expiry);
        pool.spawner().spawn_local(task).expect("the pool lives");
    }
    pool.run_until(netpoll_echo(stream));
}

fn netpoll_timer(reactor: &Reactor, expiry: &Expiry) -> impl Future<Output = ()> + use<> {
    let timer = Timer::at(reactor, expiry.at).expect("a timer");
    let fired = expiry.fired.clone();
    async move {
        timer.await.expect("the reactor lives");
        fired.one();
    }
}

async fn netpoll_echo(stream: TcpStream) {
    echo(netpoll_futures::TcpStream::try_from(stream).expect("a reactor")).await;
}

fn async_io_inline(stream: TcpStream, expiry: &Expiry) {
    let tasks = LocalExecutor::new();
    for _ in 0..expiry.timers {
        let (timer, fired) = (async_io::Timer::at(expiry.at), expiry.fired.clone());
        let task = async move {
            timer.await;
            fired.one();
        };
        tasks.spawn(task).detach();
    }
    let stream = async_net::TcpStream::try_from(stream).expect("a reactor");
    async_io::block_on(tasks.run(tasks.spawn(echo(stream))));
}

async fn echo(mut stream: impl smol::io::AsyncRead + smol::io::AsyncWrite + Unpin) {
    let mut buffer = [0; 64 * MESSAGE];
    loop {
        match stream.read(&mut buffer).await.expect("the client lives") {
            0 => return,
            count => stream.write_all(&buffer[..count]).await.expect("the client reads"),
        }
    }
}

fn tokio_current_thread(stream: TcpStream, expiry: &Expiry) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        for _ in 0..expiry.timers {
            let (at, fired) = (expiry.at, expiry.fired.clone());
            tokio::spawn(async move {
                tokio::time::sleep_until(at.into()).await;
                fired.one();
            });
        }
        let echo = async move {
            let mut stream = tokio::net::TcpStream::from_std(stream).expect("inside the runtime");
            let mut buffer = [0; 64 * MESSAGE];
            loop {
                match stream.read(&mut buffer).await.expect("the client lives") {
                    0 => return,
                    count => stream.write_all(&buffer[..count]).await.expect("the client reads"),
                }
            }
        };
        tokio::spawn(echo).await.expect("it does not panic");
    });
}
