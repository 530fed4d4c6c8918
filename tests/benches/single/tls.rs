//! The processor time of HTTP/1 over TLS: of a connection with its handshake and one request, and of a request on a
//! connection that stays. The same rustls and hyper with tokio's sockets and with ours.

use std::convert::Infallible;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_rustls::rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName,
};
use futures_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned, client,
};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use indicatif::ProgressBar;
use netpoll_hyper::{Executor, Server, Version};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::args::Args;
use crate::measure::child::Child;
use crate::measure::stats::Sample;
use crate::measure::sys;
use crate::measure::table::Table;

type Serve = fn(TcpListener, Arc<ServerConfig>) -> io::Result<()>;

const SERVERS: [(&str, Serve); 3] =
    [("tokio", tokio), ("netpoll-tokio", netpoll_tokio), ("netpoll-server", netpoll_server)];

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
const END: &[u8] = b"hello, world";

pub(crate) fn run(args: &Args) {
    let (rounds, count) = (args.number("--rounds", 9), args.number("--connections", 200));
    // Client and servers share a processor: a wake-up of another one costs more than a request.
    sys::pin(0).expect("there is one");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tls");
    let client = certificate(&folder).expect("a certificate");
    let mut servers = SERVERS.map(|(name, _)| start(name, &folder));
    let mut handshakes = SERVERS.map(|_| Vec::new());
    let mut requests = SERVERS.map(|_| Vec::new());
    let bar = ProgressBar::new(rounds as u64);
    for round in 0..rounds {
        for turn in 0..SERVERS.len() {
            let at = (round + turn) % SERVERS.len();
            let server = &mut servers[at];
            handshakes[at].push(server.time(count, || {
                for _ in 0..count {
                    exchange(&client, server.port, 1)?;
                }
                Ok(())
            }));
            requests[at]
                .push(server.time(10 * count, || exchange(&client, server.port, 10 * count)));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let head = [
        "server",
        "handshake and request, us",
        "of tokio's",
        "middle half",
        "request, us",
        "of tokio's",
        "middle half",
    ];
    let mut table = Table::new(&head);
    for (at, (name, _)) in SERVERS.iter().enumerate() {
        let mut cells = vec![(*name).to_owned()];
        for times in [&handshakes, &requests] {
            let ratios =
                times[at].iter().zip(&times[0]).map(|(own, tokios)| own / tokios).collect();
            let ratios = Sample::new(ratios);
            cells.push(format!("{:.1}", Sample::new(times[at].clone()).median()));
            cells.push(format!("{:.2}", ratios.median()));
            cells.push(ratios.middle_half(2));
        }
        table.row(cells);
    }
    table.print();
}

/// A server in a process of its own.
struct Measured {
    /// Kills it when dropped.
    _child: Child,
    port: u16,
    process: u32,
}

fn start(name: &str, folder: &Path) -> Measured {
    let folder = folder.to_str().expect("a path of text");
    let mut child = Child::start(&["as-tls-server", name, "--certificate", folder]);
    let [port, process] = child.numbers();
    Measured { _child: child, port: port as u16, process: process as u32 }
}

impl Measured {
    /// Microseconds of the server's processor time for each of so many.
    fn time(&self, count: usize, load: impl FnOnce() -> io::Result<()>) -> f64 {
        let now = || sys::processor_time(self.process).expect("the server runs");
        let before = now();
        load().expect("the server answers");
        (now() - before).as_secs_f64() * 1e6 / count as f64
    }
}

/// One connection with so many requests, one after the other.
fn exchange(config: &Arc<ClientConfig>, port: u16, requests: usize) -> io::Result<()> {
    let name = ServerName::try_from("localhost").expect("a name");
    let tls = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
    let tcp = TcpStream::connect(("127.0.0.1", port))?;
    tcp.set_nodelay(true)?;
    let mut stream = StreamOwned::new(tls, tcp);
    let mut answer = Vec::new();
    for _ in 0..requests {
        stream.write_all(REQUEST)?;
        answer.clear();
        while !answer.ends_with(END) {
            let mut buffer = [0; 1024];
            let len = stream.read(&mut buffer)?;
            answer.extend_from_slice(&buffer[..len]);
            assert!(len > 0, "the server has hung up");
        }
    }
    Ok(())
}

/// Makes a certificate for the servers, in a folder, and the configuration of a client that trusts it. The client resumes no
/// session: each handshake is a whole one.
fn certificate(folder: &Path) -> io::Result<Arc<ClientConfig>> {
    let own =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(io::Error::other)?;
    fs::create_dir_all(folder)?;
    fs::write(folder.join("certificate"), own.cert.der())?;
    fs::write(folder.join("key"), own.signing_key.serialize_der())?;
    let mut roots = RootCertStore::empty();
    roots.add(own.cert.der().clone()).map_err(io::Error::other)?;
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.resumption = client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// The server: prints its port and its process, and serves.
pub(crate) fn serve(args: &Args) {
    sys::end_with_parent().expect("a process may ask for a signal");
    let folder: PathBuf = args.word("--certificate").expect("a folder").into();
    let read = |name| fs::read(folder.join(name)).expect("the parent has written it");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(read("key")));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(read("certificate"))], key);
    let (_, serve) = SERVERS.iter().find(|(name, _)| *name == args.operand()).expect("a server");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("an option");
    // Connections inherit it, as no server here sets it. Without it, the second record of an answer waits 40 ms for an acknowledgement, and the server
    // is cold when it goes on.
    netpoll_futures::sys::set_nodelay(listener.as_fd(), true).expect("an option");
    println!("{} {}", listener.local_addr().expect("bound").port(), std::process::id());
    serve(listener, Arc::new(config.expect("a key for the certificate")))
        .expect("all are accepted");
}

async fn greet(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("hello, world".to_owned()))
}

/// Serves one connection, whatever socket it has, when its handshake is done.
async fn serve_one<S>(accepted: tokio_rustls::Accept<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Ok(stream) = accepted.await {
        let served =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(greet));
        // The clients hang up when they are done.
        drop(served.await);
    }
}

fn tokio(listener: TcpListener, config: Arc<ServerConfig>) -> io::Result<()> {
    in_tokio(async {
        let tls = tokio_rustls::TlsAcceptor::from(config);
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            let accepted = tls.accept(stream);
            tokio::spawn(serve_one(accepted));
        }
    })
}

fn netpoll_tokio(listener: TcpListener, config: Arc<ServerConfig>) -> io::Result<()> {
    in_tokio(async {
        let tls = tokio_rustls::TlsAcceptor::from(config);
        let listener = netpoll_tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            let accepted = tls.accept(stream);
            tokio::spawn(serve_one(accepted));
        }
    })
}

fn in_tokio(serve: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve)
}

/// With all its deadlines, in tokio's runtime.
fn netpoll_server(listener: TcpListener, config: Arc<ServerConfig>) -> io::Result<()> {
    in_tokio(async {
        let reactor = netpoll_tokio::reactor()?;
        let listener = netpoll_futures::TcpListener::register_on(&reactor, listener)?;
        let tls = futures_rustls::TlsAcceptor::from(config);
        let server =
            Server::new(Executor::new(|task| drop(tokio::spawn(task)))).only(Version::Http1);
        let handshake = |tcp| {
            let accepted = tls.accept(tcp);
            async { Ok((accepted.await?, None)) }
        };
        server.serve_with(&listener, handshake, |_| service_fn(greet)).await
    })
}
