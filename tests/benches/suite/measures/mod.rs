//! The ways to measure a server's turn.

pub(super) mod alone;
pub(super) mod calls;
pub(super) mod served;

use std::path::Path;

use crate::measure::child::Child;

/// The result of a turn: the names of the measured values, and the values.
pub(crate) type Values = Vec<(String, f64)>;

/// A server, with its port and its process.
pub(super) struct Serving {
    pub(super) process: Child,
    pub(super) port: String,
    pub(super) id: u32,
}

impl Serving {
    pub(super) fn start(program: &Path, wrapper: &[&str], words: &[&str]) -> Result<Self, String> {
        let mut process = Child::start_of(program, wrapper, words);
        let [port, id] = process.try_numbers()?;
        Ok(Self { process, port: port.to_string(), id: id as u32 })
    }
}
