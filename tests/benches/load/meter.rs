//! The measurement between the warm-up and the end.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use super::{Plan, SILENCE};
use crate::measure::{procfs, sys};

/// The result of a measurement.
pub(crate) struct Reading {
    pub(crate) requests: u64,
    /// The server's processor time, in nanoseconds, and its context switches.
    pub(crate) server_ns: u64,
    pub(crate) switches: u64,
    /// The processor time of the load itself.
    pub(crate) load_ns: u64,
    pub(crate) elapsed_ns: u64,
    /// From when a request was to be sent until its answer had come.
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) p999_ns: u64,
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, server_ns, switches, load_ns, elapsed_ns, .. } = self;
        let Self { p50_ns, p99_ns, p999_ns, .. } = self;
        write!(f, "{requests} {server_ns} {switches} {load_ns} {elapsed_ns} ")?;
        write!(f, "{p50_ns} {p99_ns} {p999_ns}")
    }
}

impl From<[u64; 8]> for Reading {
    fn from(numbers: [u64; 8]) -> Self {
        let [requests, server_ns, switches, load_ns, elapsed_ns, p50_ns, p99_ns, p999_ns] = numbers;
        Self { requests, server_ns, switches, load_ns, elapsed_ns, p50_ns, p99_ns, p999_ns }
    }
}

/// The processor time of both processes at one time.
struct Snapshot {
    server: Duration,
    switches: u64,
    load: Duration,
    at: Instant,
}

impl Snapshot {
    fn take(server: u32) -> io::Result<Self> {
        // The switches first: reading them is work for a while, and no part of the server's.
        let switches = procfs::switches(server)?;
        Ok(Self {
            switches,
            load: sys::processor_time(std::process::id())?,
            server: sys::processor_time(server)?,
            at: Instant::now(),
        })
    }
}

/// Counts answers from the end of the warm-up on.
pub(super) struct Meter<'a> {
    plan: &'a Plan,
    warm_at: Instant,
    began: Option<Snapshot>,
    /// How long each request took, in nanoseconds.
    latencies: Vec<u32>,
}

impl<'a> Meter<'a> {
    pub(super) fn start(plan: &'a Plan) -> Self {
        let latencies = Vec::with_capacity(1 << 18);
        Self { plan, warm_at: Instant::now() + plan.warm_up, began: None, latencies }
    }

    pub(super) fn answered(&mut self, asked: Instant, now: Instant) {
        if self.began.is_some() {
            let nanos = now.saturating_duration_since(asked).as_nanos();
            self.latencies.push(nanos.try_into().unwrap_or(u32::MAX));
        }
    }

    /// Begins and ends when it is time; whether this is the end. Something must have been answered,
    /// however slow the machine is.
    pub(super) fn is_over(&mut self, now: Instant) -> io::Result<bool> {
        let Some(began) = &self.began else {
            if now >= self.warm_at {
                self.began = Some(Snapshot::take(self.plan.server)?);
            }
            return Ok(false);
        };
        let elapsed = now.saturating_duration_since(began.at);
        let silence = Duration::from_millis(SILENCE as u64);
        match self.latencies.len() {
            0 if elapsed > self.plan.counted + silence => {
                Err(io::Error::other("nothing is answered"))
            }
            0 => Ok(false),
            answered => Ok(answered >= self.plan.requests || elapsed >= self.plan.counted),
        }
    }

    pub(super) fn read(mut self) -> io::Result<Reading> {
        let end = Snapshot::take(self.plan.server)?;
        let began = self.began.expect("it is not over before it has begun");
        self.latencies.sort_unstable();
        let last = self.latencies.len() - 1;
        let quantile = |share: f64| self.latencies[(share * last as f64).round() as usize].into();
        Ok(Reading {
            requests: self.latencies.len() as u64,
            server_ns: (end.server - began.server).as_nanos() as u64,
            switches: end.switches.saturating_sub(began.switches),
            load_ns: (end.load - began.load).as_nanos() as u64,
            elapsed_ns: (end.at - began.at).as_nanos() as u64,
            p50_ns: quantile(0.5),
            p99_ns: quantile(0.99),
            p999_ns: quantile(0.999),
        })
    }
}
