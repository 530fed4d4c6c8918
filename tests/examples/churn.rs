//! Many connections, of which some go and others come all the time: the memory of a server, how long an
//! exchange takes meanwhile, and whether its memory stays where it is.
//!
//! ```sh
//! cargo run --release -p netpoll-tests --example churn -- 15000 60000
//! ```
//!
//! The server and its load are two processes of as many descriptors as they may have: how many connections
//! are held, and how many are replaced in all, is as told or less.
#![allow(unsafe_code)] // The limit of descriptors.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::rc::Rc;

use async_executor::LocalExecutor;
use netpoll_futures::TcpListener;
use netpoll_tests::churn::{Plan, load, serve};

/// The descriptors of a process besides connections, with room to spare.
const SPARE: libc::rlim_t = 500;

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, or| words.get(index).map_or(Ok(or), |word| word.parse());
    match words.first().map(String::as_str) {
        Some("serve") => server(),
        _ => match (number(0, 15_000), number(1, 60_000)) {
            (Ok(held), Ok(churned)) => measure(held, churned),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "churn [HELD [REPLACED]]")),
        },
    }
}

/// Serves until standard input ends, at a port that it says.
fn server() -> io::Result<()> {
    allow_descriptors()?;
    std::thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let executor = Rc::new(LocalExecutor::new());
    let listener = netpoll::block_on(TcpListener::bind("0.0.0.0:0"))?;
    println!("{}", listener.local_addr()?.port());
    netpoll::block_on(executor.run(serve(executor.clone(), listener)))
}

fn measure(held: usize, churned: usize) -> io::Result<()> {
    let limit = allow_descriptors()?;
    let held = held.min(limit.saturating_sub(SPARE) as usize);
    let mut server = Command::new(std::env::current_exe()?)
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = String::new();
    BufReader::new(server.stdout.take().expect("it is piped")).read_line(&mut said)?;
    let port = said.trim().parse().map_err(io::Error::other)?;
    let plan = Plan { held, churned, at_once: 64, probes: 16 };
    println!("{:>10} {:>12} {:>10}", "", "descriptors", "memory");
    let row = |what: &str| {
        println!("{what:>10} {:>12} {:>7} KiB", descriptors(server.id()), resident(server.id()));
    };
    row("at first");
    let outcome = netpoll::block_on(load(port, plan, || row("held")))?;
    let rate = churned as f64 / outcome.churning.as_secs_f64();
    println!(
        "\n{held} connections held (of at most {limit} descriptors), opened in {:.1?}",
        outcome.opening
    );
    println!("{churned} replaced in {:.1?}: {rate:.0} a second", outcome.churning);
    println!(
        "{} exchanges meanwhile: half within {:?}, 99 of 100 within {:?}, the longest {:?}",
        outcome.exchanges.len(),
        outcome.quantile(0.5),
        outcome.quantile(0.99),
        outcome.quantile(1.0)
    );
    drop(server.stdin.take());
    server.wait().map(drop)
}

fn descriptors(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).map_or(0, Iterator::count)
}

fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// As many as this process may have, but no more than twenty thousand.
fn allow_descriptors() -> io::Result<libc::rlim_t> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: it fills `limit`.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max.min(20_000);
    // SAFETY: it reads `limit`.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}
