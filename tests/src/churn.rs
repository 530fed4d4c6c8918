//! A server with many connections of which some go and others come all the time, and the load that does
//! that to it. The example `churn` is both, in two processes; a test is a smaller one in one.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use async_executor::LocalExecutor;
use futures::future::{join_all, try_join_all};
use netpoll_futures::{Backoff, TcpListener, TcpStream};

/// How much there is to be.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many connections are held.
    pub held: usize,
    /// How many of them are replaced, in all.
    pub churned: usize,
    /// How many are replaced at once.
    pub at_once: usize,
    /// How many connections besides exchange all the time, and are timed.
    pub probes: usize,
}

/// The counts.
#[derive(Debug)]
pub struct Outcome {
    /// How long it took to open the connections that are held.
    pub opening: Duration,
    /// How long the churn took.
    pub churning: Duration,
    /// How long each exchange of the probes took while it did, in order.
    pub exchanges: Vec<Duration>,
}

impl Outcome {
    /// How long this share of the exchanges took at most.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let last = self.exchanges.len().saturating_sub(1);
        self.exchanges.get((last as f64 * share) as usize).copied().unwrap_or_default()
    }
}

/// A client that is silent for so long is cut off.
const IDLE: Duration = Duration::from_secs(60);

/// Accepts and echoes until the listener is closed.
///
/// # Errors
///
/// The error of accepting, but for the lack of descriptors, which it waits out.
pub async fn serve(executor: Rc<LocalExecutor<'static>>, listener: TcpListener) -> io::Result<()> {
    let mut backoff = Backoff::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                backoff.reset();
                executor.spawn(async { drop(echo(stream).await) }).detach();
            }
            Err(error) if netpoll_futures::is_closed(&error) => return Ok(()),
            Err(error) => backoff.pause(error).await?,
        }
    }
}

async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 64];
    loop {
        stream.set_read_deadline(Some(Instant::now() + IDLE))?;
        match stream.read(&mut buffer).await? {
            0 => return stream.close().await,
            read => stream.write_all(&buffer[..read]).await?,
        }
    }
}

/// The load: its address, and how many clients have connected there.
struct Load {
    port: u16,
    connected: Cell<usize>,
}

impl Load {
    /// Connects, to one of many addresses of this machine: each has ports of its own.
    async fn connect(&self) -> io::Result<TcpStream> {
        let number = self.connected.replace(self.connected.get() + 1);
        let host = Ipv4Addr::new(127, 0, 1, 1 + (number % 100) as u8);
        let stream = TcpStream::connect(SocketAddr::from((host, self.port))).await?;
        exchange(&stream).await?;
        Ok(stream)
    }
}

async fn exchange(stream: &TcpStream) -> io::Result<()> {
    stream.write_all(b"hello").await?;
    let (mut echoed, mut filled) = ([0; 5], 0);
    while filled < echoed.len() {
        match stream.read(&mut echoed[filled..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
    }
    assert_eq!(&echoed, b"hello");
    Ok(())
}

/// Loads the server at `port`, and calls `quarter` after opening and after each quarter of the churn.
///
/// # Errors
///
/// Any of its connections': nothing is to fail.
pub async fn load(port: u16, plan: Plan, quarter: impl Fn()) -> io::Result<Outcome> {
    let load = Load { port, connected: Cell::new(0) };
    let began = Instant::now();
    let held = RefCell::new(open(&load, plan).await?);
    let probes = try_join_all((0..plan.probes).map(|_| load.connect())).await?;
    let opening = began.elapsed();
    quarter();
    let began = Instant::now();
    let left = Rc::new(Cell::new(plan.churned));
    let churn = (0..plan.at_once).map(|_| async {
        while let Some(next) = left.get().checked_sub(1) {
            left.set(next);
            replace(&load, &held, next).await?;
            if next.is_multiple_of((plan.churned / 4).max(1)) {
                quarter();
            }
        }
        io::Result::Ok(())
    });
    let timed = probes.iter().map(|probe| time(probe, &left));
    let (churned, timed) = futures::join!(try_join_all(churn), join_all(timed));
    churned?;
    let mut exchanges = Vec::new();
    for timed in timed {
        exchanges.extend(timed?);
    }
    exchanges.sort_unstable();
    Ok(Outcome { opening, churning: began.elapsed(), exchanges })
}

async fn open(load: &Load, plan: Plan) -> io::Result<Vec<Option<TcpStream>>> {
    let mut held = Vec::new();
    while held.len() < plan.held {
        let next = plan.at_once.min(plan.held - held.len());
        let opened = try_join_all((0..next).map(|_| load.connect())).await?;
        held.extend(opened.into_iter().map(Some));
    }
    Ok(held)
}

/// One goes, by a reset or by an end that the server hears of, and another comes in its place.
async fn replace(
    load: &Load,
    held: &RefCell<Vec<Option<TcpStream>>>,
    number: usize,
) -> io::Result<()> {
    let place = number.wrapping_mul(2_654_435_761) % held.borrow().len();
    // Another may be replacing it just now.
    let gone = held.borrow_mut()[place].take();
    if let Some(gone) = gone {
        if number.is_multiple_of(2) {
            gone.set_linger(Some(Duration::ZERO))?;
        }
        gone.close().await?;
        let come = load.connect().await?;
        held.borrow_mut()[place] = Some(come);
    }
    Ok(())
}

async fn time(probe: &TcpStream, left: &Cell<usize>) -> io::Result<Vec<Duration>> {
    let mut exchanges = Vec::new();
    while left.get() > 0 {
        let began = Instant::now();
        exchange(probe).await?;
        exchanges.push(began.elapsed());
    }
    Ok(exchanges)
}
