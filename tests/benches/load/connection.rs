//! One connection to the server: its requests, and how much of them was answered.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use super::exchange::Exchange;
use super::source::Source;
use super::{Plan, local_name, room_for};
use crate::measure::epoll::{self, BareEpoll};

/// As long as all answers that a connection waits for, which come in one event.
const BUFFER: usize = 16 * 1024;

pub(super) struct Connection {
    socket: OwnedFd,
    exchange: Exchange,
    number: usize,
    /// How many requests were sent.
    sent: u64,
    /// When those that are not answered were to be sent, the oldest first.
    unanswered: VecDeque<Instant>,
    /// The beginning of an answer.
    received: Vec<u8>,
}

impl Connection {
    /// Connects, and has the events under the connection's number.
    pub(super) fn new(
        plan: &Plan,
        epoll: &BareEpoll,
        number: usize,
        source: Source,
    ) -> io::Result<Self> {
        let (socket, exchange) = (connect(plan, source)?, plan.exchange);
        epoll.add(&socket, number)?;
        let (unanswered, received) = (VecDeque::with_capacity(8), Vec::with_capacity(256));
        Ok(Self { socket, exchange, number, sent: 0, unanswered, received })
    }

    /// Sends the next request; its latency will count from `at`. If it fails, nothing was sent.
    pub(super) fn ask(&mut self, at: Instant) -> io::Result<()> {
        let request = self.exchange.request(self.sent, self.number);
        epoll::send(self.socket.as_raw_fd(), &request)?;
        self.sent += 1;
        self.unanswered.push_back(at);
        Ok(())
    }

    /// Receives the bytes that are there, and reports for each answered request when it was sent.
    pub(super) fn receive(&mut self, mut answered: impl FnMut(Instant)) -> io::Result<()> {
        let mut buffer = [0; BUFFER];
        let len = match epoll::receive(self.socket.as_raw_fd(), &mut buffer) {
            Ok(0) => return Err(self.hung_up()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            received => received?,
        };
        self.received.extend_from_slice(&buffer[..len]);
        while let Some(len) = self.answer()? {
            self.received.drain(..len);
            answered(self.unanswered.pop_front().expect("it was there to be answered"));
        }
        Ok(())
    }

    /// How long the answer to the oldest request is, if it is there.
    fn answer(&self) -> io::Result<Option<usize>> {
        if self.received.is_empty() {
            return Ok(None);
        }
        if self.unanswered.is_empty() {
            let (number, more) = (self.number, self.received.len());
            let error = format!("connection {number}: {more} bytes without a request");
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        let request = self.sent - self.unanswered.len() as u64;
        self.exchange.answer(&self.received, request, self.number)
    }

    fn hung_up(&self) -> io::Error {
        let (number, request) = (self.number, self.sent - self.unanswered.len() as u64);
        let error = format!("connection {number}, request {request}: the server has hung up");
        io::Error::new(io::ErrorKind::UnexpectedEof, error)
    }
}

/// A socket that does not block, and whose buffer has room for a message.
fn connect(plan: &Plan, source: Source) -> io::Result<OwnedFd> {
    match plan.exchange {
        Exchange::Unix => {
            let stream = UnixStream::connect_addr(&local_name(plan.server)?)?;
            stream.set_nonblocking(true)?;
            Ok(stream.into())
        }
        Exchange::Udp => {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.connect((Ipv4Addr::LOCALHOST, plan.port))?;
            socket.set_nonblocking(true)?;
            Ok(socket.into())
        }
        _ => {
            let stream = source.connect(plan.port)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            room_for(&stream, plan.exchange)?;
            Ok(stream.into())
        }
    }
}
