//! Where a test runs, and raw clients.

use std::error::Error;
use std::future::Future;
use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use netpoll_tests::watched;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

/// The error of a test where it expects none.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// A deadline that passes during a test.
pub(crate) const SHORT: Duration = Duration::from_millis(50);

/// Runs a test in a runtime with one thread, and in one with two.
pub(crate) fn on_tokio<F>(test: impl Fn() -> F + Send + 'static)
where
    F: Future<Output = Outcome>,
{
    watched(move || {
        for (name, runtime) in [("current_thread", one_thread()), ("multi_thread", two_threads())] {
            runtime.block_on(test()).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        }
    });
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn two_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// Sends a text and returns all that comes back, to the end of the connection.
pub(crate) async fn converse(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    text: &str,
) -> io::Result<String> {
    stream.write_all(text.as_bytes()).await?;
    read_to_end(stream).await
}

/// All that comes, to the end of the connection, which a reset is too.
pub(crate) async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all).await {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
        _ => Ok(String::from_utf8_lossy(&all).into_owned()),
    }
}

/// A request after which the server closes the connection.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")
}

/// A request with a body of five bytes, or the beginning of one, after which the server closes the connection.
pub(crate) fn upload(path: &str, body: &str) -> String {
    let head = "HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-length: 5";
    format!("POST {path} {head}\r\n\r\n{body}")
}

/// The output of curl, or `None` if it is not installed.
pub(crate) fn curl(arguments: &[&str]) -> io::Result<Option<String>> {
    let run = Command::new("curl").args(["-sS", "--max-time", "50"]).args(arguments).output();
    match run {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            println!("skipped: curl is not installed");
            Ok(None)
        }
        run => {
            let run = run?;
            assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
            Ok(Some(String::from_utf8_lossy(&run.stdout).into_owned()))
        }
    }
}

/// Checks that a wait was not too short.
#[track_caller]
pub(crate) fn assert_not_early(began: Instant) {
    assert!(began.elapsed() >= SHORT, "early: {:?}", began.elapsed());
}
