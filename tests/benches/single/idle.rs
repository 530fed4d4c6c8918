//! The reactor's work while nothing happens: many connections wait, with deadlines far away.

use std::thread;
use std::time::{Duration, Instant};

use futures::executor::{LocalPool, LocalSpawner};
use futures::task::LocalSpawnExt;
use netpoll::Reactor;
use netpoll_futures::{TcpListener, TcpStream};

use crate::args::Args;
use crate::measure::child::Child;
use crate::measure::procfs::{self, Thread};

const HOUR: Duration = Duration::from_secs(3600);
const SETTLING: Duration = Duration::from_secs(2);

pub(crate) fn run(args: &Args) {
    let connections = args.number("--connections", 1000);
    let seconds = args.number("--seconds", 10);
    let reactor = Reactor::global().expect("a reactor");
    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    let clients = pool.run_until(accept(connections, &spawner));
    pool.run_until_stalled();

    thread::sleep(SETTLING);
    eprintln!("{connections} connections wait; counting for {seconds} s");
    let (before, threads_before) =
        (reactor.metrics(), procfs::threads(std::process::id()).expect("procfs is mounted"));
    thread::sleep(Duration::from_secs(seconds as u64));
    let (after, threads_after) =
        (reactor.metrics(), procfs::threads(std::process::id()).expect("procfs is mounted"));

    println!("registrations: {}", after.registrations);
    println!("turns:         {}", after.turns - before.turns);
    println!("expiries:      {}", after.expiries - before.expiries);
    for (before, after) in threads_before.iter().zip(&threads_after) {
        print_switches(before, after);
    }
    drop(clients);
}

async fn accept(connections: usize, spawner: &LocalSpawner) -> Child {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port().to_string();
    let clients =
        Child::start(&["as-idle-clients", &port, "--connections", &connections.to_string()]);
    for _ in 0..connections {
        let (stream, _) = listener.accept().await.expect("a connection");
        spawner.spawn_local(wait(stream)).expect("the pool lives");
    }
    clients
}

/// Waits in a read, with one deadline for both directions.
async fn wait(stream: TcpStream) {
    stream.set_deadline(Some(Instant::now() + HOUR)).expect("it is open");
    let read = stream.read(&mut [0; 64]).await;
    panic!("the client sends nothing, and yet: {read:?}");
}

fn print_switches(before: &Thread, after: &Thread) {
    println!(
        "thread {:<8} {} voluntary and {} involuntary context switches",
        after.name,
        after.voluntary_switches - before.voluntary_switches,
        after.involuntary_switches - before.involuntary_switches,
    );
}
