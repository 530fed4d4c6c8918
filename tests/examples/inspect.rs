//! Shows which socket a program hangs on: `Reactor::snapshot` of three proxies, of which one is stuck.
//!
//! `cargo run --release --example inspect`, and with `-- --help` for its options. The proxying itself is in
//! `tests/src/proxy.rs`. How to read the table is told in `reactor/DEBUGGING.md`.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use async_executor::LocalExecutor;
use futures::future::try_join_all;
use netpoll::{Direction, Reactor, Snapshot};
use netpoll_tests::proxy::{Route, proxy};

const USAGE: &str = "\
Shows which socket a program hangs on.

Usage: inspect [OPTIONS]

  --after SECONDS   how long the proxy has been stuck when the table is printed (2)
  -h, --help        this

Three proxies run on one thread of this process, each in front of a backend. Two backends
echo. The third one accepts connections and reads nothing, as a server does that has run
out of memory or waits for a lock. Each proxy has a client; the client of the third one
sends more than the buffers take. Then another thread prints the reactor's snapshot: a
line for each registration, of which one is marked.

Exit code: 0 if the marked line is that of the third backend; 1 if not.
";

/// How long the proxies get until the third one is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the snapshot is taken until then.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a client waits for an echo.
const ECHO: Duration = Duration::from_millis(300);

/// No connection ends by itself meanwhile. The deadlines are in the table.
const IDLE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "-h" || argument == "--help") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let after = match parse(&arguments) {
        Ok(after) => after,
        Err(error) => {
            eprint!("inspect: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match inspect(after) {
        Ok((report, true)) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Ok((report, false)) => {
            print!("{report}");
            eprintln!("inspect: the marked line is not that of the third backend");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("inspect: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[String]) -> Result<Duration, String> {
    match arguments {
        [] => Ok(Duration::from_secs(2)),
        [option, seconds] if option == "--after" => {
            let after = seconds.parse().ok().and_then(|it| Duration::try_from_secs_f64(it).ok());
            let after = after.filter(|after| *after < IDLE / 2);
            after.ok_or_else(|| format!("--after takes a number of seconds below 30: {seconds}"))
        }
        [option] if option == "--after" => Err("--after needs a number of seconds".into()),
        [option, ..] => Err(format!("there is no option {option}")),
    }
}

/// The report, and whether the snapshot suspects the third backend.
pub(crate) fn inspect(after: Duration) -> io::Result<(String, bool)> {
    let backends = [serve(echo)?, serve(echo)?, serve(read_nothing)?];
    let proxies = run_proxies(backends)?;
    let _clients: Vec<TcpStream> = proxies.into_iter().map(client).collect::<io::Result<_>>()?;

    let stuck = backends[2].to_string();
    let snapshot = stuck_snapshot(Reactor::global()?, &stuck, after)?;
    let is_found = suspect_is(&snapshot, &stuck);
    let report = format!(
        "The proxies pass connections on to {}, {} and {stuck}.\n\
         The last one accepts connections and reads nothing.\n\n{snapshot}\n\
         The marked line is the third proxy's connection to its backend. A task waits to write, and bytes\n\
         are unsent: the kernel's buffers are full, since the peer, {stuck}, reads nothing. So the\n\
         task reads no more from its client either, whose bytes are unread. The other tasks wait to read, and\n\
         their buffers are empty: they are idle. Listeners wait by design and come last.\n",
        backends[0], backends[1],
    );
    Ok((report, is_found))
}

/// The snapshot when the write to `stuck` has waited for this long.
fn stuck_snapshot(reactor: &Reactor, stuck: &str, after: Duration) -> io::Result<Snapshot> {
    let give_up = Instant::now() + PATIENCE;
    loop {
        let snapshot = reactor.snapshot()?;
        let waits = snapshot.rows().iter().find(|row| row.peer.as_deref() == Some(stuck));
        if waits.and_then(|row| row.write.waits_for).is_some_and(|waits| waits >= after) {
            return Ok(snapshot);
        }
        if Instant::now() > give_up {
            return Err(io::Error::other(format!("no write to {stuck} waits:\n{snapshot}")));
        }
        thread::sleep(PAUSE);
    }
}

fn suspect_is(snapshot: &Snapshot, peer: &str) -> bool {
    snapshot.suspect().is_some_and(|(row, direction)| {
        row.peer.as_deref() == Some(peer) && direction == Direction::Write
    })
}

/// Runs a proxy to each backend on one thread. Returns their addresses.
fn run_proxies(backends: [SocketAddr; 3]) -> io::Result<Vec<SocketAddr>> {
    let listeners: Vec<TcpListener> =
        backends.iter().map(|_| TcpListener::bind("127.0.0.1:0")).collect::<io::Result<_>>()?;
    let addresses = listeners.iter().map(TcpListener::local_addr).collect();
    thread::spawn(move || {
        let executor = LocalExecutor::new();
        let proxies = listeners.into_iter().zip(backends).map(|(listener, backend)| {
            let spawn = |connection| executor.spawn(connection).detach();
            async move {
                let listener = netpoll_futures::TcpListener::try_from(listener)?;
                let route = Route { backend: backend.to_string(), idle: IDLE, connect: IDLE };
                proxy(&listener, &route, spawn, |_| ()).await
            }
        });
        netpoll::block_on(executor.run(try_join_all(proxies)))
    });
    addresses
}

/// A client that has its echo, or has sent more than the buffers take.
fn client(proxy: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(proxy)?;
    stream.write_all(&[0; 1000])?;
    stream.set_read_timeout(Some(ECHO))?;
    if stream.read_exact(&mut [0; 1000]).is_err() {
        stream.set_nonblocking(true)?;
        let give_up = Instant::now() + PATIENCE;
        let mut full = 0;
        // The proxy takes bytes until its own buffers are full.
        while full < 10 && Instant::now() < give_up {
            match stream.write(&[0; 1 << 16]) {
                Ok(_) => full = 0,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    full += 1;
                    thread::sleep(PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(stream)
}

/// A backend on threads of its own, for as long as this process runs.
fn serve(connection: fn(TcpStream) -> io::Result<()>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || connection(stream));
        }
    });
    Ok(address)
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    io::copy(&mut stream.try_clone()?, &mut stream).map(drop)
}

fn read_nothing(_stream: TcpStream) -> io::Result<()> {
    loop {
        thread::park();
    }
}
