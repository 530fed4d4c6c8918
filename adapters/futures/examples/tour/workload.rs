//! The echo server and its clients.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{try_join, try_join_all};
use futures::stream::{StreamExt, TryStreamExt, iter};
use netpoll_futures::{TcpListener, TcpStream, is_closed};

use crate::Result;
use crate::deadlines::{self, Fired};
use crate::executors::{Spawn, start};
use crate::options::Options;
use crate::progress::Progress;

/// A free port of the loopback interface.
pub(crate) const LOOPBACK: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// How many connections are made at once: far fewer than wait in the shortest usual queue of a
/// listener (128), or else the kernel drops some, and they are made again a second later.
const CONNECTING: usize = 32;

/// How long a client waits for an echo. It is a read deadline, which every message moves away.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest message. It fits into the sockets' buffers, so a client may write all of it first.
const LONGEST_MESSAGE: u64 = 1024;

/// The work under an executor.
pub(crate) struct Workload {
    connections: usize,
    messages: usize,
    echo_only: bool,
    progress: Arc<Progress>,
}

/// Its result, if every check held.
pub(crate) struct Outcome {
    /// How long it took until the last client had its last echo.
    pub(crate) took: Duration,
    /// The time from writing a message to having its echo, of every message, sorted.
    pub(crate) latencies: Vec<Duration>,
    /// The results of the deadlines, if they were checked.
    pub(crate) fired: Option<Fired>,
}

impl Workload {
    pub(crate) fn new(options: &Options, progress: Arc<Progress>) -> Self {
        let Options { connections, messages, echo_only, .. } = *options;
        Self { connections, messages, echo_only, progress }
    }

    /// Runs the server and its clients; when these are done, the server is stopped.
    pub(crate) async fn run(&self, spawn: &Spawn<'_>) -> Result<Outcome> {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let clients = async {
            let outcome = self.clients(spawn, listener.local_addr()?).await?;
            listener.close().await?;
            Ok(outcome)
        };
        let ((), outcome) = try_join(serve(&listener, spawn), clients).await?;
        Ok(outcome)
    }

    async fn clients(&self, spawn: &Spawn<'_>, server: SocketAddr) -> Result<Outcome> {
        let streams = self.connect(server).await?;
        let clients = Clients { spawn, streams: &streams, progress: &self.progress };
        let (took, latencies) = self.echo(&clients).await?;
        let fired = if self.echo_only { None } else { Some(deadlines::check(&clients).await?) };
        self.progress.step("the server ends", 1);
        Ok(Outcome { took, latencies, fired })
    }

    async fn connect(&self, server: SocketAddr) -> Result<Vec<TcpStream>> {
        self.progress.step("connect", self.connections);
        let connect = async |_| {
            let stream = TcpStream::connect(server).await;
            self.progress.advance();
            stream
        };
        let connecting = iter(0..self.connections).map(connect);
        Ok(connecting.buffered(CONNECTING).try_collect().await?)
    }

    /// All clients talk at once. Returns the time it took, and the latencies.
    async fn echo(&self, clients: &Clients<'_>) -> Result<(Duration, Vec<Duration>)> {
        self.progress.step("echo", self.connections * self.messages);
        let began = Instant::now();
        let talk = |number, stream| talk(stream, number, self.messages, self.progress.clone());
        let mut latencies = clients.each(talk).await?.concat();
        let took = began.elapsed();
        latencies.sort_unstable();
        Ok((took, latencies))
    }
}

/// The clients' ends of the connections, and where their tasks run.
pub(crate) struct Clients<'a> {
    pub(crate) spawn: &'a Spawn<'a>,
    pub(crate) streams: &'a [TcpStream],
    pub(crate) progress: &'a Arc<Progress>,
}

impl Clients<'_> {
    /// Starts a task for each connection and waits for all, or for the first that fails.
    pub(crate) async fn each<T, F>(&self, work: impl Fn(usize, TcpStream) -> F) -> Result<Vec<T>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let tasks = self.streams.iter().enumerate().map(|(number, stream)| {
            let work = work(number, stream.clone());
            let named = async move {
                work.await.map_err(|error| format!("connection {number}: {error}").into())
            };
            start(self.spawn, named)
        });
        try_join_all(tasks.collect::<Vec<_>>()).await
    }
}

/// Accepts connections until the listener is closed, and waits until all have ended.
async fn serve(listener: &TcpListener, spawn: &Spawn<'_>) -> Result<()> {
    let mut connections = Vec::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => connections.push(start(spawn, echo(stream))),
            Err(error) if is_closed(&error) => break,
            Err(error) => return Err(error.into()),
        }
    }
    try_join_all(connections).await?;
    Ok(())
}

/// The server's side of a connection: sends each byte back, until the client leaves.
async fn echo(stream: TcpStream) -> Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            len => stream.write_all(&buffer[..len]).await?,
        }
    }
}

/// The client's side: sends messages, and has each back before it sends the next.
async fn talk(
    stream: TcpStream,
    client: usize,
    messages: usize,
    progress: Arc<Progress>,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(messages);
    for number in 0..messages {
        let message = message(client, number);
        let began = Instant::now();
        // Moved away with every message, a deadline costs next to nothing.
        stream.set_read_deadline(Some(began + PATIENCE))?;
        stream.write_all(&message).await?;
        expect(&stream, &message).await.map_err(|error| format!("message {number}: {error}"))?;
        latencies.push(began.elapsed());
        progress.advance();
    }
    stream.set_read_deadline(None)?;
    Ok(latencies)
}

/// Reads the echo of `message`, and compares every byte.
///
/// There is room for one byte more. So an echo that is too long is noticed, and a read that has all
/// of it comes out short: that is how the stream knows, without asking, that it is drained.
pub(crate) async fn expect(stream: &TcpStream, message: &[u8]) -> Result<()> {
    let mut echo = vec![0; message.len() + 1];
    let mut len = 0;
    while len < message.len() {
        match stream.read(&mut echo[len..]).await? {
            0 => return Err(format!("the echo ends after {len} of {}", message.len()).into()),
            more => len += more,
        }
    }
    if len > message.len() {
        return Err("the echo is longer than the message".into());
    }
    match echo.iter().zip(message).position(|(echo, sent)| echo != sent) {
        None => Ok(()),
        Some(at) => {
            let (echo, sent) = (echo[at], message[at]);
            Err(format!("the echo differs at byte {at}: {echo:#04x} for {sent:#04x}").into())
        }
    }
}

/// A client's message of this number: no two are alike, in length or in content.
pub(crate) fn message(client: usize, number: usize) -> Vec<u8> {
    // Any state but zero will do; neighbours soon have nothing in common (xorshift64*).
    let mut state = (client as u64 + 1) << 32 | (number as u64 + 1);
    let mut next = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    };
    next();
    let len = 1 + next() % LONGEST_MESSAGE;
    let mut message: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| next().to_le_bytes()).collect();
    message.truncate(len as usize);
    message
}
