//! quinn's socket traits: datagrams in batches, by quinn-udp, over a registration of the reactor.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use netpoll::{Direction, Interest, OwnedReadinessWait, Reactor, Registration, Transfer};
use quinn::udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};

/// The socket of an endpoint. The endpoint's task receives from it; the tasks of all its connections send.
pub(crate) struct Socket {
    registration: Registration<UdpSocket>,
    /// The kernel's offloads that this socket has. The system calls are its functions.
    state: UdpSocketState,
}

impl Socket {
    pub(crate) fn register(reactor: &Reactor, socket: UdpSocket) -> io::Result<Self> {
        // It also makes the socket non-blocking.
        let state = UdpSocketState::new((&socket).into())?;
        // Otherwise each datagram that leaves the socket's buffer would be an event.
        let registration = Registration::with(reactor, socket, Interest::WriteOnDemand)?;
        Ok(Self { registration, state })
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socket").field(self.registration.get_ref()).finish()
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller { socket: self, wait: OwnedReadinessWait::new(Direction::Write) })
    }

    /// Errors of the network, like a datagram that is too large, are no errors here: quinn-udp logs them, and QUIC sends
    /// the datagram again.
    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.registration
            .try_io(Direction::Write, |socket| self.state.send(socket.into(), transmit))
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        // `recvmmsg(2)` that returns fewer datagrams than asked for has drained the socket.
        let rule = Transfer(Direction::Read, buffers.len().min(BATCH_SIZE));
        loop {
            let received = ready!(self.registration.poll_io(cx, rule, |socket| {
                match self.state.recv(socket.into(), buffers, meta) {
                    // An error of an earlier datagram, which `recvmmsg` returns once: a port that no process has, for instance.
                    // quinn would end the endpoint.
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => Ok(0),
                    received => received,
                }
            }))?;
            if received > 0 {
                return Poll::Ready(Ok(received));
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.registration.get_ref().local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

/// A connection's wait for room in the buffer of the socket.
struct Poller {
    socket: Arc<Socket>,
    wait: OwnedReadinessWait,
}

impl UdpPoller for Poller {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.wait.poll_ready(&this.socket.registration, cx, Direction::Write).map_ok(drop)
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Poller").field(self.socket.registration.get_ref()).finish()
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.wait.leave(&self.socket.registration);
    }
}
