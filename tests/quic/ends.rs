//! The ends of endpoints: a reactor that was shut down, and errors of the network, which end none.

use std::future::poll_fn;
use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::task::{Context, Waker};

use netpoll::{Reactor, ReactorGone};
use netpoll_quinn::Runtime;
use netpoll_tests::watched;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{Endpoint, EndpointConfig, TransportConfig};

use crate::fixtures::{AnyRuntime, connected};

#[test]
fn after_a_shutdown_connections_end_and_none_begins() {
    watched(|| {
        smol::block_on(async {
            let reactor = Reactor::builder().build().expect("a reactor");
            let runtime: AnyRuntime =
                Arc::new(Runtime::new_on(&reactor, |task| smol::spawn(task).detach()));
            let [client, server] = connected(&runtime, TransportConfig::default()).await;
            reactor.shutdown();
            println!("{}, {}", client.connection.closed().await, server.connection.closed().await);
            assert!(server.endpoint.accept().await.is_none());

            let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
            let config = EndpointConfig::default();
            let error = Endpoint::new(config, None, socket, runtime).expect_err("it is gone");
            let cause = error.get_ref().and_then(std::error::Error::source).unwrap_or(&error);
            assert!(
                cause.is::<ReactorGone>() || error.to_string().contains("shut down"),
                "{error:?}"
            );
        });
    });
}

/// quinn ends an endpoint whose socket reports an error.
#[test]
fn a_port_that_no_process_has_is_no_error_of_the_socket() {
    watched(|| {
        let runtime = Runtime::new(|_| unreachable!("no task")).expect("a reactor");
        let bind = || UdpSocket::bind("127.0.0.1:0").expect("a port");
        let (socket, peer) = (bind(), bind());
        let near = socket.local_addr().expect("an address");
        let far = peer.local_addr().expect("an address");
        let same = socket.try_clone().expect("a descriptor");
        let socket = quinn::Runtime::wrap_udp_socket(&runtime, socket).expect("a socket");
        let mut buffer = [0; 100];
        let mut receive = |cx: &mut Context<'_>| {
            let mut meta = [RecvMeta::default()];
            let polled = socket.poll_recv(cx, &mut [IoSliceMut::new(&mut buffer)], &mut meta);
            polled.map_ok(|filled| (filled, meta[0].addr, meta[0].len))
        };

        // No service has this address.
        let nowhere = SocketAddr::from(([127, 77, 15, 3], 1));
        same.connect(nowhere).expect("an address");
        let transmit = Transmit {
            destination: nowhere,
            ecn: None,
            contents: b"to no process",
            segment_size: None,
            src_ip: None,
        };
        // The kernel reports the error of the first datagram at the second, and that of the third at a receipt.
        for _ in 0..3 {
            socket.try_send(&transmit).expect("an error of the network");
        }
        assert!(receive(&mut Context::from_waker(Waker::noop())).is_pending());

        same.connect(far).expect("an address");
        peer.send_to(b"hello", near).expect("room");
        let received = netpoll::block_on(poll_fn(receive)).expect("a datagram");
        assert_eq!(received, (1, far, 5));
    });
}
