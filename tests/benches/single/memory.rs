//! Resident memory of a connection that waits in a read: each library in a fresh process.
//!
//! Every task is the same: it owns the connection and a buffer, and waits. The measure is the
//! library's memory for the connection and the executor's for the task; the kernel's is in no
//! resident set. The baseline holds the same sockets in a vector and in an epoll instance.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::task::Poll;

use futures::AsyncReadExt;
use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use smol::LocalExecutor;
use tokio::io::AsyncReadExt as _;
use tokio::task::LocalSet;

use crate::args::Args;
use crate::measure::child::{Child, own_program};
use crate::measure::epoll::BareEpoll;
use crate::measure::procfs;
use crate::measure::stats::Sample;
use crate::measure::table::Table;
use crate::single::clients;

const BUFFER: usize = 64;

/// Accepted before the first reading of the memory, so that one-time allocations are there.
const WARM_UP: usize = 1;

thread_local! {
    /// How many tasks have begun to wait. Not theirs: a handle on it would be memory of each.
    static WAITING: Cell<usize> = const { Cell::new(0) };
}

/// A way to hold connections, under its name in the comparison.
pub(crate) struct Holder {
    pub(crate) server: &'static str,
    pub(crate) title: &'static str,
    hold: fn(&TcpListener, usize) -> io::Result<()>,
}

/// The first is the baseline of the others.
pub(crate) const HOLDERS: [Holder; 7] = [
    Holder { server: "bare", title: "sockets in a bare epoll", hold: bare },
    Holder { server: "tokio", title: "tokio, LocalSet", hold: tokio },
    Holder { server: "smol", title: "async-net, LocalExecutor", hold: smol },
    Holder { server: "async-io-local", title: "async-net, LocalPool", hold: async_net },
    Holder { server: "netpoll-local", title: "netpoll, LocalPool", hold: netpoll },
    Holder { server: "netpoll-inline", title: "netpoll, inline", hold: netpoll_inline },
    Holder { server: "netpoll-tokio", title: "netpoll, tokio LocalSet", hold: netpoll_on_tokio },
];

pub(crate) fn run(args: &Args) {
    let connections = args.number("--connections", 10_000);
    let rounds = args.number("--rounds", 3);
    let mut samples = [(); HOLDERS.len()].map(|()| Vec::new());
    for round in 1..=rounds {
        for (Holder { server, title, .. }, sample) in HOLDERS.iter().zip(&mut samples) {
            eprintln!("round {round} of {rounds}: {connections} connections, {title}");
            sample.push(measure(&own_program(), server, connections));
        }
    }
    let samples = samples.map(Sample::new);
    let baseline = samples[0].median();
    let mut table =
        Table::new(&["idle connections", "bytes each", "least to most", "beyond the first"]);
    for (Holder { title, .. }, sample) in HOLDERS.iter().zip(&samples) {
        table.row(vec![
            (*title).to_owned(),
            format!("{:.0}", sample.median()),
            format!("{:.0} to {:.0}", sample.quantile(0.0), sample.largest()),
            format!("{:.0}", sample.median() - baseline),
        ]);
    }
    table.print();
}

/// Bytes per connection, from one process that holds them and one that has their other ends.
pub(crate) fn measure(program: &Path, server: &str, connections: usize) -> f64 {
    let count = connections.to_string();
    let words = ["as-memory-server", server, "--connections", &count];
    let mut holder = Child::start_of(program, &[], &words);
    let port = holder.port();
    let all = (connections + WARM_UP).to_string();
    let clients = Child::start(&["as-idle-clients", &port, "--connections", &all]);
    let [before, after] = holder.numbers();
    drop(clients);
    after.saturating_sub(before) as f64 / connections as f64
}

/// The server: prints its port, then its resident bytes before and after accepting, and ends.
pub(crate) fn serve(args: &Args) {
    let connections = args.number("--connections", 10_000);
    let known = HOLDERS.iter().find(|holder| holder.server == args.operand());
    let listener = clients::listen().expect("a free port");
    (known.expect("a holder").hold)(&listener, connections).expect("all connections are accepted");
}

fn report(before: u64) {
    println!("{before} {}", procfs::resident_bytes());
}

fn bare(listener: &TcpListener, connections: usize) -> io::Result<()> {
    let epoll = BareEpoll::new()?;
    let mut streams = Vec::with_capacity(WARM_UP + connections);
    let mut before = 0;
    for number in 0..WARM_UP + connections {
        if number == WARM_UP {
            before = procfs::resident_bytes();
        }
        let (stream, _) = listener.accept()?;
        stream.set_nonblocking(true)?;
        epoll.add(&stream, number)?;
        streams.push(stream);
    }
    report(before);
    Ok(())
}

/// Accepts all connections, gives each to a task, and reports when all of them wait.
async fn hold<S, F>(
    connections: usize,
    mut accept: impl AsyncFnMut() -> io::Result<S>,
    wait: impl Fn(S) -> F,
    mut spawn: impl FnMut(F),
) -> io::Result<()>
where
    F: Future<Output = ()>,
{
    for _ in 0..WARM_UP {
        spawn(wait(accept().await?));
    }
    all_wait(WARM_UP).await;
    let before = procfs::resident_bytes();
    for _ in 0..connections {
        spawn(wait(accept().await?));
    }
    all_wait(WARM_UP + connections).await;
    report(before);
    Ok(())
}

/// Lets the other tasks run until so many of them have begun to wait.
async fn all_wait(count: usize) {
    poll_fn(|cx| {
        if WAITING.get() == count {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn begin_to_wait() {
    WAITING.set(WAITING.get() + 1);
}

async fn wait_netpoll(stream: netpoll_futures::TcpStream) {
    begin_to_wait();
    let _ = stream.read(&mut [0; BUFFER]).await;
}

async fn wait_tokio(mut stream: tokio::net::TcpStream) {
    begin_to_wait();
    let _ = stream.read(&mut [0; BUFFER]).await;
}

async fn wait_async_net(mut stream: async_net::TcpStream) {
    begin_to_wait();
    let _ = stream.read(&mut [0; BUFFER]).await;
}

fn netpoll(listener: &TcpListener, connections: usize) -> io::Result<()> {
    let listener = netpoll_futures::TcpListener::try_from(listener.try_clone()?)?;
    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    let accept = async || listener.accept().await.map(|(stream, _)| stream);
    let spawn = |task| spawner.spawn_local(task).expect("the pool lives");
    pool.run_until(hold(connections, accept, wait_netpoll, spawn))
}

fn netpoll_on_tokio(listener: &TcpListener, connections: usize) -> io::Result<()> {
    let listener = netpoll_futures::TcpListener::try_from(listener.try_clone()?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let accept = async || listener.accept().await.map(|(stream, _)| stream);
    let spawn = |task| drop(tokio::task::spawn_local(task));
    LocalSet::new().block_on(&runtime, hold(connections, accept, wait_netpoll, spawn))
}

fn tokio(listener: &TcpListener, connections: usize) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = listener.try_clone()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let accept = async || listener.accept().await.map(|(stream, _)| stream);
        let spawn = |task| drop(tokio::task::spawn_local(task));
        hold(connections, accept, wait_tokio, spawn).await
    })
}

fn async_net(listener: &TcpListener, connections: usize) -> io::Result<()> {
    let listener = async_net::TcpListener::try_from(listener.try_clone()?)?;
    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    let accept = async || listener.accept().await.map(|(stream, _)| stream);
    let spawn = |task| spawner.spawn_local(task).expect("the pool lives");
    pool.run_until(hold(connections, accept, wait_async_net, spawn))
}

fn netpoll_inline(listener: &TcpListener, connections: usize) -> io::Result<()> {
    let listener = netpoll_futures::TcpListener::try_from(listener.try_clone()?)?;
    let accept = async || listener.accept().await.map(|(stream, _)| stream);
    let tasks = LocalExecutor::new();
    let spawn = |task| tasks.spawn(task).detach();
    netpoll::block_on(tasks.run(hold(connections, accept, wait_netpoll, spawn)))
}

fn smol(listener: &TcpListener, connections: usize) -> io::Result<()> {
    let listener = async_net::TcpListener::try_from(listener.try_clone()?)?;
    let accept = async || listener.accept().await.map(|(stream, _)| stream);
    let tasks = LocalExecutor::new();
    let spawn = |task| tasks.spawn(task).detach();
    smol::block_on(tasks.run(hold(connections, accept, wait_async_net, spawn)))
}
