//! A TCP proxy whose connections end when they are idle.
//!
//! ```text
//! cargo run --release -p netpoll-tests --example proxy -- \
//!     --listen 127.0.0.1:7000 --to 127.0.0.1:6379 --idle 60
//! ```
//!
//! and elsewhere `redis-cli -p 7000`. The proxying itself is in `tests/src/proxy.rs`; the executor is
//! async-executor's, on two threads, which knows nothing of sockets.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use async_executor::Executor;
use futures::executor::block_on;
use futures::future::pending;
use netpoll_futures::TcpListener;
use netpoll_tests::proxy::{Ending, Event, Route, proxy};

const USAGE: &str = "\
Passes connections on to another address.

Usage: proxy --listen ADDRESS --to ADDRESS [OPTIONS]

  --listen ADDRESS    where to listen, as 127.0.0.1:7000, [::1]:7000 or localhost:7000
  --to ADDRESS        where connections go; a name is looked up for each of them
  --idle SECONDS      close a connection on which nothing has moved for so long, in
                      either direction (60)
  --connect SECONDS   give up on connecting after so long (5)
  -h, --help          this

Connections that fail or are idle are reported to stderr, with both addresses. While
no server answers at the other address, connections are reset; it may come and go.
";

struct Options {
    listen: String,
    route: Route,
}

fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|it| it.to_string_lossy().into_owned()).collect();
    if arguments.iter().any(|argument| argument == "-h" || argument == "--help") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let options = match parse(arguments) {
        Ok(options) => options,
        Err(error) => {
            eprint!("proxy: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: Vec<String>) -> Result<Options, String> {
    let (mut listen, mut to) = (None, None);
    let (mut idle, mut connect) = (Duration::from_secs(60), Duration::from_secs(5));
    let mut arguments = arguments.into_iter();
    while let Some(option) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{option} needs a value"));
        match option.as_str() {
            "--listen" => listen = Some(address(&option, value()?)?),
            "--to" => to = Some(address(&option, value()?)?),
            "--idle" => idle = seconds(&option, &value()?)?,
            "--connect" => connect = seconds(&option, &value()?)?,
            _ => return Err(format!("there is no option {option}")),
        }
    }
    let listen = listen.ok_or("--listen is missing: an address to listen on")?;
    let backend = to.ok_or("--to is missing: an address to pass connections on to")?;
    Ok(Options { listen, route: Route { backend, idle, connect } })
}

/// Text with a host and a port; whether there is such a host is found out later.
fn address(option: &str, value: String) -> Result<String, String> {
    let parts = value.rsplit_once(':');
    let is_address =
        parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    let wrong = || format!("{option} takes a host and a port, as 127.0.0.1:7000: {value}");
    if is_address { Ok(value) } else { Err(wrong()) }
}

fn seconds(option: &str, value: &str) -> Result<Duration, String> {
    let time = value.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    // A deadline must be a time that the clock can tell, also in a while.
    let far = |time: &Duration| time.checked_mul(2).and_then(|far| Instant::now().checked_add(far));
    let time = time.filter(|time| !time.is_zero() && far(time).is_some());
    time.ok_or_else(|| format!("{option} takes a number of seconds above zero: {value}"))
}

/// Proxies for ever, or until something is wrong with the listener, on this thread and another.
fn serve(options: &Options) -> io::Result<()> {
    let executor = Arc::new(Executor::new());
    let helping = executor.clone();
    thread::Builder::new()
        .name("proxy".into())
        .spawn(move || block_on(helping.run(pending::<()>())))?;
    block_on(executor.run(async {
        let listener = TcpListener::bind(&options.listen).await?;
        println!("{} goes to {}", listener.local_addr()?, options.route.backend);
        let spawn = |connection| executor.spawn(connection).detach();
        proxy(&listener, &options.route, spawn, |event| report(&event)).await
    }))
}

fn report(event: &Event) {
    if !matches!(event, Event::Ended { ending: Ending::Finished, .. }) {
        eprintln!("proxy: {event}");
    }
}
