//! Echoes over one connection, to count the system calls that each of them takes.
//!
//! The buffer is larger than a message, so that a short read says that there was no more. With a
//! buffer of exactly a message's length every read is followed by one that finds nothing.

use std::io;
use std::time::{Duration, Instant};

use futures::executor::LocalPool;
use netpoll::Reactor;
use netpoll_futures::{TcpListener, TcpStream};

use crate::args::Args;
use crate::measure::child::Child;
use crate::single::clients;

const BUFFER: usize = 1024;
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts the server as a child process, and is the client itself.
pub(crate) fn run(args: &Args) {
    let rounds = args.number("--rounds", 10_000);
    let deadlines = args.flag("--deadlines");
    let tool: Vec<&str> = args.word("--under").unwrap_or("").split_whitespace().collect();
    let words: &[&str] =
        if deadlines { &["as-ping-pong-server", "--deadlines"] } else { &["as-ping-pong-server"] };
    let mut server = Child::start_under(&tool, words);
    let port = server.port().parse().expect("the server prints its port");

    let began = Instant::now();
    clients::exchange(port, 1, rounds);
    let each = began.elapsed().as_secs_f64() * 1e6 / rounds as f64;
    println!("{rounds} echoes of {} bytes, {each:.1} us each", clients::MESSAGE);
    println!("the server's reactor: {}", server.line());
    server.finish();
}

/// The server: prints its port, serves one connection until it ends, and prints its counts.
pub(crate) fn serve(args: &Args) {
    let deadlines = args.flag("--deadlines");
    LocalPool::new().run_until(accept_one(deadlines)).expect("the connection ends in good order");
    let metrics = Reactor::global().expect("it has been used").metrics();
    println!("{metrics:?}");
}

async fn accept_one(deadlines: bool) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    let (stream, _) = listener.accept().await?;
    echo(&stream, deadlines).await
}

async fn echo(stream: &TcpStream, deadlines: bool) -> io::Result<()> {
    let set_deadline = || match deadlines {
        true => stream.set_deadline(Some(Instant::now() + PATIENCE)),
        false => Ok(()),
    };
    let mut buffer = [0; BUFFER];
    loop {
        set_deadline()?;
        let len = stream.read(&mut buffer).await?;
        if len == 0 {
            return Ok(());
        }
        set_deadline()?;
        stream.write_all(&buffer[..len]).await?;
    }
}
