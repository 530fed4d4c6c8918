//! An HTTP endpoint for Prometheus: the counts of the global reactor.
//!
//! `cargo run --release --example metrics -- 127.0.0.1:9100`, and elsewhere `curl http://127.0.0.1:9100/metrics`. The
//! documentation of `netpoll::Metrics` explains each count.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;

use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use netpoll::{Metrics, Reactor};
use netpoll_futures::TcpListener;
use netpoll_hyper::{Executor, Server};

const USAGE: &str = "\
Serves the counts of its own reactor to Prometheus.

Usage: metrics ADDRESS

  ADDRESS       where to listen, as 127.0.0.1:9100, [::1]:9100 or localhost:9100
  -h, --help    this

GET /metrics is answered in Prometheus' text format. The names end in _total where
they are counters since the start; netpoll_registrations is a gauge.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "-h" || argument == "--help") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let [address] = &arguments[..] else {
        eprint!("metrics: one address to listen on, and nothing else\n\n{USAGE}");
        return ExitCode::from(2);
    };
    let served = smol::block_on(async {
        let listener = TcpListener::bind(address).await?;
        println!("http://{}/metrics", listener.local_addr()?);
        serve(&listener, &Server::new(Executor::new(|task| smol::spawn(task).detach()))).await
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("metrics: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until the server is shut down.
pub(crate) async fn serve(listener: &TcpListener, server: &Server) -> io::Result<()> {
    server.serve(listener, |_| service_fn(answer)).await
}

async fn answer(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let mut response = Response::new(String::new());
    if request.uri().path() != "/metrics" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    } else if request.method() != Method::GET {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
    } else {
        match Reactor::global() {
            Ok(reactor) => *response.body_mut() = text(&reactor.metrics()),
            Err(_) => *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE,
        }
        let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, format);
    }
    Ok(response)
}

/// The counts in Prometheus' text format.
fn text(metrics: &Metrics) -> String {
    let all = [
        ("registrations", "gauge", "Sockets and timers registered now.", metrics.registrations),
        ("turns_total", "counter", "Turns of the reactor.", metrics.turns),
        (
            "thread_turns_total",
            "counter",
            "Turns of the reactor's own thread.",
            metrics.thread_turns,
        ),
        ("events_total", "counter", "Events that epoll reported.", metrics.events),
        ("stale_events_total", "counter", "Events for gone descriptors.", metrics.stale_events),
        ("wakes_total", "counter", "Wakers woken.", metrics.wakes),
        ("expiries_total", "counter", "Deadlines and timers expired.", metrics.expiries),
        ("notifies_total", "counter", "Sleeps ended by a notification.", metrics.notifies),
    ];
    let mut text = String::new();
    for (name, kind, help, value) in all {
        let name = format!("netpoll_{name}");
        let lines = format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
        text.write_fmt(lines).expect("a string takes all");
    }
    text
}
