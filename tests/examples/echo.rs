//! An echo server to try with `nc`, whose connections end when they are idle.
//!
//! `cargo run --release --example echo -- 127.0.0.1:7000`, and elsewhere `nc 127.0.0.1 7000`.
//!
//! The executor is the plainest there is, a queue of tasks on one thread that knows nothing of
//! sockets. Any other does as well: those of `netpoll_futures` need nothing of it.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures::executor::{LocalPool, LocalSpawner};
use futures::task::LocalSpawnExt;
use netpoll_futures::{Backoff, Limit, TcpListener, TimeoutStream, Timeouts, is_deadline_exceeded};

const USAGE: &str = "\
Sends back all bytes that it receives.

Usage: echo [--idle SECONDS] [--most NUMBER] ADDRESS

  ADDRESS           where to listen, as 127.0.0.1:7000, [::1]:7000 or localhost:7000
  --idle SECONDS    close a connection on which nothing has moved for so long (30)
  --most NUMBER     how many connections there may be at once; others wait (10000)
  -h, --help        this
";

struct Options {
    address: String,
    idle: Duration,
    most: usize,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "-h" || argument == "--help") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let options = match parse(arguments) {
        Ok(options) => options,
        Err(error) => {
            eprint!("echo: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    match pool.run_until(serve(&options, &spawner)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: Vec<String>) -> Result<Options, String> {
    let (mut address, mut idle, mut most) = (None, Duration::from_secs(30), 10_000);
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--idle" => {
                let seconds = arguments.next().ok_or("--idle needs a number of seconds")?;
                idle = parse_idle(&seconds)?;
            }
            "--most" => {
                let number = arguments.next().ok_or("--most needs a number of connections")?;
                let number = number.parse().ok().filter(|number| *number > 0);
                most = number.ok_or("--most takes a number of connections above zero")?;
            }
            option if option.starts_with('-') => {
                return Err(format!("there is no option {option}"));
            }
            _ if address.is_some() => return Err(format!("one address is enough: {argument}")),
            _ => address = Some(argument),
        }
    }
    Ok(Options { address: address.ok_or("an address to listen on is missing")?, idle, most })
}

fn parse_idle(seconds: &str) -> Result<Duration, String> {
    let idle = seconds.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    // A deadline must be a time that the clock can tell.
    let idle = idle.filter(|idle| !idle.is_zero() && Instant::now().checked_add(*idle).is_some());
    idle.ok_or_else(|| format!("--idle takes a number of seconds: {seconds}"))
}

/// Accepts connections for ever, or until something is wrong with the listener.
async fn serve(options: &Options, tasks: &LocalSpawner) -> io::Result<()> {
    let listener = TcpListener::bind(&options.address).await?;
    println!("listening on {}", listener.local_addr()?);
    listener.set_limit(Some(&Limit::new(options.most)))?;
    let (idle, mut backoff) = (options.idle, Backoff::new());
    // A peer that does not read its answer is idle as well.
    let timeouts = Timeouts { idle: Some(idle), write_stall: Some(idle) };
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                backoff.reset();
                let connection = attend(TimeoutStream::new(stream, timeouts), peer, idle);
                tasks.spawn_local(connection).map_err(io::Error::other)?;
            }
            Err(error) => {
                let what = error.to_string();
                // Out of descriptors or memory, it waits a little. Any other error ends the server.
                backoff.pause(error).await?;
                eprintln!("echo: {what}: trying again");
            }
        }
    }
}

/// A connection, from its beginning to its end.
async fn attend(stream: TimeoutStream<TcpStream>, peer: SocketAddr, idle: Duration) {
    println!("{peer} opened");
    let ended = echo(&stream).await;
    // The descriptor is closed before the line about it is printed.
    drop(stream);
    println!("{peer} closed: {}", ending(ended, idle));
}

/// Sends each byte back, until the peer has sent its last. Returns how many bytes that were.
async fn echo(stream: &TimeoutStream<TcpStream>) -> io::Result<u64> {
    let (mut buffer, mut total) = ([0; 4096], 0);
    loop {
        let len = stream.read(&mut buffer).await?;
        if len == 0 {
            return Ok(total);
        }
        stream.write_all(&buffer[..len]).await?;
        total += len as u64;
    }
}

/// Why a connection has ended, in words.
fn ending(result: io::Result<u64>, idle: Duration) -> String {
    match result {
        Ok(total) => format!("the peer left, after {total} bytes"),
        Err(error) if is_deadline_exceeded(&error) => format!("idle for {idle:?}"),
        Err(error) => format!("error: {error}"),
    }
}
