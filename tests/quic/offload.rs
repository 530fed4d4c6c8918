//! The kernel's offloads: a system call carries several datagrams (GSO, GRO), and each has its congestion bits (ECN).

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use netpoll_quinn::{Runtime, Task};
use netpoll_tests::watched;
use quinn::udp::{EcnCodepoint, RecvMeta, Transmit};
use quinn::{AsyncTimer, AsyncUdpSocket, TransportConfig, UdpPoller};

use crate::fixtures::{AnyRuntime, connected};

/// Counts of the sockets of a runtime.
#[derive(Debug, Default)]
struct Counts {
    /// Calls that sent: each is one `sendmsg(2)`.
    sends: AtomicUsize,
    sent: AtomicUsize,
    sent_with_ecn: AtomicUsize,
    /// Buffers that were received, each with one datagram or several.
    buffers: AtomicUsize,
    received: AtomicUsize,
    received_with_ecn: AtomicUsize,
}

/// Our runtime, whose sockets count, and have segmentation offload or not.
#[derive(Debug)]
struct Counting {
    runtime: Runtime,
    counts: Arc<Counts>,
    is_offloaded: bool,
}

#[derive(Debug)]
struct CountingSocket {
    socket: Arc<dyn AsyncUdpSocket>,
    counts: Arc<Counts>,
    is_offloaded: bool,
}

impl quinn::Runtime for Counting {
    fn new_timer(&self, deadline: Instant) -> Pin<Box<dyn AsyncTimer>> {
        quinn::Runtime::new_timer(&self.runtime, deadline)
    }

    fn spawn(&self, task: Task) {
        quinn::Runtime::spawn(&self.runtime, task);
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let socket = self.runtime.wrap_udp_socket(socket)?;
        let (counts, is_offloaded) = (self.counts.clone(), self.is_offloaded);
        Ok(Arc::new(CountingSocket { socket, counts, is_offloaded }))
    }
}

impl AsyncUdpSocket for CountingSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.socket.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket.try_send(transmit)?;
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len());
        let sent = transmit.contents.len().div_ceil(segment);
        self.counts.sends.fetch_add(1, Relaxed);
        self.counts.sent.fetch_add(sent, Relaxed);
        if transmit.ecn == Some(EcnCodepoint::Ect0) {
            self.counts.sent_with_ecn.fetch_add(sent, Relaxed);
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let filled = ready!(self.socket.poll_recv(cx, buffers, meta))?;
        for meta in &meta[..filled] {
            let received = meta.len.div_ceil(meta.stride.max(1));
            self.counts.buffers.fetch_add(1, Relaxed);
            self.counts.received.fetch_add(received, Relaxed);
            if meta.ecn == Some(EcnCodepoint::Ect0) {
                self.counts.received_with_ecn.fetch_add(received, Relaxed);
            }
        }
        Poll::Ready(Ok(filled))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        if self.is_offloaded { self.socket.max_transmit_segments() } else { 1 }
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

/// Sends a mebibyte from the client to the server, and returns the counts of both.
fn a_mebibyte(is_offloaded: bool) -> Arc<Counts> {
    let counts = Arc::new(Counts::default());
    let runtime = Runtime::new(|task| smol::spawn(task).detach()).expect("a reactor");
    let runtime = Counting { runtime, counts: counts.clone(), is_offloaded };
    let runtime: AnyRuntime = Arc::new(runtime);
    smol::block_on(async {
        let [client, server] = connected(&runtime, TransportConfig::default()).await;
        let bytes = vec![7; 1 << 20];
        let write = async {
            let mut stream = client.connection.open_uni().await.expect("a stream");
            stream.write_all(&bytes).await.expect("it is open");
            stream.finish().expect("it is open");
        };
        let read = async {
            let mut stream = server.connection.accept_uni().await.expect("a stream");
            stream.read_to_end(1 << 20).await.expect("the bytes")
        };
        let ((), received) = futures::join!(write, read);
        assert!(received == bytes);
    });
    counts
}

/// Whether the kernel has both: it says so of any socket.
fn has_offloads() -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let state = quinn::udp::UdpSocketState::new((&socket).into()).expect("the options of a socket");
    state.max_gso_segments() > 1 && state.gro_segments() > 1
}

#[test]
fn a_system_call_sends_and_receives_several_datagrams() {
    watched(|| {
        if !has_offloads() {
            return println!("not run: the kernel has no segmentation offload for UDP");
        }
        let (with, without) = (a_mebibyte(true), a_mebibyte(false));
        println!("with: {with:?}\nwithout: {without:?}");
        let load = |counter: &AtomicUsize| counter.load(Relaxed);
        // Without, a system call sends one datagram.
        assert_eq!(load(&without.sends), load(&without.sent));
        assert!(load(&with.sends) * 3 < load(&without.sends), "{with:?} {without:?}");
        assert!(load(&with.buffers) * 2 < load(&with.received), "{with:?}");
    });
}

#[test]
fn each_datagram_has_its_congestion_bits() {
    watched(|| {
        let counts = a_mebibyte(true);
        let load = |counter: &AtomicUsize| counter.load(Relaxed);
        assert!(load(&counts.sent) > 500, "{counts:?}");
        assert!(load(&counts.received) > 500, "{counts:?}");
        assert_eq!(load(&counts.sent_with_ecn), load(&counts.sent), "{counts:?}");
        assert_eq!(load(&counts.received_with_ecn), load(&counts.received), "{counts:?}");
    });
}
