//! Listeners that a process inherits by the protocol of systemd's socket activation (`LISTEN_FDS`), with the crate
//! `listenfd`. The server executes itself anew while clients connect, and no connection is lost.

use std::env;
use std::io::{self, Read, Write};
use std::net;
use std::os::fd::OwnedFd;
use std::os::unix::net as unix;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Poll;
use std::thread::{self, ScopedJoinHandle};

use futures::future::poll_fn;
use listenfd::ListenFd;
use netpoll_futures::{
    SignalKind, Signals, Stream, StreamSocket, TcpListener, TcpStream, UnixListener, UnixStream,
    block_on,
};
use netpoll_tests::fixtures::{Folder, os};
use netpoll_tests::watched;

const NAME: &str = "activation::a_server_executes_itself_anew_and_no_connection_is_lost";

/// Set in the server: how often it has executed itself.
const GENERATION: &str = "NETPOLL_TEST_GENERATION";

const GENERATIONS: u32 = 5;

/// This program as the server, with three listeners from descriptor 3 on, as systemd passes them: one of TCP, one of Unix
/// sockets, and the first once more.
fn server(generation: u32, tcp: OwnedFd, unix: OwnedFd) -> Command {
    let script =
        "exec 3<&0 4<&1 5<&0 0</dev/null 1>&2; export LISTEN_PID=$$ LISTEN_FDS=3; exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]);
    command.arg(env::current_exe().expect("the path of this program"));
    command.args(["--exact", NAME, "--nocapture", "--test-threads=1"]);
    command.env(GENERATION, generation.to_string()).stdin(tcp).stdout(unix);
    command
}

enum Event {
    Signal(SignalKind),
    Tcp(TcpStream),
    Unix(UnixStream),
}

async fn serve(generation: u32) -> io::Result<()> {
    let signals = Signals::new([SignalKind::hangup(), SignalKind::terminate()])?;
    let mut inherited = ListenFd::from_env();
    assert_eq!(inherited.len(), 3);
    // A Unix socket where TCP is expected stays where it is.
    let error = inherited.take_tcp_listener(1).expect_err("it is a Unix socket");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "fd 4 is not a valid tcp socket");
    let unix = inherited.take_unix_listener(1)?.expect("a listener");
    let tcp = inherited.take_tcp_listener(0)?.expect("a listener");
    assert!(inherited.take_tcp_listener(0)?.is_none(), "it was taken");
    let again = inherited.take_tcp_listener(2)?.expect("a listener");
    for listener in [&tcp, &again] {
        assert!(os::is_close_on_exec(listener));
        assert!(generation > 0 || !os::is_nonblocking(listener), "it is inherited as it was made");
    }
    let [tcp, again] = [TcpListener::try_from(tcp)?, TcpListener::try_from(again)?];
    let unix = UnixListener::try_from(unix)?;
    assert!(os::is_nonblocking(&tcp) && os::is_nonblocking(&unix));
    loop {
        let next = poll_fn(|cx| {
            if let Poll::Ready(signal) = signals.poll_recv(cx) {
                return Poll::Ready(signal.map(Event::Signal));
            }
            for listener in [&tcp, &again] {
                if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                    return Poll::Ready(accepted.map(|(stream, _)| Event::Tcp(stream)));
                }
            }
            unix.poll_accept(cx).map_ok(|(stream, _)| Event::Unix(stream))
        });
        match next.await? {
            Event::Tcp(stream) => answer(stream, generation).await?,
            Event::Unix(stream) => answer(stream, generation).await?,
            Event::Signal(kind) if kind == SignalKind::terminate() => return Ok(()),
            // The connections that arrive meanwhile wait in the queues of the listeners.
            Event::Signal(_) => {
                let [tcp, unix] = [OwnedFd::try_from(tcp)?, OwnedFd::try_from(unix)?];
                return Err(server(generation + 1, tcp, unix).exec());
            }
        }
    }
}

async fn answer<S: StreamSocket>(stream: Stream<S>, generation: u32) -> io::Result<()> {
    let mut line = [0; 6];
    let mut filled = 0;
    while filled < line.len() {
        match stream.read(&mut line[filled..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    assert_eq!(&line, b"hello\n");
    stream.write_all(generation.to_string().as_bytes()).await?;
    stream.close().await
}

/// One connection: sends the line, and returns the generation of the server that has answered.
fn exchange(mut stream: impl Read + Write) -> io::Result<u32> {
    stream.write_all(b"hello\n")?;
    let mut generation = String::new();
    stream.read_to_string(&mut generation)?;
    generation.parse().map_err(|_| io::Error::other(format!("{generation:?}")))
}

#[test]
fn a_server_executes_itself_anew_and_no_connection_is_lost() {
    if let Ok(generation) = env::var(GENERATION) {
        let generation = generation.parse().expect("a number");
        return watched(move || block_on(serve(generation)).expect("no error"));
    }
    watched(|| {
        let folder = Folder::new().expect("a folder");
        let path = folder.socket();
        let tcp = net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = tcp.local_addr().expect("its address");
        let unix = unix::UnixListener::bind(&path).expect("a path");
        let mut server = server(0, tcp.into(), unix.into()).spawn().expect("a shell");
        let is_over = AtomicBool::new(false);
        let newest = AtomicU32::new(0);
        let served = AtomicU32::new(0);
        let client = |connect: &dyn Fn() -> io::Result<u32>| {
            while !is_over.load(Ordering::SeqCst) {
                newest.fetch_max(connect().expect("an answer"), Ordering::SeqCst);
                served.fetch_add(1, Ordering::SeqCst);
            }
        };
        thread::scope(|scope| {
            let clients = [
                scope.spawn(|| client(&|| exchange(net::TcpStream::connect(address)?))),
                scope.spawn(|| client(&|| exchange(unix::UnixStream::connect(&path)?))),
            ];
            for generation in 0..=GENERATIONS {
                let before = served.load(Ordering::SeqCst);
                // The server has installed its handlers before it answers.
                while newest.load(Ordering::SeqCst) < generation
                    || served.load(Ordering::SeqCst) == before
                {
                    assert!(!clients.iter().any(ScopedJoinHandle::is_finished), "a client failed");
                    thread::yield_now();
                }
                if generation < GENERATIONS {
                    signal("HUP", server.id());
                }
            }
            is_over.store(true, Ordering::SeqCst);
        });
        signal("TERM", server.id());
        assert!(server.wait().expect("it ends").success());
        let served = served.load(Ordering::SeqCst);
        println!("shown: {served} connections over {GENERATIONS} executions, none lost");
    });
}

fn signal(name: &str, process: u32) {
    let kill = format!("kill -{name} {process}");
    assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
}
