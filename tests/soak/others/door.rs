//! Listeners, and how one connects to them.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net as unix;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::FutureExt;
use netpoll::{Interest, Registration};
use netpoll_futures::{
    TcpListener, TcpStream, UnixListener, UnixStream, is_closed, is_deadline_exceeded,
};

use crate::stage::Stage;
use crate::stage::home::Home;
use crate::stage::job::{Done, Job, Operation};
use crate::stream::Socket;

/// A listener.
pub(crate) struct Door {
    listener: Listener,
    home: Home,
}

#[derive(Clone)]
enum Listener {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, unix::SocketAddr),
}

/// The place of an accepted stream.
type Slot = Arc<Mutex<Option<Socket>>>;

impl Door {
    pub(crate) fn open(stage: &mut Stage) -> Self {
        let home = stage.any_home();
        let listener = match stage.roll(3) {
            0 => Listener::on_tcp(&home, (Ipv4Addr::LOCALHOST, 0).into()),
            1 => Listener::on_tcp(&home, (Ipv6Addr::LOCALHOST, 0).into()),
            _ => Listener::on_a_name(&home, stage.salt()),
        };
        stage.does("listen", home.kind.name(), 0);
        Self { listener: listener.expect("a listener"), home }
    }

    /// A connection through it: the end that connected, the end that was accepted, and its reactor.
    pub(crate) fn connect(&mut self, stage: &mut Stage) -> Option<(Socket, Socket, Home)> {
        let (mut job, slot) = self.accept(stage);
        // In time, mostly: the rest of the deadline would end later operations.
        let deadline = stage.chance(40).then(|| Instant::now() + Duration::from_millis(10));
        let near = stage.wait(self.listener.connect(deadline));
        let done = stage.finish(&mut job);
        done.result.expect("a connection is there");
        let near = match near {
            Err(error) if deadline.is_some() && is_deadline_exceeded(&error) => return None,
            near => near.expect("a connection"),
        };
        let about = if deadline.is_some() { "under a deadline" } else { self.listener.name() };
        stage.does("connect", about, 0);
        let far = slot.lock().expect("no thread panics").take().expect("it was accepted");
        Some((near, far, self.home.clone()))
    }

    fn accept(&self, stage: &mut Stage) -> (Job, Slot) {
        let slot = Slot::default();
        (stage.start(self.listener.accept(slot.clone())), slot)
    }

    /// A step of the listener. False if it is closed.
    pub(crate) fn step(&mut self, stage: &mut Stage) -> bool {
        match stage.roll(10) {
            0..4 => self.accept_too_late(stage),
            4..7 => self.connect_too_late(stage),
            7..9 => self.give_up(stage),
            _ => return self.close(stage),
        }
        true
    }

    /// An accept under a deadline, which passes; then it is as good as before.
    fn accept_too_late(&mut self, stage: &mut Stage) {
        let (mut job, slot) = self.accept(stage);
        let before = self.home.now();
        let soon = before + Duration::from_micros(50);
        let at = if stage.chance(50) { soon } else { before - Duration::from_secs(1) };
        self.listener.set_deadline(Some(at)).expect("it is open");
        if !self.home.has_clock() {
            self.home.reactor.advance(Duration::from_micros(120));
        }
        let error = stage.finish(&mut job).result.expect_err("no client connects");
        assert!(is_deadline_exceeded(&error), "accept: {error}");
        assert!(self.home.now() >= at, "accept: too early");
        assert!(slot.lock().expect("no thread panics").is_none());
        self.listener.set_deadline(None).expect("it is open");
        stage.does("accept", "DeadlineExceeded", 0);
    }

    /// A connect whose time is over makes no call: the steps that follow find no connection.
    fn connect_too_late(&self, stage: &mut Stage) {
        let Listener::Tcp(_, address) = self.listener else { return };
        let past = Instant::now() - Duration::from_secs(1);
        let connected = stage.wait(TcpStream::connect_deadline(address, past));
        let error = connected.expect_err("the deadline has passed");
        assert!(is_deadline_exceeded(&error), "connect: {error}");
        stage.does("connect", "DeadlineExceeded", 0);
    }

    fn give_up(&mut self, stage: &mut Stage) {
        let (mut job, _slot) = self.accept(stage);
        stage.wait(job.cancel());
        assert!(job.take().is_none(), "no client has connected");
        stage.does("accept", "given up", 0);
    }

    /// A waiting accept ends, a new client is refused.
    fn close(&mut self, stage: &mut Stage) -> bool {
        let (mut job, _slot) = self.accept(stage);
        stage.wait(self.listener.close()).expect("it is open");
        let error = stage.finish(&mut job).result.expect_err("no client connects");
        assert!(is_closed(&error), "accept: {error}");
        let refused = stage.wait(self.listener.connect(None)).expect_err("no socket listens");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        stage.does("accept", "Closed", 0);
        false
    }

    /// Whether this reactor was its own, which was shut down.
    pub(crate) fn loses(&mut self, stage: &mut Stage, home: &Home) -> bool {
        if self.home.number != home.number {
            return false;
        }
        let (mut job, _slot) = self.accept(stage);
        let error = stage.finish(&mut job).result.expect_err("there is no reactor");
        assert!(error.to_string().contains("shut down"), "accept: {error}");
        stage.does("accept", "ReactorGone", 0);
        true
    }
}

impl Listener {
    fn on_tcp(home: &Home, address: SocketAddr) -> io::Result<Self> {
        let listener = futures::executor::block_on(TcpListener::bind(address))?;
        let address = listener.local_addr()?;
        let listener = std::net::TcpListener::try_from(listener)?;
        let listener = Registration::with(&home.reactor, listener, Interest::Readable)?;
        Ok(Self::Tcp(listener.into(), address))
    }

    fn on_a_name(home: &Home, number: u64) -> io::Result<Self> {
        let name = format!("netpoll-soak-{}-{number:x}", std::process::id());
        let address = unix::SocketAddr::from_abstract_name(name)?;
        let listener = unix::UnixListener::bind_addr(&address)?;
        listener.set_nonblocking(true)?;
        let listener = Registration::with(&home.reactor, listener, Interest::Readable)?;
        Ok(Self::Unix(listener.into(), address))
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Tcp(_, address) if address.is_ipv4() => "TCP over IPv4",
            Self::Tcp(..) => "TCP over IPv6",
            Self::Unix(..) => "a Unix socket's name",
        }
    }

    fn accept(&self, slot: Slot) -> Operation {
        let listener = self.clone();
        async move {
            let accepted = match listener {
                Self::Tcp(listener, _) => listener.accept().await.map(|one| Socket::Tcp(one.0)),
                Self::Unix(listener, _) => listener.accept().await.map(|one| Socket::Unix(one.0)),
            };
            let result = accepted.map(|socket| {
                *slot.lock().expect("no thread panics") = Some(socket);
                1
            });
            Done::new(result, Vec::new())
        }
        .boxed()
    }

    async fn connect(&self, deadline: Option<Instant>) -> io::Result<Socket> {
        match (self, deadline) {
            (Self::Tcp(_, address), None) => TcpStream::connect(*address).await.map(Socket::Tcp),
            (Self::Tcp(_, address), Some(deadline)) => {
                TcpStream::connect_deadline(*address, deadline).await.map(Socket::Tcp)
            }
            (Self::Unix(_, address), _) => {
                UnixStream::connect_addr(address).await.map(Socket::Unix)
            }
        }
    }

    fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        match self {
            Self::Tcp(listener, _) => listener.set_deadline(deadline),
            Self::Unix(listener, _) => listener.set_deadline(deadline),
        }
    }

    async fn close(&self) -> io::Result<()> {
        match self {
            Self::Tcp(listener, _) => listener.close().await,
            Self::Unix(listener, _) => listener.close().await,
        }
    }
}
