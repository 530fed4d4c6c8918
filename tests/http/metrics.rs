//! The example `metrics`: an endpoint for Prometheus.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use netpoll_futures::TcpListener;
use netpoll_hyper::{Executor, Server};
use netpoll_tests::watched;

#[path = "../examples/metrics.rs"]
#[allow(dead_code)] // Its command line.
mod example;

fn get(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("the endpoint accepts");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_lowercase(), body.to_owned())
}

/// The names, each with its kind and its value. Each has a line of help and one of its kind before it.
fn parse(body: &str) -> BTreeMap<String, (String, u64)> {
    let lines: Vec<&str> = body.lines().collect();
    let (metrics, rest) = lines.as_chunks::<3>();
    assert!(rest.is_empty() && body.ends_with('\n'), "{body}");
    let parsed = metrics.iter().map(|[help, kind, value]| {
        let (name, value) = value.split_once(' ').expect("a name and a value");
        assert!(help.starts_with(&format!("# HELP {name} ")), "{help}");
        let kind = kind.strip_prefix(&format!("# TYPE {name} ")).expect("its kind");
        (name.to_owned(), (kind.to_owned(), value.parse().expect("a number")))
    });
    parsed.collect()
}

/// The names in the documentation of `netpoll::Metrics`, each with its kind.
fn documented() -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reactor/src/metrics.rs");
    let text = fs::read_to_string(path).expect("the source");
    let rows = text.lines().filter_map(|line| line.strip_prefix("/// | `netpoll_"));
    let row = |row: &str| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        (format!("netpoll_{}", cells[0].trim_matches('`')), cells[1].to_owned())
    };
    rows.map(row).collect()
}

#[test]
fn metrics_are_served_as_documented() {
    watched(|| {
        smol::block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("its address");
            let server = Server::new(Executor::new(|task| smol::spawn(task).detach()));
            let serving = smol::spawn({
                let server = server.clone();
                async move { example::serve(&listener, &server).await }
            });
            let fetch = |path: &'static str| smol::unblock(move || get(address, path));

            let (head, body) = fetch("/metrics").await;
            assert!(head.starts_with("http/1.1 200 ok"), "{head}");
            assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
            let before = parse(&body);
            let kinds = before.iter().map(|(name, (kind, _))| (name.clone(), kind.clone()));
            assert_eq!(kinds.collect::<BTreeMap<_, _>>(), documented());
            // The listener and this connection.
            assert!(before["netpoll_registrations"].1 >= 2, "{before:?}");

            let after = parse(&fetch("/metrics").await.1);
            for (name, (kind, value)) in &before {
                assert!(kind != "counter" || after[name].1 >= *value, "{name} has fallen");
            }
            assert!(after["netpoll_events_total"].1 > before["netpoll_events_total"].1);
            assert!(fetch("/").await.0.starts_with("http/1.1 404 "));
            server.shutdown();
            serving.await.expect("it ends");
        });
    });
}
