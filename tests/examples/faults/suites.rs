//! The suites, and the first test of each that fails.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub(crate) struct Suite {
    name: &'static str,
    arguments: &'static [&'static str],
    loom: bool,
}

/// The quickest first.
pub(crate) const SUITES: &[Suite] = &[
    suite("conformance", &["-p", "netpoll-tests", "--test", "conformance", "--", "tcp_v4"]),
    suite("tcp", &["-p", "netpoll-tests", "--test", "tcp"]),
    suite("driver", &["-p", "netpoll-tests", "--test", "driver"]),
    suite("security", &["-p", "netpoll-tests", "--test", "security"]),
    suite("regressions", &["-p", "netpoll-tests", "--test", "regressions"]),
    suite("hostile", &["-p", "netpoll-tests", "--test", "hostile"]),
    suite("unit", &["-p", "netpoll", "-p", "netpoll-futures", "--lib"]),
    Suite {
        name: "loom",
        arguments: &["--release", "-p", "netpoll-tests", "--test", "loom"],
        loom: true,
    },
];

const fn suite(name: &'static str, arguments: &'static [&'static str]) -> Suite {
    Suite { name, arguments, loom: false }
}

pub(crate) enum Verdict {
    Noticed { suite: &'static str, test: String },
    Unnoticed,
}

impl Suite {
    /// Runs it until a test fails.
    pub(crate) fn run(&self, workspace: &Path, target: &Path) -> io::Result<Verdict> {
        self.build(workspace, target)?;
        let mut running = self.command(workspace, target, &[]).process_group(0).spawn()?;
        let lines = BufReader::new(running.stdout.take().expect("it is piped")).lines();
        let test = lines.map_while(Result::ok).find_map(|line| failed_test(&line));
        if test.is_some() {
            kill_group(&running)?;
        }
        let passed = running.wait()?.success();
        Ok(match test {
            Some(test) => Verdict::Noticed { suite: self.name, test },
            None if passed => Verdict::Unnoticed,
            None => Verdict::Noticed { suite: self.name, test: "(the process died)".into() },
        })
    }

    /// A fault that does not compile is none.
    fn build(&self, workspace: &Path, target: &Path) -> io::Result<()> {
        let mut command = self.command(workspace, target, &["--no-run"]);
        let mut building = command.stderr(Stdio::piped()).spawn()?;
        let mut said = String::new();
        building.stderr.take().expect("it is piped").read_to_string(&mut said)?;
        if building.wait()?.success() { Ok(()) } else { Err(io::Error::other(said)) }
    }

    fn command(&self, workspace: &Path, target: &Path, more: &[&str]) -> Command {
        let mut command = Command::new("cargo");
        command.arg("test").args(more).args(self.arguments).current_dir(workspace);
        command.stdout(Stdio::piped()).stderr(Stdio::null()).stdin(Stdio::null());
        // What hangs is to be noticed soon; nothing takes a tenth of this.
        command.env("NETPOLL_TEST_PATIENCE", "15");
        let flags = if self.loom { "--cfg netpoll_loom" } else { "" };
        let target = if self.loom { target.join("loom") } else { target.to_owned() };
        command.env("RUSTFLAGS", flags).env("CARGO_TARGET_DIR", target);
        command
    }
}

/// The name in a line that says that a test failed.
fn failed_test(line: &str) -> Option<String> {
    let (test, _) = line.strip_prefix("test ")?.split_once(" ... FAILED")?;
    Some(test.trim_end().to_owned())
}

/// Ends cargo, and the tests that it has started.
fn kill_group(running: &Child) -> io::Result<()> {
    let group = format!("-{}", running.id());
    Command::new("kill").args(["-9", "--", &group]).status().map(drop)
}
