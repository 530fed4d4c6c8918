//! The limits of a connection.

use std::time::Duration;

use crate::least_rate::least;

/// The limits of a connection. [The module](super) defines each of them.
///
/// ```
/// use netpoll_hyper::Deadlines;
/// use std::time::Duration;
///
/// let deadlines = Deadlines::default().header(Duration::from_secs(5)).idle(None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Deadlines {
    pub(super) handshake: Option<Duration>,
    pub(super) header: Option<Duration>,
    pub(super) idle: Option<Duration>,
    pub(super) request: Option<Duration>,
    pub(super) write_stall: Option<Duration>,
    /// Bytes a second.
    pub(super) write_rate: u64,
}

/// 10 seconds for a handshake, 30 seconds for a head, 75 seconds of idleness, 60 seconds without progress of a write, and 100 bytes a second for
/// a response that waits for its peer. A whole request has no limit.
impl Default for Deadlines {
    fn default() -> Self {
        Self {
            handshake: Some(Duration::from_secs(10)),
            header: Some(Duration::from_secs(30)),
            idle: Some(Duration::from_secs(75)),
            request: None,
            write_stall: Some(Duration::from_secs(60)),
            write_rate: 100,
        }
    }
}

impl Deadlines {
    /// No limits.
    pub fn none() -> Self {
        Self {
            handshake: None,
            header: None,
            idle: None,
            request: None,
            write_stall: None,
            write_rate: 0,
        }
    }

    /// Limits the time for the whole handshake of [`serve_with`](super::Server::serve_with). `None` removes the
    /// limit.
    pub fn handshake(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.handshake = limit.into();
        self
    }

    /// Limits the time for the whole head of a request. `None` removes the limit.
    pub fn header(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.header = limit.into();
        self
    }

    /// Limits the time until the next request, and the time between two bytes of a request's body that arrives
    /// after its response. `None` removes the limit.
    pub fn idle(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.idle = limit.into();
        self
    }

    /// Limits the time for a whole request, from the end of its head to the end of its response: a slow upload, a slow service and
    /// an endless response. `None` removes the limit. That is the default, since a long upload, a download and a stream that is silent
    /// may take any time.
    ///
    /// If the service has not answered in time, the server drops the service's future and answers 408 (Request Timeout). With HTTP/1
    /// it then closes the connection. If the response is in progress, it ends incomplete: with HTTP/1 the server closes
    /// the connection, with HTTP/2 it resets the stream. While a response waits for the peer, the limit takes effect when the peer
    /// takes the next bytes; until then [`write_stall`](Self::write_stall) and [`write_rate`](Self::write_rate) hold.
    ///
    /// It is the only limit for a client that sends the body of its request a byte at a time, unless the service reads the body through
    /// a [`LeastRate`](crate::LeastRate).
    pub fn request(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.request = limit.into();
        self
    }

    /// Limits the time for which a write makes no progress: the peer acknowledges less than
    /// [`write_rate`](Self::write_rate) demands, and less than one byte. `None` removes the limit, and that of the rate.
    pub fn write_stall(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.write_stall = limit.into();
        self
    }

    /// Demands that a peer takes a response at this rate, in bytes a second: in each period of
    /// [`write_stall`](Self::write_stall) for which the response waits for the peer, as many bytes as the rate makes of the period.
    /// Time for which the service has no data does not count. Zero demands one byte in each period.
    ///
    /// TCP acknowledges in steps of some kilobytes ([`Timeouts::write_stall`](netpoll_futures::Timeouts::write_stall)), so
    /// a period must be longer than a few steps take.
    pub fn write_rate(mut self, bytes_a_second: u64) -> Self {
        self.write_rate = bytes_a_second;
        self
    }

    /// The bytes that a peer must take in each period of `write_stall`.
    pub(super) fn least_taken(&self) -> u64 {
        least(self.write_rate, self.write_stall.unwrap_or_default())
    }
}

/// The limit of [`Deadlines`] that a peer exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Deadline {
    /// The handshake was not complete in time.
    Handshake,
    /// The head of a request did not arrive in time.
    Header,
    /// No further request arrived in time.
    Idle,
    /// A whole request, to the end of its response, took too long.
    Request,
    /// The peer took nothing of a response in time, or less than the least rate.
    WriteStall,
}
