//! The programs of a test, and until when they run.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{env, fs, process, thread};

/// The programs of a test, and the directory they may write to. Both go with it.
#[derive(Debug)]
pub struct Cast {
    /// Theirs to write to.
    pub folder: PathBuf,
    children: Mutex<Vec<(u32, Child)>>,
}

impl Cast {
    /// A cast without members.
    ///
    /// # Panics
    ///
    /// If it gets no directory.
    #[must_use]
    pub fn new() -> Arc<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("netpoll-programs-{}-{}", process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let folder = env::temp_dir().join(name);
        fs::create_dir(&folder).expect("a directory of its own");
        Arc::new(Self { folder, children: Mutex::default() })
    }

    /// Starts a server, and returns when it says on stdout or stderr, by a line that contains
    /// `ready`, that it listens. `None` if it ends instead: because its port is taken, most likely.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn start(&self, command: &mut Command, ready: &str) -> Option<u32> {
        let (output, writer) = std::io::pipe().expect("a pipe");
        let errors = writer.try_clone().expect("a pipe");
        let child = command
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let id = self.take_on(child);
        // Or this process would keep the pipe open.
        *command = Command::new("true");
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let is_ready = lines.by_ref().any(|line| {
            said.push(line);
            said.last().is_some_and(|line| line.contains(ready))
        });
        if !is_ready {
            println!("it did not start:\n{}", said.join("\n"));
            self.end(id);
            return None;
        }
        // The rest of its output is of no interest, but must go somewhere.
        thread::spawn(move || lines.for_each(drop));
        Some(id)
    }

    /// Runs a program to its end, and returns its standard output. Its standard error is
    /// inherited.
    ///
    /// # Panics
    ///
    /// If it cannot be started, or another process ends it.
    pub fn run(&self, command: &mut Command) -> (ExitStatus, String) {
        let mut child = command
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut stdout = child.stdout.take().expect("it is piped");
        let id = self.take_on(child);
        let mut said = String::new();
        stdout.read_to_string(&mut said).expect("text");
        let mut child = self.dismiss(id).expect("only the test ends it");
        (child.wait().expect("it can be waited for"), said)
    }

    /// Kills a program and waits until it is gone.
    ///
    /// # Panics
    ///
    /// If it cannot be waited for.
    pub fn end(&self, id: u32) {
        if let Some(mut child) = self.dismiss(id) {
            // It fails if the program has ended by itself.
            let _ = child.kill();
            child.wait().expect("it can be waited for");
        }
    }

    /// Ends all that run.
    pub fn end_all(&self) {
        let ids: Vec<u32> = self.children().iter().map(|(id, _)| *id).collect();
        ids.into_iter().for_each(|id| self.end(id));
    }

    fn take_on(&self, child: Child) -> u32 {
        let id = child.id();
        self.children().push((id, child));
        id
    }

    fn dismiss(&self, id: u32) -> Option<Child> {
        let mut children = self.children();
        let place = children.iter().position(|(of, _)| *of == id)?;
        Some(children.swap_remove(place).1)
    }

    fn children(&self) -> MutexGuard<'_, Vec<(u32, Child)>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Cast {
    fn drop(&mut self) {
        self.end_all();
        remove(&self.folder);
    }
}

fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder) {
        println!("{}: {error}", folder.display());
    }
}
