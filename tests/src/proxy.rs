//! A TCP proxy that cuts off idle connections: the `proxy` example runs it, and the `programs` test
//! puts it in front of real servers.
//!
//! A connection is one task with two ways, and each moves the deadlines of both sockets away
//! whenever something has moved. As they take turns in one task, a later time never gives way to an
//! earlier one.

use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, join};
use netpoll_futures::{Backoff, OpError, TcpListener, TcpStream, is_closed, is_deadline_exceeded};

/// How much of one direction is held at once, in bytes.
const BUFFER: usize = 16 * 1024;

/// Where connections go, and how long they are waited for.
#[derive(Clone, Debug)]
pub struct Route {
    /// The address of the backend, as `127.0.0.1:6379`. A name is looked up for each connection.
    pub backend: String,
    /// A connection on which nothing has moved for so long, in either direction, is closed.
    pub idle: Duration,
    /// How long the backend may take to be connected to.
    pub connect: Duration,
}

/// Events of a proxy, for its owner.
#[derive(Debug)]
pub enum Event {
    /// Out of descriptors or memory, it waits a little until it accepts the next.
    Paused(String),
    /// A connection has ended, and its sockets are closed.
    Ended {
        /// The address of the client.
        client: SocketAddr,
        /// Where to: [`Route::backend`].
        backend: String,
        /// Bytes that the backend was sent.
        sent: u64,
        /// Bytes that the client was sent.
        received: u64,
        /// Why.
        ending: Ending,
    },
}

/// Why a connection has ended.
#[derive(Debug)]
pub enum Ending {
    /// Both sides have sent their last.
    Finished,
    /// Nothing has moved for [`Route::idle`], and nothing was on its way.
    Idle,
    /// The error says where it happened. Bytes that were still on their way are lost, and both sides get
    /// a reset: the end of a stream would look as if all bytes had come.
    Failed(io::Error),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused(error) => write!(f, "{error}: trying again"),
            Self::Ended { client, backend, sent, received, ending } => {
                write!(f, "{client} to {backend}: {ending}, {sent} bytes sent, {received} received")
            }
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("finished"),
            Self::Idle => f.write_str("closed, as it was idle"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

/// Accepts connections, and has each proxied by a task of its own, until the listener is closed.
/// Those tasks pass the end of each connection to `report`.
///
/// A backend that is not there ends the connections that are made meanwhile, and nothing else.
///
/// # Errors
///
/// The error of accepting, unless it is a lack of descriptors or memory, which is waited out.
pub async fn proxy(
    listener: &TcpListener,
    route: &Route,
    spawn: impl Fn(BoxFuture<'static, ()>),
    report: impl Fn(Event) + Clone + Send + Sync + 'static,
) -> io::Result<()> {
    let mut backoff = Backoff::new();
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                backoff.reset();
                let client = Side { stream, name: address.to_string() };
                let (route, report) = (route.clone(), report.clone());
                let connection = async move { report(attend(client, address, route).await) };
                spawn(connection.boxed());
            }
            Err(error) if is_closed(&error) => return Ok(()),
            Err(error) => {
                let what = error.to_string();
                backoff.pause(error).await?;
                report(Event::Paused(what));
            }
        }
    }
}

/// A connection, from its beginning to its end.
async fn attend(client: Side, address: SocketAddr, route: Route) -> Event {
    let mut moved = (0, 0);
    let ending = match Side::connect(&route).await {
        Ok(backend) => pass_on(client, backend, route.idle, &mut moved).await,
        Err(error) => {
            client.will_reset();
            drop(client);
            Ending::Failed(error)
        }
    };
    let (sent, received) = moved;
    Event::Ended { client: address, backend: route.backend, sent, received, ending }
}

/// Passes on the bytes of either side, until both have ended or one has failed. The sockets are
/// closed when it returns.
async fn pass_on(client: Side, backend: Side, idle: Duration, moved: &mut (u64, u64)) -> Ending {
    let mut there = Way { from: &client, to: &backend, idle, moved: &mut moved.0 };
    let mut back = Way { from: &backend, to: &client, idle, moved: &mut moved.1 };
    let begun = there.something_moved();
    let ended = match begun {
        Ok(()) => join(there.run(), back.run()).await,
        Err(error) => (Err(error.into()), Ok(())),
    };
    let ending = ending(ended);
    if matches!(ending, Ending::Failed(_)) {
        client.will_reset();
        backend.will_reset();
    }
    ending
}

/// The end of two ways. The one that failed has ended the other, so an error counts for more than a
/// deadline.
fn ending(ended: (Result<(), Stopped>, Result<(), Stopped>)) -> Ending {
    let mut stopped = [ended.0.err(), ended.1.err()].into_iter().flatten().collect::<Vec<_>>();
    stopped.sort_by_key(Stopped::weight);
    match stopped.pop() {
        None => Ending::Finished,
        Some(Stopped::Idle) => Ending::Idle,
        Some(Stopped::Stuck(error) | Stopped::Failed(error)) => Ending::Failed(error),
    }
}

/// One end of a connection.
struct Side {
    stream: TcpStream,
    name: String,
}

impl Side {
    async fn connect(route: &Route) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&route.backend, route.connect).await?;
        Ok(Self { stream, name: route.backend.clone() })
    }

    /// Closing it will be a reset.
    fn will_reset(&self) {
        // It fails where the other side is gone.
        let _ = self.stream.set_linger(Some(Duration::ZERO));
    }

    fn explain(&self, operation: &'static str, error: io::Error) -> io::Error {
        OpError::wrap(operation, &self.name, error)
    }
}

/// Why a way has come to no end of its own.
enum Stopped {
    /// The deadline came while it waited for something to pass on.
    Idle,
    /// The deadline came while it waited for a peer to take bytes.
    Stuck(io::Error),
    Failed(io::Error),
}

impl Stopped {
    fn weight(&self) -> u8 {
        match self {
            Self::Idle => 0,
            Self::Stuck(_) => 1,
            Self::Failed(_) => 2,
        }
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// One direction of a connection.
struct Way<'a> {
    from: &'a Side,
    to: &'a Side,
    idle: Duration,
    moved: &'a mut u64,
}

impl Way<'_> {
    /// To the end, which is passed on. If it fails, it ends the other way as well: by deadlines in the
    /// past, which every operation on either socket finds.
    async fn run(&mut self) -> Result<(), Stopped> {
        let ended = self.pump().await;
        if ended.is_err() {
            let _ = self.set_deadlines(Instant::now());
        }
        ended
    }

    async fn pump(&mut self) -> Result<(), Stopped> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let len = self.read(&mut buffer).await?;
            self.something_moved()?;
            if len == 0 {
                return Ok(self.pass_on_the_end()?);
            }
            self.write(&buffer[..len]).await?;
        }
    }

    async fn read(&self, buffer: &mut [u8]) -> Result<usize, Stopped> {
        self.from.stream.read(buffer).await.map_err(|error| match error {
            late if is_deadline_exceeded(&late) => Stopped::Idle,
            error => Stopped::Failed(self.from.explain("read", error)),
        })
    }

    /// Piece by piece: a peer that takes them slowly is not idle.
    async fn write(&mut self, bytes: &[u8]) -> Result<(), Stopped> {
        let mut written = 0;
        while written < bytes.len() {
            written += self.write_some(&bytes[written..]).await?;
            self.something_moved()?;
        }
        Ok(())
    }

    async fn write_some(&mut self, bytes: &[u8]) -> Result<usize, Stopped> {
        let written = self.to.stream.write(bytes).await.map_err(|error| {
            let is_late = is_deadline_exceeded(&error);
            let error = self.to.explain("write", error);
            if is_late { Stopped::Stuck(error) } else { Stopped::Failed(error) }
        })?;
        *self.moved += written as u64;
        Ok(written)
    }

    /// Ends writing. A peer that is gone gets no end; the read of its side has the error.
    fn pass_on_the_end(&self) -> io::Result<()> {
        match self.to.stream.shutdown(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            done => done.map_err(|error| self.to.explain("shutdown", error)),
        }
    }

    /// The connection is not idle: moves the deadlines away, of both sockets in both directions. For
    /// each, that is a few nanoseconds.
    fn something_moved(&self) -> io::Result<()> {
        self.set_deadlines(Instant::now() + self.idle)
    }

    fn set_deadlines(&self, deadline: Instant) -> io::Result<()> {
        self.from.stream.set_deadline(Some(deadline))?;
        self.to.stream.set_deadline(Some(deadline))
    }
}
