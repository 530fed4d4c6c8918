//! Processor time of an HTTP server on hyper: over netpoll, tokio and async-net in turns.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;

use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use hyper::rt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use netpoll_hyper::{Executor, Version};

use crate::args::Args;
use crate::clients;
use crate::echo_cpu::compare;
use crate::echo_servers::Plan;

type Server = fn(TcpListener, &Arc<Plan>) -> io::Result<()>;

const SERVERS: [(&str, Server); 4] = [
    ("netpoll-hyper, LocalPool", netpoll),
    ("netpoll-hyper's Server with its deadlines, LocalPool", netpoll_server),
    ("hyper on tokio, current_thread", tokio),
    ("hyper on async-net (smol), LocalPool", async_net),
];

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

pub(crate) fn run(args: &Args) {
    let names = SERVERS.map(|(name, _)| name);
    compare(args, &names, ["http-server", "http-client"], "request");
}

/// The server: prints its port, serves until all connections have ended, and reports.
pub(crate) fn serve(args: &Args) {
    let (_, serve) = SERVERS.iter().find(|(name, _)| *name == args.operand()).expect("a server");
    let plan = Arc::new(Plan::of(args));
    let listener = clients::listen().expect("a free port");
    serve(listener, &plan).expect("all connections are accepted");
    plan.report();
}

/// Asks over every connection in each round, and reads all the answers.
pub(crate) fn ask(args: &Args) {
    let connect = |_| TcpStream::connect((Ipv4Addr::LOCALHOST, args.port())).expect("it listens");
    let mut streams: Vec<_> = (0..args.number("--connections", 1)).map(connect).collect();
    let mut len = 0;
    for _ in 0..args.number("--rounds", 1000) {
        for stream in &mut streams {
            stream.write_all(REQUEST).expect("the server takes a request");
        }
        for stream in &mut streams {
            if len == 0 {
                len = first_answer(stream);
                continue;
            }
            let mut answer = vec![0; len];
            stream.read_exact(&mut answer).expect("the server answers");
            assert!(answer.starts_with(b"HTTP/1.1 200 OK") && answer.ends_with(b"hello, world"));
        }
    }
}

/// Every answer is as long as the first one.
fn first_answer(stream: &mut TcpStream) -> usize {
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while !answer.ends_with(b"hello, world") {
        let len = stream.read(&mut buffer).expect("the server answers");
        assert!(len > 0, "the end, after {answer:?}");
        answer.extend_from_slice(&buffer[..len]);
    }
    answer.len()
}

/// Serves one connection, whatever it is of.
async fn serve_one<I: rt::Read + rt::Write + Unpin>(io: I, plan: Arc<Plan>) {
    let answer = |_: Request<Incoming>| {
        plan.count_echo();
        async { Ok::<_, Infallible>(Response::new("hello, world".to_owned())) }
    };
    // The clients hang up when they are done.
    let _ = http1::Builder::new().serve_connection(io, service_fn(answer)).await;
}

fn netpoll(listener: TcpListener, plan: &Arc<Plan>) -> io::Result<()> {
    let listener = netpoll_futures::TcpListener::try_from(listener)?;
    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    pool.run_until(async {
        for _ in 0..plan.connections() {
            let (stream, _) = listener.accept().await?;
            let served = serve_one(netpoll_hyper::Io::new(stream), plan.clone());
            spawner.spawn_local(served).expect("the pool lives");
        }
        io::Result::Ok(())
    })?;
    pool.run();
    Ok(())
}

fn netpoll_server(listener: TcpListener, plan: &Arc<Plan>) -> io::Result<()> {
    let listener = netpoll_futures::TcpListener::try_from(listener)?;
    let nobody = Executor::new(|_| unreachable!("HTTP/1 spawns nothing"));
    let server = Arc::new(netpoll_hyper::Server::new(nobody)?.only(Version::Http1));
    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    pool.run_until(async {
        for _ in 0..plan.connections() {
            let (stream, _) = listener.accept().await?;
            let (server, plan) = (server.clone(), plan.clone());
            let answer = move |_: Request<Incoming>| {
                plan.count_echo();
                async { Ok::<_, Infallible>(Response::new("hello, world".to_owned())) }
            };
            let served =
                async move { drop(server.serve_connection(stream, service_fn(answer)).await) };
            spawner.spawn_local(served).expect("the pool lives");
        }
        io::Result::Ok(())
    })?;
    pool.run();
    Ok(())
}

fn tokio(listener: TcpListener, plan: &Arc<Plan>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let mut tasks = Vec::new();
        for _ in 0..plan.connections() {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let io = hyper_util::rt::TokioIo::new(stream);
            tasks.push(tokio::spawn(serve_one(io, plan.clone())));
        }
        for task in tasks {
            task.await?;
        }
        Ok(())
    })
}

fn async_net(listener: TcpListener, plan: &Arc<Plan>) -> io::Result<()> {
    let listener = async_net::TcpListener::try_from(listener)?;
    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    pool.run_until(async {
        for _ in 0..plan.connections() {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let io = smol_hyper::rt::FuturesIo::new(stream);
            spawner.spawn_local(serve_one(io, plan.clone())).expect("the pool lives");
        }
        io::Result::Ok(())
    })?;
    pool.run();
    Ok(())
}
