//! A listener that several processes have inherited: registered as exclusive, a connection wakes one of them.

use std::fs;
use std::io::{Read, Write, stdin, stdout};
use std::net::{TcpListener as StdTcpListener, TcpStream as StdTcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::thread;

use futures::executor::block_on;
use netpoll::{Direction, Reactor};
use netpoll_futures::{TcpListener, sys};
use netpoll_tests::fixtures::LOOPBACK;
use netpoll_tests::watched;

const PROCESSES: usize = 4;
const CONNECTIONS: usize = 100;

/// Set in the processes that share the listener: how they register it.
const SHARES: &str = "NETPOLL_TEST_SHARES";

/// Inherits the listener as its standard input, and reports each wake-up and each connection, until it is killed.
fn accept_for_ever(is_exclusive: bool) {
    let inherited = stdin().as_fd().try_clone_to_owned().expect("a descriptor");
    let reactor = Reactor::global().expect("a reactor");
    let listener = if is_exclusive {
        TcpListener::register_exclusive_on(reactor, inherited)
    } else {
        TcpListener::register_on(reactor, inherited)
    };
    let listener = listener.expect("a listener");
    let report = |what: &[u8]| stdout().write_all(what).expect("the test reads it");
    report(b"r\n");
    block_on(async {
        loop {
            listener.readable().await.expect("open");
            report(b"w\n");
            let accept = |listener: &StdTcpListener| sys::accept(listener.as_fd());
            while listener.try_io(Direction::Read, accept).is_ok() {
                report(b"a\n");
            }
        }
    });
}

fn begin(listener: &StdTcpListener, shares: &str) -> Child {
    let this = std::env::current_exe().expect("the path of this program");
    let inherited: OwnedFd = listener.try_clone().expect("a descriptor").into();
    let mut child = Command::new(this)
        .args(["--exact", "shared_listener::a_connection_wakes_one_process", "--nocapture"])
        .env(SHARES, shares)
        .stdin(inherited)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    // The words of the test harness come before its report.
    let out = child.stdout.as_mut().expect("a pipe");
    let mut said = Vec::new();
    while !said.ends_with(b"\nr\n") {
        let mut byte = [0];
        out.read_exact(&mut byte).expect("a report");
        said.push(byte[0]);
    }
    child
}

/// Reads a file of procfs for each thread of a process.
fn of_each_thread(child: &Child, file: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).expect("procfs").flatten();
    tasks.map(|task| fs::read_to_string(task.path().join(file)).unwrap_or_default()).collect()
}

/// Waits until every thread of a process sleeps.
fn wait_until_asleep(child: &Child) {
    let sleeps =
        |stat: &String| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'));
    while !of_each_thread(child, "stat").iter().all(sleeps) {
        thread::yield_now();
    }
}

/// How often the thread of the reactor has slept, which is once for each wake-up. A thread that finds no connection left
/// sleeps again inside of the system call, and the program never learns of that wake-up.
fn sleeps(child: &Child) -> usize {
    let reactor = |status: &String| {
        let mut lines = status.lines();
        let is_it = lines.next()?.ends_with("\tnetpoll");
        let sleeps = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        is_it.then(|| sleeps.trim().parse::<usize>().expect("a number"))
    };
    of_each_thread(child, "status").iter().find_map(reactor).expect("the thread of the reactor")
}

/// The wake-ups by connections that arrive while all processes sleep: of the reactors' threads, and of the tasks that
/// accept.
fn wake_ups(shares: &str) -> (usize, usize) {
    let listener = StdTcpListener::bind(LOOPBACK).expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut children: Vec<_> = (0..PROCESSES).map(|_| begin(&listener, shares)).collect();
    let all_sleep = || {
        children.iter().for_each(wait_until_asleep);
        children.iter().map(sleeps).sum::<usize>()
    };
    let before = all_sleep();
    for _ in 0..CONNECTIONS {
        let mut client = StdTcpStream::connect(address).expect("a connection");
        // The process that accepted it has closed it.
        assert_eq!(client.read(&mut [0]).expect("the end"), 0);
        all_sleep();
    }
    let woken = all_sleep() - before;
    let mut said = String::new();
    for child in &mut children {
        child.kill().expect("it runs");
        child.stdout.take().expect("a pipe").read_to_string(&mut said).expect("text");
        child.wait().expect("it was killed");
    }
    let count = |word: &str| said.lines().filter(|line| *line == word).count();
    assert_eq!(count("a"), CONNECTIONS);
    (woken, count("w"))
}

#[test]
fn a_connection_wakes_one_process() {
    if let Ok(shares) = std::env::var(SHARES) {
        return accept_for_ever(shares == "exclusive");
    }
    watched(|| {
        let [plain, exclusive] = ["plain", "exclusive"].map(|shares| {
            let (threads, tasks) = wake_ups(shares);
            println!(
                "shown: {PROCESSES} processes, {CONNECTIONS} connections, {shares}: {threads} wake-ups, {tasks} of tasks"
            );
            threads
        });
        assert!(plain >= 3 * CONNECTIONS, "{plain} wake-ups");
        assert!(exclusive < 2 * CONNECTIONS, "{exclusive} wake-ups");
    });
}
