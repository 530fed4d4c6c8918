//! Events for the crate `tracing`, under the feature of that name. Without it, these functions are empty, and the compiler
//! leaves them out.
//!
//! No function here reads an address before a subscriber has asked for the event. None runs under a lock.

#[cfg(feature = "tracing")]
mod imp {
    use std::io;
    use std::net::SocketAddr;
    use std::time::{Duration, Instant};

    use netpoll::{Direction, Registration, is_deadline_exceeded};
    use tracing::field::Empty;
    use tracing::{Instrument, Level, debug_span, enabled, warn};

    use crate::listener::Listener;
    use crate::sealed::{Address, ListenerSocket, PeerSocket, StdSocket, StreamSocket};
    use crate::stream::Stream;

    /// An address in the words of OpenTelemetry: `network.peer.address`, `network.peer.port`.
    #[derive(Debug, Default)]
    struct Named {
        address: Option<String>,
        port: Option<u16>,
    }

    impl Named {
        fn of(address: io::Result<impl Address>) -> Self {
            address.map_or_else(|_| Self::default(), |address| Self::parse(address.text()))
        }

        fn parse(text: String) -> Self {
            match text.parse::<SocketAddr>() {
                Ok(address) => {
                    Self { address: Some(address.ip().to_string()), port: Some(address.port()) }
                }
                // The path of a Unix socket, or its name.
                Err(_) => Self { address: Some(text).filter(|text| !text.is_empty()), port: None },
            }
        }

        fn address(&self) -> Option<&str> {
            self.address.as_deref()
        }
    }

    /// Both ends of a connection.
    #[derive(Debug)]
    struct Ends {
        transport: &'static str,
        local: Named,
        peer: Named,
    }

    impl Ends {
        fn of<S: PeerSocket>(registration: &Registration<S>) -> Self {
            let local = registration.while_open(S::own_address);
            let peer = Named::of(registration.while_open(S::peer_address));
            Self { transport: S::TRANSPORT, local: Named::of(local), peer }
        }

        fn of_listener<S: StdSocket>(registration: &Registration<S>) -> Self {
            let local = Named::of(registration.while_open(S::own_address));
            Self { transport: S::TRANSPORT, local, peer: Named::default() }
        }
    }

    /// An event about a connection or a listener. Fields without a value are left out.
    macro_rules! event {
        ($ends:expr, $($rest:tt)+) => {
            tracing::event!(
                target: "netpoll",
                Level::DEBUG,
                network.transport = $ends.transport,
                network.peer.address = $ends.peer.address(),
                network.peer.port = $ends.peer.port,
                network.local.address = $ends.local.address(),
                network.local.port = $ends.local.port,
                $($rest)+
            )
        };
    }

    /// A connection from its beginning to its end. Dropped when the descriptor is closed or given back.
    struct Open {
        ends: Ends,
        since: Instant,
    }

    impl Drop for Open {
        fn drop(&mut self) {
            event!(self.ends, duration = ?self.since.elapsed(), "closed");
        }
    }

    pub(crate) fn accepted<L: ListenerSocket>(stream: &Stream<L::Stream>) {
        if enabled!(target: "netpoll", Level::DEBUG) {
            let ends = Ends::of(stream.registration());
            event!(ends, "accepted");
            stream.registration().hold_until_closed(Open { ends, since: Instant::now() });
        }
    }

    /// Runs a connect in a span of its own.
    pub(crate) async fn connecting<S: StreamSocket>(
        address: impl FnOnce() -> String,
        connect: impl Future<Output = io::Result<Stream<S>>>,
    ) -> io::Result<Stream<S>> {
        if !enabled!(target: "netpoll", Level::DEBUG) {
            return connect.await;
        }
        let peer = Named::parse(address());
        let span = debug_span!(
            target: "netpoll",
            "connect",
            network.transport = S::TRANSPORT,
            network.peer.address = peer.address(),
            network.peer.port = peer.port,
            error = Empty,
        );
        let began = Instant::now();
        let connect = async {
            let connected = connect.await;
            let latency = began.elapsed();
            match &connected {
                Ok(stream) => {
                    let ends = Ends::of(stream.registration());
                    event!(ends, ?latency, "connected");
                    let open = Open { ends, since: Instant::now() };
                    stream.registration().hold_until_closed(open);
                }
                Err(error) => {
                    let ends = Ends { transport: S::TRANSPORT, local: Named::default(), peer };
                    event!(ends, %error, ?latency, "connect failed");
                }
            }
            connected
        };
        let connected = connect.instrument(span.clone()).await;
        if let Err(error) = &connected {
            span.record("error", tracing::field::display(error));
        }
        connected
    }

    /// An operation may have failed because its deadline has passed.
    #[inline]
    pub(crate) fn done<S: PeerSocket, R>(
        registration: &Registration<S>,
        direction: Direction,
        done: &io::Result<R>,
    ) {
        if let Err(error) = done {
            exceeded(error, direction, || Ends::of(registration));
        }
    }

    pub(crate) fn accept_failed<L: ListenerSocket>(listener: &Listener<L>, error: &io::Error) {
        exceeded(error, Direction::Read, || Ends::of_listener(listener.registration()));
    }

    #[cold]
    fn exceeded(error: &io::Error, direction: Direction, ends: impl FnOnce() -> Ends) {
        if is_deadline_exceeded(error) && enabled!(target: "netpoll", Level::DEBUG) {
            let direction = match direction {
                Direction::Read => "read",
                Direction::Write => "write",
            };
            let ends = ends();
            event!(ends, direction, "deadline exceeded");
        }
    }

    pub(crate) fn paused(error: &io::Error, pause: Duration) {
        warn!(target: "netpoll", %error, ?pause, "back-off");
    }

    pub(crate) fn limit_reached<L: ListenerSocket>(listener: &Listener<L>, limit: usize) {
        if enabled!(target: "netpoll", Level::DEBUG) {
            let ends = Ends::of_listener(listener.registration());
            event!(ends, limit, "limit reached");
        }
    }
}

#[cfg(not(feature = "tracing"))]
mod imp {
    use std::io;
    use std::time::Duration;

    use netpoll::{Direction, Registration};

    use crate::listener::Listener;
    use crate::sealed::{ListenerSocket, PeerSocket};
    use crate::stream::Stream;

    #[inline(always)]
    pub(crate) fn accepted<L: ListenerSocket>(_: &Stream<L::Stream>) {}

    #[inline(always)]
    pub(crate) fn connecting<F: Future>(_: impl FnOnce() -> String, connect: F) -> F {
        connect
    }

    #[inline(always)]
    pub(crate) fn done<S: PeerSocket, R>(_: &Registration<S>, _: Direction, _: &io::Result<R>) {}

    #[inline(always)]
    pub(crate) fn accept_failed<L: ListenerSocket>(_: &Listener<L>, _: &io::Error) {}

    #[inline(always)]
    pub(crate) fn paused(_: &io::Error, _: Duration) {}

    #[inline(always)]
    pub(crate) fn limit_reached<L: ListenerSocket>(_: &Listener<L>, _: usize) {}
}

use std::io;
use std::task::Poll;

use netpoll::{Direction, Registration};

use crate::sealed::PeerSocket;

pub(crate) use imp::*;

/// [`done`] for the result of a poll, which it returns.
#[inline(always)]
pub(crate) fn polled<S: PeerSocket, R>(
    registration: &Registration<S>,
    direction: Direction,
    polled: Poll<io::Result<R>>,
) -> Poll<io::Result<R>> {
    if let Poll::Ready(result) = &polled {
        done(registration, direction, result);
    }
    polled
}
