//! Other processes of this program, which report line by line.

use std::env;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{self, ChildStdout, Command, Stdio};

pub(crate) fn own_program() -> PathBuf {
    env::current_exe().expect("the path of this program")
}

/// A process that runs another subcommand. It is killed when it is dropped.
pub(crate) struct Child {
    process: process::Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Child {
    pub(crate) fn start(words: &[&str]) -> Self {
        Self::start_under(&[], words)
    }

    /// Starts it as the command of another program, such as `strace -f`.
    pub(crate) fn start_under(wrapper: &[&str], words: &[&str]) -> Self {
        Self::start_of(&own_program(), wrapper, words)
    }

    /// The same with this program as another revision has it.
    pub(crate) fn start_of(program: &Path, wrapper: &[&str], words: &[&str]) -> Self {
        let mut command = match wrapper.split_first() {
            None => Command::new(program),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("a child process");
        let stdout = process.stdout.take().expect("it is a pipe");
        Self { process, lines: BufReader::new(stdout).lines() }
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> String {
        self.lines.next().expect("the child process says something").expect("its pipe works")
    }

    /// The next line, which is numbers.
    pub(crate) fn numbers<const N: usize>(&mut self) -> [u64; N] {
        self.try_numbers().unwrap_or_else(|line| panic!("not {N} numbers: {line}"))
    }

    /// The next line if it is numbers, and otherwise the line itself.
    pub(crate) fn try_numbers<const N: usize>(&mut self) -> Result<[u64; N], String> {
        let Some(Ok(line)) = self.lines.next() else {
            return Err("the child process has ended without a word".to_owned());
        };
        let numbers: Vec<u64> = line.split_whitespace().flat_map(str::parse).collect();
        numbers.try_into().map_err(|_| line)
    }

    pub(crate) fn port(&mut self) -> String {
        let [port] = self.numbers();
        port.to_string()
    }

    /// Waits until it ends by itself.
    pub(crate) fn finish(mut self) {
        let status = self.process.wait().expect("a child process can be waited for");
        assert!(status.success(), "the child process failed: {status}");
    }

    /// Waits until it has ended, in whatever way.
    pub(crate) fn wait(mut self) {
        self.process.wait().expect("a child process can be waited for");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only if it has ended, which is all that is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
