//! The echo server in Go, where there is a Go to build it with.

use std::env;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Deadlines, Work};

pub(crate) const NAME: &str = "go";

/// Beside this program, in Cargo's target directory.
fn program() -> PathBuf {
    let own = env::current_exe().expect("the path of this program");
    own.with_file_name("netpoll-echo-go")
}

/// Builds it, or says why not.
pub(crate) fn build() -> Result<(), String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/go/echo.go");
    let mut go = Command::new("go");
    // Without a module, and with nothing from the network.
    go.args(["build", "-o"]).arg(program()).arg(source).env("GO111MODULE", "off");
    match go.output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err("go is not installed".to_owned())
        }
        Err(error) => Err(format!("go: {error}")),
        Ok(built) if built.status.success() => Ok(()),
        Ok(built) => Err(format!("go build: {}", String::from_utf8_lossy(&built.stderr).trim())),
    }
}

/// The output of `go version`.
pub(crate) fn version() -> Option<String> {
    let output = Command::new("go").arg("version").output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Puts it in the place of this process; returns only if that fails.
pub(super) fn become_it(work: Work) -> io::Error {
    let mut program = Command::new(program());
    let deadlines = (work.deadlines == Deadlines::Each).to_string();
    program.args([deadlines, work.buffer.to_string()]);
    program.env("GOMAXPROCS", "1").exec()
}
