//! A copy of the workspace to put faults into.

use std::path::{Path, PathBuf};
use std::{fs, io};

use netpoll_tests::faults::Fault;

pub(crate) struct Copy {
    root: PathBuf,
    target: PathBuf,
}

const PARTS: [&str; 7] =
    ["Cargo.toml", "Cargo.lock", "README.md", "CHANGELOG.md", "reactor", "adapters", "tests"];

impl Copy {
    pub(crate) fn of(workspace: &Path) -> io::Result<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR");
        let target = target.map_or_else(|| workspace.join("target"), PathBuf::from).join("faults");
        let root = target.join("workspace");
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        fs::create_dir_all(&root)?;
        for part in PARTS {
            copy(&workspace.join(part), &root.join(part))?;
        }
        Ok(Self { root, target })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// What comes of it while the fault is there.
    pub(crate) fn with<R>(
        &self,
        fault: &Fault,
        judge: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        let path = self.root.join(fault.file);
        let source = fs::read_to_string(&path)?;
        if source.matches(fault.right).count() != 1 {
            let message = format!("{}: it is not once in {}", fault.what, fault.file);
            return Err(io::Error::other(message));
        }
        fs::write(&path, source.replace(fault.right, fault.wrong))?;
        let judged = judge();
        fs::write(&path, source)?;
        judged
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        copy(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}
