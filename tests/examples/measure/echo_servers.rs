//! The same echo server with each library, on one thread of executor, in a process of its own.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures::executor::LocalPool;
use futures::future::{Either, select};
use futures::task::LocalSpawnExt;
use futures::{AsyncReadExt, AsyncWriteExt};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::args::Args;
use crate::clients;
use crate::sys;

const BUFFER: usize = 1024;
const PATIENCE: Duration = Duration::from_secs(30);

type Server = fn(TcpListener, &Arc<Plan>) -> io::Result<()>;

pub(crate) const SERVERS: [(&str, Server); 3] = [
    ("netpoll, LocalPool", netpoll),
    ("tokio, current_thread", tokio),
    ("async-net, LocalPool", async_net),
];

/// What a server is to do, and what it has done.
pub(crate) struct Plan {
    connections: usize,
    deadlines: bool,
    /// So many echoes are not counted.
    warm_up: u64,
    echoes: AtomicU64,
    /// The processor time and the time when the warm-up was over.
    began: OnceLock<(Duration, Instant)>,
}

impl Plan {
    pub(crate) fn of(args: &Args) -> Self {
        Self {
            connections: args.number("--connections", 64),
            deadlines: args.flag("--deadlines"),
            warm_up: args.number("--warm-up", 1) as u64,
            echoes: AtomicU64::new(0),
            began: OnceLock::new(),
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections
    }

    pub(crate) fn count_echo(&self) {
        if self.echoes.fetch_add(1, Ordering::Relaxed) + 1 == self.warm_up {
            self.began.get_or_init(|| (sys::processor_time(), Instant::now()));
        }
    }

    /// Prints how many echoes were counted, and the nanoseconds of processor time and of time.
    pub(crate) fn report(&self) {
        let (time, began) = self.began.get().expect("the clients outlast the warm-up");
        let spent = (sys::processor_time() - *time).as_nanos();
        let echoes = self.echoes.load(Ordering::Relaxed) - self.warm_up;
        println!("{echoes} {spent} {}", began.elapsed().as_nanos());
    }
}

/// The server: prints its port, serves until all connections have ended, and reports.
pub(crate) fn serve(args: &Args) {
    let (_, serve) = SERVERS.iter().find(|(name, _)| *name == args.operand()).expect("a server");
    let plan = Arc::new(Plan::of(args));
    let listener = clients::listen().expect("a free port");
    serve(listener, &plan).expect("all connections are accepted");
    plan.report();
}

fn netpoll(listener: TcpListener, plan: &Arc<Plan>) -> io::Result<()> {
    let listener = netpoll_futures::TcpListener::try_from(listener)?;
    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    pool.run_until(async {
        for _ in 0..plan.connections {
            let (stream, _) = listener.accept().await?;
            let plan = plan.clone();
            let task = async move { echo_netpoll(&stream, &plan).await.expect("an echo") };
            spawner.spawn_local(task).expect("the pool lives");
        }
        io::Result::Ok(())
    })?;
    pool.run();
    Ok(())
}

async fn echo_netpoll(stream: &netpoll_futures::TcpStream, plan: &Plan) -> io::Result<()> {
    let set_deadline = || match plan.deadlines {
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
        plan.count_echo();
    }
}

fn tokio(listener: TcpListener, plan: &Arc<Plan>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let mut tasks = Vec::new();
        for _ in 0..plan.connections {
            let (stream, _) = listener.accept().await?;
            let plan = plan.clone();
            let task = async move { echo_tokio(stream, &plan).await.expect("an echo") };
            tasks.push(tokio::spawn(task));
        }
        for task in tasks {
            task.await?;
        }
        Ok(())
    })
}

async fn echo_tokio(mut stream: tokio::net::TcpStream, plan: &Plan) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        let len = match plan.deadlines {
            true => tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await??,
            false => stream.read(&mut buffer).await?,
        };
        if len == 0 {
            return Ok(());
        }
        match plan.deadlines {
            true => tokio::time::timeout(PATIENCE, stream.write_all(&buffer[..len])).await??,
            false => stream.write_all(&buffer[..len]).await?,
        }
        plan.count_echo();
    }
}

fn async_net(listener: TcpListener, plan: &Arc<Plan>) -> io::Result<()> {
    let listener = async_net::TcpListener::try_from(listener)?;
    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    pool.run_until(async {
        for _ in 0..plan.connections {
            let (stream, _) = listener.accept().await?;
            let plan = plan.clone();
            let task = async move { echo_async_net(stream, &plan).await.expect("an echo") };
            spawner.spawn_local(task).expect("the pool lives");
        }
        io::Result::Ok(())
    })?;
    pool.run();
    Ok(())
}

async fn echo_async_net(mut stream: async_net::TcpStream, plan: &Plan) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        let len = match plan.deadlines {
            true => in_time(stream.read(&mut buffer)).await?,
            false => stream.read(&mut buffer).await?,
        };
        if len == 0 {
            return Ok(());
        }
        match plan.deadlines {
            true => in_time(stream.write_all(&buffer[..len])).await?,
            false => stream.write_all(&buffer[..len]).await?,
        }
        plan.count_echo();
    }
}

/// What there is for async-io instead of a deadline: a timer beside the operation.
async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match select(pin!(work), async_io::Timer::after(PATIENCE)).await {
        Either::Left((done, _)) => done,
        Either::Right(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}
