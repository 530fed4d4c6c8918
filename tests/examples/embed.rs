//! An echo server whose reactor is embedded in an event loop: `cargo run --release --example embed -- poll`.
//!
//! The loops are in `tests/src/loops`, a file each: `poll(2)`, calloop, GLib (with `--features glib`), async-io, and another
//! reactor of netpoll. Each watches one descriptor, and makes a turn when it is readable.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use futures::future::{Either, select};
use futures::stream::{FuturesUnordered, StreamExt};
use netpoll::Reactor;
use netpoll_futures::{TcpListener, TcpStream, is_deadline_exceeded};
use netpoll_tests::loops::{LOOPS, Tasks};

const USAGE: &str = "\
Sends back all bytes that it receives, in an event loop that knows nothing of sockets.

Usage: embed [--idle SECONDS] LOOP [ADDRESS]

  LOOP              poll, calloop, calloop-edge, async-io, netpoll, and glib if it was built with that feature
  ADDRESS           where to listen (127.0.0.1:7000)
  --idle SECONDS    close a connection on which no byte has come for so long (30)
  -h, --help        this
";

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "-h" || word == "--help") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let mut idle = Some(Duration::from_secs(30));
    if let Some(at) = words.iter().position(|word| word == "--idle") {
        let seconds = words.drain(at..words.len().min(at + 2)).nth(1);
        idle = seconds.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    }
    let chosen = words.first().and_then(|name| LOOPS.iter().find(|(known, _)| known == name));
    let (Some((_, run)), Some(idle), ..=2) = (chosen, idle, words.len()) else {
        eprint!("embed: it needs a loop\n\n{USAGE}");
        return ExitCode::from(2);
    };
    let address = words.get(1).map_or("127.0.0.1:7000", String::as_str).to_owned();
    let served = Reactor::builder().embedded().build().and_then(|reactor| {
        let own = reactor.clone();
        let serving = async move {
            if let Err(error) = serve(&own, &address, idle).await {
                eprintln!("embed: {error}");
            }
        };
        run(&reactor, Tasks::new(&reactor, serving))
    });
    if let Err(error) = &served {
        eprintln!("embed: {error}");
    }
    // It serves until it is ended, or fails.
    ExitCode::FAILURE
}

/// Accepts connections and serves them, all in one task.
async fn serve(reactor: &Reactor, address: &str, idle: Duration) -> io::Result<()> {
    let listener = TcpListener::bind_on(reactor, address).await?;
    println!("listening on {}", listener.local_addr()?);
    let mut connections = FuturesUnordered::new();
    loop {
        if connections.is_empty() {
            connections.push(echo(listener.accept().await?.0, idle));
            continue;
        }
        let accept = std::pin::pin!(listener.accept());
        match select(accept, connections.next()).await {
            Either::Left((accepted, _)) => connections.push(echo(accepted?.0, idle)),
            Either::Right((Some(Err(error)), _)) if !is_deadline_exceeded(&error) => {
                eprintln!("embed: a connection: {error}");
            }
            Either::Right(_) => {}
        }
    }
}

async fn echo(stream: TcpStream, idle: Duration) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        stream.set_read_deadline(idle)?;
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}
