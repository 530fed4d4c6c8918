//! A process for a test, and what lives in it.

use std::io;
use std::process::{Command, Output};
use std::sync::Arc;
use std::task::{Wake, Waker};

use netpoll_futures::{TcpListener, TcpStream};
use netpoll_tests::watched;

/// Some port of the loopback interface.
pub(crate) const LOOPBACK: &str = "127.0.0.1:0";

const ALONE: &str = "NETPOLL_TEST_ALONE";

/// Runs the test `name` in a process where no other test runs; what that says and how it ends is for
/// `judge`.
pub(crate) fn in_a_process(
    name: &'static str,
    body: impl FnOnce() + Send + 'static,
    judge: impl FnOnce(&Output) + Send + 'static,
) {
    if std::env::var_os(ALONE).is_some() {
        return watched(body);
    }
    watched(move || {
        let this = std::env::current_exe().expect("the path of this program");
        let args = ["--exact", name, "--nocapture", "--test-threads=1"];
        let run = Command::new(this).args(args).env(ALONE, "1").output().expect("a process");
        judge(&run);
    });
}

/// The same where the test is to pass.
pub(crate) fn alone(name: &'static str, body: impl FnOnce() + Send + 'static) {
    in_a_process(name, body, move |run| {
        let said = String::from_utf8_lossy(&run.stdout);
        let complained = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{name}, alone: {}\n{said}\n{complained}", run.status);
        assert!(said.contains("1 passed"), "no test is called {name}");
        let shown = said.split("shown: ").skip(1).filter_map(|line| line.lines().next());
        shown.for_each(|shown| println!("{name}: {shown}"));
    });
}

/// A connection: who connected, and who accepted.
pub(crate) async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(LOOPBACK).await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    let (server, _) = listener.accept().await?;
    Ok((client, server))
}

/// A waker that runs a function.
pub(crate) fn on_wake(act: impl Fn() + Send + Sync + 'static) -> Waker {
    struct Acting<F>(F);

    impl<F: Fn() + Send + Sync + 'static> Wake for Acting<F> {
        fn wake(self: Arc<Self>) {
            (self.0)();
        }
    }

    Waker::from(Arc::new(Acting(act)))
}
