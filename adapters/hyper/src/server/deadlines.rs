//! How long the server waits for its peers.

use std::time::Duration;

/// The limits of a connection: `None` for no limit. [The module](super) says what each of them means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For the whole head of a request: 30 seconds unless told otherwise.
    pub header: Option<Duration>,
    /// For the next request, and between two bytes of a request's body that comes after its answer: 75 seconds
    /// unless told otherwise.
    pub idle: Option<Duration>,
    /// For the peer to take something, if only a byte, of what is written to it: 60 seconds unless told
    /// otherwise.
    pub write_stall: Option<Duration>,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            header: Some(Duration::from_secs(30)),
            idle: Some(Duration::from_secs(75)),
            write_stall: Some(Duration::from_secs(60)),
        }
    }
}

impl Deadlines {
    /// No limits at all.
    #[must_use]
    pub fn none() -> Self {
        Self { header: None, idle: None, write_stall: None }
    }
}

/// Which of the [`Deadlines`] a connection has missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deadline {
    /// A head was not complete in time.
    Header,
    /// No further request came in time.
    Idle,
    /// The peer took nothing of what was written to it.
    WriteStall,
}
