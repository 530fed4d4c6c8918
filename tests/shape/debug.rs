//! `Debug` of every public type is short, however many sockets there are: it prints the descriptor and the
//! addresses as the standard library does, and of a reactor its figures.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Debug;
use std::fs;
use std::future::ready;
use std::io;
use std::net;
use std::os::unix::net as unix;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use netpoll::{Direction, Interest, Reactor, Registration};
use netpoll_hyper::{
    Connector, Deadline, Deadlines, End, Executor, Io, LeastRate, ServedIo, ServedStream, Server,
};
use netpoll_hyper::{Timer, Version};
use netpoll_tests::fixtures::Folder;
use netpoll_tests::watched;

/// How many bytes `Debug` prints at most.
const MOST: usize = 200;

/// Types that hold two sockets or addresses, a readiness in tokio's words, all figures of a reactor, or all options of a
/// connection, with their bounds.
const LONGER: [(&str, usize); 9] = [
    ("netpoll::Reactor", 300),
    ("netpoll::SnapshotRow", 300),
    ("netpoll::Metrics", 300),
    ("tokio::ReuniteError", 300),
    ("tokio::AsyncFdReadyGuard", 300),
    ("tokio::AsyncFdReadyMutGuard", 300),
    ("futures::DialError", 300),
    ("futures::Dialer", 300),
    ("tokio::Dialer", 300),
];

/// Sockets that are open meanwhile.
const CROWD: usize = 2000;

/// The output of each public type, by crate and name.
#[derive(Default)]
struct Printed(BTreeMap<String, String>);

impl Printed {
    fn add(&mut self, name: &str, value: impl Debug) {
        let before = self.0.insert(name.to_owned(), format!("{value:?}"));
        assert!(before.is_none(), "{name} is there twice");
    }
}

#[test]
fn debug_of_every_public_type_is_short_with_2000_sockets_open() {
    watched(|| {
        let _crowd: Vec<_> = (0..CROWD / 2)
            .map(|_| netpoll_futures::UnixStream::pair().expect("a pair of sockets"))
            .collect();
        let mut printed = Printed::default();
        reactor(&mut printed).expect("the types of netpoll");
        block_on(futures_types(&mut printed)).expect("the types of netpoll-futures");
        block_on(tokio_types(&mut printed)).expect("the types of netpoll-tokio");
        block_on(smol_types(&mut printed)).expect("the types of netpoll-smol");
        async_io_types(&mut printed).expect("the types of async-io");
        block_on(async_net_types(&mut printed)).expect("the types of async-net");
        printed.0.insert("tokio::ConnectionInfo".to_owned(), connection_info().expect("an answer"));
        hyper_types(&mut printed).expect("the types of netpoll-hyper");
        quinn_types(&mut printed).expect("the types of netpoll-quinn");

        let mut offences = Vec::new();
        for (name, text) in &printed.0 {
            let longer = LONGER.iter().find(|(longer, _)| longer == name);
            if text.len() > longer.map_or(MOST, |(_, most)| *most) {
                offences.push(format!("{name} prints {} bytes: {text:.300}", text.len()));
            }
        }
        assert!(
            offences.is_empty(),
            "{}",
            offences.join(
                "
"
            )
        );
        let missing: Vec<_> =
            public_types().into_iter().filter(|name| !printed.0.contains_key(name)).collect();
        assert!(missing.is_empty(), "this test does not print {missing:?}");
    });
}

#[test]
fn debug_of_a_socket_has_its_descriptor_and_its_addresses() {
    watched(|| {
        block_on(async {
            use std::os::fd::AsRawFd;

            let listener = netpoll_futures::TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            let stream = netpoll_futures::TcpStream::connect(address).await?;
            let (fd, local) = (stream.as_raw_fd(), stream.local_addr()?);
            let expected = format!("TcpStream {{ addr: {local}, peer: {address}, fd: {fd} }}");
            assert_eq!(format!("{stream:?}"), expected);
            assert_eq!(
                format!("{:?}", netpoll_tokio::net::TcpStream::from(stream.clone())),
                expected
            );
            assert_eq!(format!("{:?}", netpoll_smol::net::TcpStream::from(stream)), expected);

            let fd = listener.as_raw_fd();
            let expected = format!("TcpListener {{ addr: {address}, fd: {fd} }}");
            assert_eq!(format!("{listener:?}"), expected);
            io::Result::Ok(())
        })
        .expect("no error");
    });
}

#[test]
fn debug_of_a_closed_socket_is_short_too() {
    watched(|| {
        block_on(async {
            let (stream, _peer) = netpoll_futures::UnixStream::pair()?;
            stream.close().await?;
            assert!(format!("{stream:?}").len() <= MOST, "{stream:?}");
            io::Result::Ok(())
        })
        .expect("no error");
    });
}

#[test]
fn debug_of_a_reactor_is_its_figures() {
    watched(|| {
        let reactor = Reactor::builder().embedded().build().expect("a reactor");
        let before = reactor.metrics();
        assert_eq!(format!("{reactor:?}"), format!("Reactor {{ metrics: {before:?}, .. }}"));
    });
}

fn reactor(printed: &mut Printed) -> io::Result<()> {
    let reactor = Reactor::global()?;
    let (one, _two) = unix::UnixStream::pair()?;
    one.set_nonblocking(true)?;
    let registration = Registration::with(reactor, one, Interest::Both)?;
    let readiness = block_on(registration.ready(Direction::Write))?;
    printed.add("netpoll::Readiness", readiness);
    printed.add("netpoll::Checked", netpoll::Checked(Direction::Read));
    printed.add("netpoll::Eager", netpoll::Eager(Direction::Read));
    printed.add("netpoll::Contiguous", netpoll::Contiguous(1));
    printed.add("netpoll::Transfer", netpoll::Transfer(Direction::Read, 1));
    printed.add("netpoll::ReadinessWait", registration.readiness_wait(Direction::Read));
    printed.add("netpoll::OwnedReadinessWait", netpoll::OwnedReadinessWait::new(Direction::Read));
    printed.add("netpoll::Closing", registration.begin_close()?);
    printed.add("netpoll::Registration", &registration);
    printed.add("netpoll::Reactor", reactor);
    printed.add("netpoll::Builder", Reactor::builder());
    printed.add("netpoll::Metrics", reactor.metrics());
    let snapshot = reactor.snapshot()?;
    let long = |row: &netpoll::SnapshotRow| format!("{row:?}").len();
    let longest = snapshot.rows().iter().max_by_key(|row| long(row)).expect("a registration");
    printed.add("netpoll::SnapshotRow", longest);
    printed.add("netpoll::SnapshotDirection", longest.read);
    printed.add("netpoll::DescriptorKind", longest.kind);
    printed.add("netpoll::Snapshot", snapshot);
    let driver = reactor.driver();
    printed.add("netpoll::DriverWake", driver.wrap(std::future::ready(())));
    printed.add("netpoll::Driver", driver);
    let late = Instant::now() + Duration::from_secs(1000);
    printed.add("netpoll::Timer", netpoll::Timer::at(reactor, late)?);
    printed.add("netpoll::Deadline", netpoll::Deadline::from(late));
    printed.add("netpoll::Direction", Direction::Read);
    printed.add("netpoll::Interest", Interest::WriteOnDemand);
    printed.add("netpoll::Ready", netpoll::Ready::READABLE.union(netpoll::Ready::READ_HANGUP));
    printed.add("netpoll::DeadlineExceeded", netpoll::DeadlineExceeded::error());
    printed.add("netpoll::Closed", netpoll::Closed::error());
    printed.add("netpoll::ReactorGone", shut_down_error()?);
    let refused = io::Error::from_raw_os_error(libc::ECONNREFUSED);
    printed.add("netpoll::OpError", netpoll::OpError::wrap("connect", "127.0.0.1:65535", refused));
    printed.add("futures::KeepAlive", netpoll_futures::sys::KeepAlive::default());
    printed.add(
        "futures::Credentials",
        netpoll_futures::sys::Credentials { pid: i32::MAX, uid: u32::MAX, gid: u32::MAX },
    );
    printed.add("futures::Origin", origin()?);
    Ok(())
}

/// The error of a reactor that was shut down.
fn shut_down_error() -> io::Result<io::Error> {
    let reactor = Reactor::builder().embedded().build()?;
    reactor.shutdown();
    let failed = netpoll::Timer::never(&reactor);
    failed.err().ok_or_else(|| io::Error::other("a reactor that was shut down takes no timer"))
}

fn origin() -> io::Result<netpoll_futures::sys::Origin> {
    use std::os::fd::AsFd;

    let (one, two) = unix::UnixDatagram::pair()?;
    two.send(b"a")?;
    netpoll_futures::sys::recv_from(one.as_fd(), &mut [0; 8]).map(|(_, origin)| origin)
}

async fn futures_types(printed: &mut Printed) -> io::Result<()> {
    use netpoll_futures::{
        Addresses, Async, Backoff, Dialer, Limit, ListenConfig, Message, SignalKind, Signals,
        TcpListener, TcpStream, TimeoutStream, Timeouts, Timer, UdpSocket, UnixDatagram,
        UnixListener, bytes_written, timeout,
    };

    let listener = TcpListener::bind("[::1]:0").await?;
    let address = listener.local_addr()?;
    let stream = TcpStream::connect(address).await?;
    let (accepted, _) = listener.accept().await?;
    printed.add("futures::Socket", &stream);
    printed.add("futures::Deadlines", stream.deadlines());
    printed.add("futures::TimeoutStream", TimeoutStream::new(accepted, Timeouts::default()));
    printed.add("futures::Timeouts", Timeouts::default());
    let limit = Limit::new(1000);
    listener.set_limit(Some(&limit))?;
    printed.add("futures::Listener", &listener);
    printed.add("futures::Incoming", listener.incoming());
    printed.add("futures::IntoIncoming", listener.into_incoming());
    printed.add("futures::Limit", limit);
    printed.add("futures::Backoff", Backoff::new());
    printed.add("futures::Dialer", Dialer::new().deadline(Duration::from_secs(10)));
    printed.add("futures::ListenConfig", ListenConfig::new());
    let other = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    let refused = Dialer::new().connect([other, other]).await;
    printed.add("futures::DialError", refused.expect_err("no socket listens"));
    printed.add("futures::SignalKind", SignalKind::terminate());
    printed.add("futures::Signals", Signals::new((34..=64).map(SignalKind::from_raw))?);
    let udp = UdpSocket::bind("[::1]:0").await?;
    udp.connect(udp.local_addr()?).await?;
    printed.add("futures::Datagram", udp);
    printed.add("futures::Message", Message { filled: 1, len: 1, from: address });
    printed.add("futures::Addresses", Addresses::Known(vec![address, address]));
    printed.add("futures::Async", Async::<net::TcpListener>::bind(([127, 0, 0, 1], 0))?);
    let any = Arc::new(Async::<net::UdpSocket>::bind(([127, 0, 0, 1], 0))?);
    printed.add("futures::Readable", any.readable());
    printed.add("futures::Writable", any.writable());
    printed.add("futures::ReadableOwned", any.clone().readable_owned());
    printed.add("futures::WritableOwned", any.writable_owned());
    let (datagram, _peer) = UnixDatagram::pair()?;
    printed.add("futures::Datagram (Unix)", datagram);
    let folder = Folder::new()?;
    printed.add("futures::Listener (Unix)", UnixListener::bind(folder.join("socket"))?);
    let mut timer = Timer::interval(Duration::from_secs(1000));
    printed.add("futures::Timer", &timer);
    // Polled, it is in the care of a reactor.
    let mut cx = Context::from_waker(Waker::noop());
    assert!(std::pin::Pin::new(&mut timer).poll(&mut cx).is_pending());
    printed.add("futures::Timer (polled)", &timer);
    printed.add("futures::Timeout", timeout(Duration::from_secs(1000), timer));
    let partial = partial_write(&stream).await?;
    assert!(bytes_written(&partial) > 0);
    printed.add("futures::PartialWrite", partial);
    Ok(())
}

/// The error of a `write_all` that its deadline ended midway.
async fn partial_write(stream: &netpoll_futures::TcpStream) -> io::Result<io::Error> {
    stream.set_write_deadline(Some(Instant::now() + Duration::from_millis(50)))?;
    let written = stream.write_all(&vec![0; 64 << 20]).await;
    written.err().ok_or_else(|| io::Error::other("nothing reads, and yet there was room"))
}

async fn tokio_types(printed: &mut Printed) -> io::Result<()> {
    use netpoll_tokio::io::unix::AsyncFd;
    use netpoll_tokio::io::{Interest, Ready};
    use netpoll_tokio::net::unix::pipe;
    use netpoll_tokio::net::{
        Dialer, ListenConfig, TcpListener, TcpSocket, TcpStream, UdpSocket, UnixSocket, UnixStream,
    };
    use netpoll_tokio::{TimeoutStream, Timeouts, UdpFramed};
    use tokio_util::codec::BytesCodec;

    printed.add("tokio::Dialer", Dialer::new().deadline(Duration::from_secs(10)));
    printed.add("tokio::ListenConfig", ListenConfig::new());
    let listener = TcpListener::bind("[::1]:0").await?;
    let mut stream = TcpStream::connect(listener.local_addr()?).await?;
    let other = TcpStream::connect(listener.local_addr()?).await?;
    printed.add("tokio::Listener", &listener);
    printed.add("tokio::IntoIncoming", listener.into_incoming());
    printed.add("tokio::Socket", &stream);
    let (read, write) = stream.split();
    printed.add("tokio::ReadHalf", read);
    printed.add("tokio::WriteHalf", write);
    let (read, write) = stream.into_split();
    printed.add("tokio::OwnedReadHalf", &read);
    printed.add("tokio::OwnedWriteHalf", &write);
    let (_other_read, other_write) = other.into_split();
    printed.add("tokio::ReuniteError", read.reunite(other_write).unwrap_err());
    printed.add("tokio::TcpSocket", TcpSocket::new_v6()?);
    let (sender, receiver) = pipe::pipe()?;
    printed.add("tokio::Sender", sender);
    printed.add("tokio::Receiver", receiver);
    printed.add("tokio::OpenOptions", pipe::OpenOptions::new());
    printed.add("tokio::UnixSocket", UnixSocket::new_stream()?);
    printed.add("tokio::Datagram", UdpSocket::bind("[::1]:0").await?);
    let (timed, _peer) = UnixStream::pair()?;
    printed.add("tokio::TimeoutStream", TimeoutStream::new(timed, Timeouts::default()));
    let framed = UdpFramed::new(UdpSocket::bind("[::1]:0").await?, BytesCodec::new());
    printed.add("tokio::UdpFramed", framed);
    printed.add("tokio::UCred", UnixStream::pair()?.0.peer_cred()?);
    printed.add("tokio::Interest", Interest::READABLE | Interest::WRITABLE);
    printed.add("tokio::Ready", Ready::ALL);

    let (one, _peer) = unix::UnixStream::pair()?;
    one.set_nonblocking(true)?;
    let mut async_fd = AsyncFd::new(one)?;
    printed.add("tokio::AsyncFd", &async_fd);
    printed.add("tokio::AsyncFdReadyGuard", async_fd.writable().await?);
    printed.add("tokio::AsyncFdReadyMutGuard", async_fd.writable_mut().await?);
    let not_ready = io::ErrorKind::WouldBlock;
    let tried = async_fd.writable().await?.try_io(|_| Err::<(), _>(not_ready.into()));
    printed.add("tokio::TryIoError", tried.unwrap_err());
    let folder = Folder::new()?;
    let file = fs::File::create(folder.join("file"))?;
    printed.add("tokio::AsyncFdRegisterError", AsyncFd::try_new(file).unwrap_err());
    Ok(())
}

/// The debug text of a connection of axum's server.
fn connection_info() -> io::Result<String> {
    use axum::extract::ConnectInfo;
    use netpoll_tokio::ConnectionInfo;
    use netpoll_tokio::net::{TcpListener, TcpStream};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let show =
        async |ConnectInfo(connection): ConnectInfo<ConnectionInfo>| format!("{connection:?}");
    let app = axum::Router::new().route("/", axum::routing::get(show));
    let app = app.into_make_service_with_connect_info::<ConnectionInfo>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("[::1]:0").await?;
        let mut client = TcpStream::connect(listener.local_addr()?).await?;
        tokio::spawn(async { axum::serve(listener, app).await });
        client.write_all(b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await?;
        let (_, text) = answer.split_once("\r\n\r\n").expect("a body");
        Ok(text.to_owned())
    })
}

async fn smol_types(printed: &mut Printed) -> io::Result<()> {
    use netpoll_smol::net::{TcpListener, TcpStream, UdpSocket};

    let listener = TcpListener::bind("[::1]:0").await?;
    printed.add("smol::Socket", TcpStream::connect(listener.local_addr()?).await?);
    printed.add("smol::Datagram", UdpSocket::bind("[::1]:0").await?);
    printed.add("smol::Listener", &listener);
    printed.add("smol::Incoming", listener.incoming());
    printed.add("smol::IntoIncoming", listener.into_incoming());
    Ok(())
}

fn async_io_types(printed: &mut Printed) -> io::Result<()> {
    let (one, _other) = netpoll_async_io::Async::<unix::UnixStream>::pair()?;
    printed.add("async-io::Async", one);
    printed.add("async-io::Timer", netpoll_async_io::Timer::interval(Duration::from_secs(1)));
    Ok(())
}

async fn async_net_types(printed: &mut Printed) -> io::Result<()> {
    use netpoll_async_net::{TcpListener, TcpStream};

    let listener = TcpListener::bind("[::1]:0").await?;
    printed.add("async-net::Socket", TcpStream::connect(listener.local_addr()?).await?);
    printed.add("async-net::Connections", listener.incoming());
    Ok(())
}

fn hyper_types(printed: &mut Printed) -> io::Result<()> {
    use tower::Service as _;

    let executor = Executor::new(drop);
    printed.add("hyper::Executor", &executor);
    printed.add("hyper::Server", Server::new(executor));
    printed.add("hyper::Deadlines", Deadlines::default());
    printed.add("hyper::Deadline", Deadline::WriteStall);
    printed.add("hyper::End", End::Closed);
    printed.add("hyper::Version", Version::Http1);
    let second = Duration::from_secs(1);
    printed.add("hyper::LeastRate", LeastRate::new(String::new(), 100, second));
    let timer = Timer::new()?;
    let mut sleep = hyper::rt::Timer::sleep(&timer, Duration::from_secs(1000));
    let sleep = sleep.as_mut().downcast_mut_pin::<netpoll_hyper::Sleep>().expect("it is ours");
    printed.add("hyper::Sleep", sleep);
    printed.add("hyper::Timer", timer);
    let [served, stream] = block_on(upgraded())?;
    printed.0.insert("hyper::ServedIo".to_owned(), served);
    printed.0.insert("hyper::ServedStream".to_owned(), stream);
    printed.add("hyper::Io", Io::new(netpoll_futures::UnixStream::pair()?.0));
    let mut connector = Connector::new();
    let server = net::TcpListener::bind("[::1]:0")?;
    let uri = format!("http://{}/", server.local_addr()?).parse().expect("an address");
    printed.add("hyper::ConnectorIo", block_on(connector.call(uri))?);
    printed.add("hyper::Connector", connector);
    Ok(())
}

/// And those that quinn prints with its endpoints.
fn quinn_types(printed: &mut Printed) -> io::Result<()> {
    use quinn::Runtime as _;

    let runtime = netpoll_quinn::Runtime::new(drop)?;
    let socket = runtime.wrap_udp_socket(net::UdpSocket::bind("[::1]:0")?)?;
    printed.add("quinn::Socket", &socket);
    printed.add("quinn::Poller", socket.create_io_poller());
    printed.add("quinn::Timer", runtime.new_timer(Instant::now()));
    printed.add("quinn::Runtime", runtime);
    Ok(())
}

/// The debug texts of a connection that a service has taken over from the server, and of its stream.
async fn upgraded() -> io::Result<[String; 2]> {
    let (client, served) = netpoll_futures::UnixStream::pair()?;
    let server = Server::new(Executor::new(|task| smol::spawn(task).detach()));
    let (sender, taken) = std::sync::mpsc::channel();

    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let sender = sender.clone();
        smol::spawn(async move {
            let upgraded = hyper::upgrade::on(request).await.expect("a connection");
            let parts = upgraded
                .downcast::<ServedIo<ServedStream<unix::UnixStream>>>()
                .expect("it is ours");
            let text = format!("{:?}", parts.io);
            let stream = format!("{:?}", parts.io.into_inner());
            sender.send([text, stream]).expect("the test waits");
        })
        .detach();
        let mut answer = Response::new(String::new());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        answer.headers_mut().insert("connection", "upgrade".parse().expect("a value"));
        answer.headers_mut().insert("upgrade", "echo".parse().expect("a value"));
        ready(Ok::<_, Infallible>(answer))
    });
    let serving = smol::spawn(async move { server.serve_connection(served, service).await });
    let head = b"GET / HTTP/1.1\r\nhost: here\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    client.write_all(head).await?;
    let text = taken.recv().map_err(io::Error::other);
    drop(serving);
    text
}

/// The public types of all crates, as `crate::Name`, read from their sources.
fn public_types() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let crates = [
        ("netpoll", "reactor"),
        ("async-io", "adapters/async-io"),
        ("async-net", "adapters/async-net"),
        ("futures", "adapters/futures"),
        ("tokio", "adapters/tokio"),
        ("smol", "adapters/smol"),
        ("hyper", "adapters/hyper"),
        ("quinn", "adapters/quinn"),
    ];
    let mut found = Vec::new();
    for (name, folder) in crates {
        for file in rust_files(&root.join(folder).join("src")) {
            let text = fs::read_to_string(&file).expect("a source");
            let declared = text.lines().filter_map(|line| {
                let line = line.trim_start();
                line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "))
            });
            for declared in declared {
                let end = declared.find(|c: char| !c.is_alphanumeric()).unwrap_or(declared.len());
                // A macro declares `$name`: those are printed above, and not searched for. The state of a
                // listener is an associated type that no user can name, and the documentation hides the modules `peer` and `per_process`.
                let hidden = ["Listening", "Peer", "PeerTracker", "Expiry", "PerProcess"];
                if end > 0 && !hidden.contains(&&declared[..end]) {
                    found.push(format!("{name}::{}", &declared[..end]));
                }
            }
        }
    }
    assert!(found.len() > 50, "the sources were not understood: {found:?}");
    found
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of sources");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    let below = folders.iter().flat_map(|folder| rust_files(folder));
    files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .chain(below)
        .collect()
}
