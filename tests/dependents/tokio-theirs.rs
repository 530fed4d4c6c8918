//! tokio, for its own tests.
#![doc = include_str!("documentation.md")]
pub use subject::*;
