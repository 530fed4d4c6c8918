//! tokio, for its own tests.
pub use subject::*;
