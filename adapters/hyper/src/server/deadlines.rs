//! The limits of a connection.

use std::time::Duration;

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
    pub(super) write_stall: Option<Duration>,
}

/// 10 seconds for a handshake, 30 seconds for a head, 75 seconds of idleness, 60 seconds without progress of a write.
impl Default for Deadlines {
    fn default() -> Self {
        Self {
            handshake: Some(Duration::from_secs(10)),
            header: Some(Duration::from_secs(30)),
            idle: Some(Duration::from_secs(75)),
            write_stall: Some(Duration::from_secs(60)),
        }
    }
}

impl Deadlines {
    /// No limits.
    pub fn none() -> Self {
        Self { handshake: None, header: None, idle: None, write_stall: None }
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

    /// Limits the time for which a write makes no progress: not one byte that the peer acknowledges. `None`
    /// removes the limit.
    pub fn write_stall(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.write_stall = limit.into();
        self
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
    /// The peer acknowledged nothing of a response in time.
    WriteStall,
}
