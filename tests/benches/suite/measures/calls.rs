//! The system calls of an echo, counted by strace.
//!
//! A server makes some calls before its first echo. They are in two runs alike, one of which has
//! more echoes: the difference is the cost of the additional ones.
//!
//! strace stops a server at each call. Under load it is then so slow that there is always a request to
//! be read: it waits less than it would alone, and a reactor with a thread of its own more often.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Serving, Values};
use crate::load::Reading;
use crate::measure::child::Child;
use crate::measure::sys;

/// All of them; each kind has `calls:` and its name.
pub(crate) const CALLS: &str = "calls";

/// So rare ones are of no interest.
const SELDOM: f64 = 0.005;

#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// One connection, and the server sleeps between the requests.
    Paced,
    /// 64, as fast as it goes.
    Loaded,
}

impl Pace {
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Paced => &["--connections", "1", "--rate", "200"],
            Self::Loaded => &["--connections", "64"],
        }
    }

    /// The echoes of both runs.
    fn requests(self) -> [usize; 2] {
        match self {
            Self::Paced => [50, 250],
            Self::Loaded => [1000, 6000],
        }
    }
}

/// Why it cannot be measured here.
pub(crate) fn obstacle() -> Option<&'static str> {
    let strace = Command::new("strace").arg("--version").stdout(Stdio::null()).status();
    strace.is_err().then_some("strace is not installed")
}

pub(crate) fn measure(program: &Path, server: &str, pace: Pace) -> Result<Values, String> {
    let [few, many] = pace.requests();
    let (few, before) = count(program, server, pace, few)?;
    let (many, after) = count(program, server, pace, many)?;
    let mut values = vec![(CALLS.to_owned(), 0.0)];
    for (name, calls) in &after {
        let earlier = before.get(name).copied().unwrap_or(0);
        let each = (*calls as f64 - earlier as f64) / (many - few) as f64;
        values[0].1 += each;
        if each.abs() >= SELDOM {
            values.push((format!("{CALLS}:{name}"), each));
        }
    }
    Ok(values)
}

/// How many requests were answered, and the calls of the server from its beginning to its end.
fn count(
    program: &Path,
    server: &str,
    pace: Pace,
    requests: usize,
) -> Result<(u64, BTreeMap<String, u64>), String> {
    let file = program.with_file_name(format!("calls-{}.txt", std::process::id()));
    let path = file.to_str().ok_or("the path of this program is no text")?;
    let strace = ["strace", "-f", "-c", "-o", path];
    let serving = Serving::start(program, &strace, &["as-server", server, "--processor", "0"])?;
    let (id, requests) = (serving.id.to_string(), requests.to_string());
    let mut words = vec!["as-load", &serving.port, "--server", &id, "--requests", &requests];
    words.extend(["--warm-up", "0", "--for", "60000"]);
    words.extend(pace.words());
    let mut load = Child::start(&words);
    let reading = Reading::from(load.try_numbers()?);
    load.finish();
    sys::terminate(serving.id).map_err(|error| error.to_string())?;
    serving.process.wait();
    let text = fs::read_to_string(&file).map_err(|error| format!("{path}: {error}"))?;
    // Gone or not, the next one will be written over it.
    let _ = fs::remove_file(&file);
    Ok((reading.requests, parse(&text)))
}

/// The lines of strace's summary: the fourth word is the number of calls, the last their name.
pub(crate) fn parse(summary: &str) -> BTreeMap<String, u64> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let calls = words.get(3)?.parse().ok()?;
        let name = (*words.last()?).to_owned();
        (name != "total").then_some((name, calls))
    };
    summary.lines().filter_map(line).collect()
}
