//! Go's network poller, for Rust futures and the executors that already exist.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod arena;
mod driver;
mod error;
mod gate;
mod metrics;
mod reactor;
mod ready;
mod registration;
mod sleep;
mod slot;
mod sync;
mod sys;
mod time;
mod timer;
mod token;

pub use driver::{Builder, Reactor};
pub use error::{
    Closed, DeadlineExceeded, OpError, ReactorGone, is_closed, is_deadline_exceeded, raw_os_error,
};
pub use metrics::Metrics;
pub use ready::{Direction, Interest, Ready};
pub use registration::{Readiness, Registration};
pub use sys::socket;
pub use timer::Timer;
