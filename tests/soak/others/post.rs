//! Datagrams: each arrives whole, in order, and once.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use futures::FutureExt;
use netpoll_futures::{UdpSocket, UnixDatagram, is_closed, is_deadline_exceeded};

use crate::pattern;
use crate::stage::Stage;
use crate::stage::job::{Done, Job, Operation};

/// More than any of them has.
const LONGEST: usize = 600;

/// So many are under way at most, which the kernel has room for.
const MOST: usize = 8;

/// Two sockets that are connected to each other.
pub(crate) struct Post {
    sockets: [Socket; 2],
    salt: u64,
    sent: u64,
    /// The bytes that the socket of this number is to receive: where in the pattern, and how many.
    mail: [VecDeque<(u64, usize)>; 2],
}

#[derive(Clone)]
enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

macro_rules! either {
    ($socket:expr, $datagram:ident => $do:expr) => {
        match $socket {
            Socket::Udp($datagram) => $do,
            Socket::Unix($datagram) => $do,
        }
    };
}

impl Post {
    pub(crate) fn open(stage: &mut Stage) -> Self {
        let sockets = match stage.roll(3) {
            0 => stage.wait(udp((Ipv4Addr::LOCALHOST, 0).into())),
            1 => stage.wait(udp((Ipv6Addr::LOCALHOST, 0).into())),
            _ => UnixDatagram::pair().map(|(one, other)| [one, other].map(Socket::Unix)),
        };
        let sockets = sockets.expect("two sockets");
        stage.does("datagrams", sockets[0].name(), 0);
        Self { sockets, salt: stage.salt(), sent: 0, mail: Default::default() }
    }

    /// A step. False if a socket was closed.
    pub(crate) fn step(&mut self, stage: &mut Stage) -> bool {
        let end = stage.roll(2);
        match stage.roll(100) {
            0..40 => self.send(stage, end),
            40..70 => self.receive(stage, end),
            70..80 => self.receive_later(stage, end),
            80..88 => self.receive_too_late(stage, end),
            88..93 => self.give_up(stage, end),
            93..97 => self.fill(stage, end),
            _ => return self.close(stage, end),
        }
        true
    }

    fn send(&mut self, stage: &mut Stage, end: usize) {
        if self.mail[1 - end].len() >= MOST {
            return self.receive(stage, 1 - end);
        }
        let (mut job, len) = self.begin_to_send(stage, end);
        let sent = stage.finish(&mut job).result.expect("there is room");
        assert_eq!(sent, len, "send");
    }

    fn begin_to_send(&mut self, stage: &mut Stage, end: usize) -> (Job, usize) {
        let len = stage.roll(LONGEST);
        let datagram = pattern::bytes(self.salt, self.sent, len);
        self.mail[1 - end].push_back((self.sent, len));
        self.sent += len as u64;
        stage.does("send", self.sockets[end].name(), len as u64);
        (stage.start(self.sockets[end].send(datagram)), len)
    }

    fn receive(&mut self, stage: &mut Stage, end: usize) {
        if self.mail[end].is_empty() {
            return self.receive_nothing(stage, end);
        }
        let mut job = stage.start(self.sockets[end].receive());
        let done = stage.finish(&mut job);
        self.arrived(stage, end, &done);
    }

    fn receive_nothing(&mut self, stage: &mut Stage, end: usize) {
        let tried = either!(&self.sockets[end], socket => socket.try_recv(&mut [0; 8]));
        let error = tried.expect_err("nothing was sent");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        stage.does("receive", "WouldBlock", 0);
    }

    fn arrived(&mut self, stage: &mut Stage, end: usize, done: &Done) {
        let (at, len) = self.mail[end].pop_front().expect("something was sent");
        assert_eq!(done.result.as_ref().ok(), Some(&len), "receive: {:?}", done.result);
        assert_eq!(done.bytes, pattern::bytes(self.salt, at, len), "receive: other bytes");
        stage.does("receive", "as sent", len as u64);
    }

    /// Waits before it is sent.
    fn receive_later(&mut self, stage: &mut Stage, end: usize) {
        self.empty(stage, end);
        let mut job = stage.start(self.sockets[end].receive());
        self.send(stage, 1 - end);
        let done = stage.finish(&mut job);
        self.arrived(stage, end, &done);
        stage.does("receive", "pending, then as sent", 0);
    }

    fn receive_too_late(&mut self, stage: &mut Stage, end: usize) {
        self.empty(stage, end);
        let mut job = stage.start(self.sockets[end].receive());
        let at = match stage.roll(2) {
            0 => Instant::now() - Duration::from_secs(1),
            _ => Instant::now() + Duration::from_micros(80),
        };
        either!(&self.sockets[end], socket => socket.set_read_deadline(Some(at)))
            .expect("it is open");
        let error = stage.finish(&mut job).result.expect_err("nothing is sent");
        assert!(is_deadline_exceeded(&error), "receive: {error}");
        assert!(Instant::now() >= at, "receive: too early");
        // It neither lets anything be received, nor loses it.
        self.send(stage, 1 - end);
        let tried = either!(&self.sockets[end], socket => socket.try_recv(&mut [0; 8]));
        assert!(is_deadline_exceeded(&tried.expect_err("it has passed")), "try_recv");
        either!(&self.sockets[end], socket => socket.set_read_deadline(None)).expect("it is open");
        stage.does("receive", "DeadlineExceeded", 0);
        self.receive(stage, end);
    }

    fn give_up(&mut self, stage: &mut Stage, end: usize) {
        self.empty(stage, end);
        let mut job = stage.start(self.sockets[end].receive());
        stage.wait(job.cancel());
        assert!(job.take().is_none(), "nothing was sent");
        stage.does("receive", "given up", 0);
    }

    /// A Unix socket's peer has room for only so many: the next one waits for it.
    fn fill(&mut self, stage: &mut Stage, end: usize) {
        if let Socket::Udp(_) = self.sockets[end] {
            return;
        }
        for _ in 0..1000 {
            let (mut job, len) = self.begin_to_send(stage, end);
            if job.is_done() {
                assert_eq!(job.take().expect("it is over").result.ok(), Some(len), "send");
                continue;
            }
            // Room is reported when half of it is free.
            while self.mail[1 - end].len() > 1 {
                self.receive(stage, 1 - end);
            }
            let sent = stage.finish(&mut job).result.expect("there is room again");
            assert_eq!(sent, len, "send");
            stage.does("send", "pending, then sent", 0);
            break;
        }
        self.empty(stage, 1 - end);
    }

    fn empty(&mut self, stage: &mut Stage, end: usize) {
        while !self.mail[end].is_empty() {
            self.receive(stage, end);
        }
    }

    fn close(&mut self, stage: &mut Stage, end: usize) -> bool {
        self.empty(stage, end);
        let mut job = stage.start(self.sockets[end].receive());
        let socket = self.sockets[end].clone();
        stage.wait(async { either!(&socket, socket => socket.close().await) }).expect("it is open");
        let error = stage.finish(&mut job).result.expect_err("nothing is sent");
        assert!(is_closed(&error), "receive: {error}");
        stage.does("receive", "Closed", 0);
        false
    }
}

async fn udp(any_port: SocketAddr) -> io::Result<[Socket; 2]> {
    let (one, other) = (UdpSocket::bind(any_port).await?, UdpSocket::bind(any_port).await?);
    one.connect(other.local_addr()?).await?;
    other.connect(one.local_addr()?).await?;
    Ok([Socket::Udp(one), Socket::Udp(other)])
}

impl Socket {
    fn name(&self) -> &'static str {
        match self {
            Socket::Udp(_) => "UDP",
            Socket::Unix(_) => "Unix",
        }
    }

    fn send(&self, datagram: &'static [u8]) -> Operation {
        let socket = self.clone();
        let sent = async move { either!(&socket, socket => socket.send(datagram).await) };
        sent.map(|sent| Done::new(sent, Vec::new())).boxed()
    }

    fn receive(&self) -> Operation {
        let socket = self.clone();
        async move {
            let mut buffer = vec![0; LONGEST];
            let received = either!(&socket, socket => socket.recv(&mut buffer).await);
            buffer.truncate(*received.as_ref().unwrap_or(&0));
            Done::new(received, buffer)
        }
        .boxed()
    }
}
