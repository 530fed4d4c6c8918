//! The values that `/proc` has of a process, of its threads and of the machine.

use std::fs;
use std::io;

use super::sys;

/// How much memory of its own this process has, in bytes. The pages of files do not count: code that runs for the first time
/// is no memory of a connection.
pub(crate) fn resident_bytes() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").expect("procfs is mounted");
    let mut words = pages.split_whitespace().map(|word| word.parse::<u64>().expect("a number"));
    let (resident, of_files) = (words.nth(1).expect("a second"), words.next().expect("a third"));
    (resident - of_files) * sys::page_size()
}

/// A thread, and how often it gave the processor away or had it taken away.
pub(crate) struct Thread {
    pub(crate) name: String,
    pub(crate) voluntary_switches: u64,
    pub(crate) involuntary_switches: u64,
}

/// The threads of a process, in the order in which they were made.
pub(crate) fn threads(process: u32) -> io::Result<Vec<Thread>> {
    let tasks = fs::read_dir(format!("/proc/{process}/task"))?;
    let mut tasks: Vec<_> = tasks.flatten().map(|task| task.path().join("status")).collect();
    tasks.sort();
    Ok(tasks.iter().filter_map(|path| fs::read_to_string(path).ok()).map(|s| thread(&s)).collect())
}

/// How often all threads of a process have given the processor away or had it taken away.
pub(crate) fn switches(process: u32) -> io::Result<u64> {
    let of = |thread: &Thread| thread.voluntary_switches + thread.involuntary_switches;
    Ok(threads(process)?.iter().map(of).sum())
}

fn thread(status: &str) -> Thread {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.expect("a field that every thread has").trim()
    };
    let number = |name| field(name).parse().expect("a number");
    Thread {
        name: field("Name").to_owned(),
        voluntary_switches: number("voluntary_ctxt_switches"),
        involuntary_switches: number("nonvoluntary_ctxt_switches"),
    }
}
