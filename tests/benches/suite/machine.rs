//! The versions that were measured, and the machine.

use std::fs;
use std::process::Command;
use std::thread;

use crate::servers::go;

const LOCK: &str = include_str!("../../../Cargo.lock");

/// The programs with versions.
const CRATES: [&str; 9] = [
    "netpoll",
    "mio",
    "tokio",
    "smol",
    "async-io",
    "async-executor",
    "async-net",
    "futures",
    "hyper",
];

/// The names of facts, and the facts.
pub(super) fn describe() -> Vec<(String, String)> {
    let fact = |name: &str, fact: Option<String>| (name.to_owned(), fact.unwrap_or("?".to_owned()));
    let versions = CRATES.iter().filter_map(|name| Some(format!("{name} {}", version(name)?)));
    vec![
        fact("processor", processor()),
        fact("processors", thread::available_parallelism().ok().map(|count| count.to_string())),
        fact("kernel", read("/proc/sys/kernel/osrelease")),
        fact("rustc", said("rustc", "--version")),
        fact("profile", Some(if cfg!(debug_assertions) { "dev" } else { "bench" }.to_owned())),
        fact("go", Some(go::version().unwrap_or("not installed".to_owned()))),
        fact("crates", Some(versions.collect::<Vec<_>>().join(", "))),
    ]
}

fn processor() -> Option<String> {
    let text = read("/proc/cpuinfo")?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn said(program: &str, word: &str) -> Option<String> {
    let output = Command::new(program).arg(word).output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// The version of a crate that this program was built with.
pub(super) fn version(name: &str) -> Option<&'static str> {
    let package = LOCK.split_once(&format!("name = \"{name}\"\n"))?.1;
    package.strip_prefix("version = \"")?.split('"').next()
}
