//! A web server under the load of `wrk`.

use std::process::Command;

use super::Cast;

/// Has `wrk` fetch a page for a second, over twenty connections at once.
///
/// # Panics
///
/// If it gets no answers, or any but good ones.
pub fn wrk(cast: &Cast, url: &str) {
    let mut command = Command::new("wrk");
    // An answer may take its time where the machine is busy; that is no error of the socket.
    command.args(["-t2", "-d1s", "-c20", "--timeout", "30s", url]);
    let (status, said) = cast.run(&mut command);
    assert!(status.success() && is_content(&said), "{status}: {said}");
    println!("{said}");
}

/// Whether `wrk` was answered, and had nothing to object to.
fn is_content(said: &str) -> bool {
    let requests = said.lines().find_map(|line| line.split_once(" requests in "));
    let requests = requests.and_then(|(count, _)| count.trim().parse::<u64>().ok());
    let troubled = ["Socket errors", "Non-2xx"].iter().any(|trouble| said.contains(trouble));
    !troubled && requests.is_some_and(|requests| requests > 0)
}

#[cfg(test)]
mod tests {
    use super::is_content;

    const GOOD: &str = "  2 threads and 20 connections\n  9 requests in 1.00s, 1.00KB read\n";

    #[test]
    fn an_error_that_wrk_reports_is_noticed() {
        assert!(is_content(GOOD));
        let errors = "  Socket errors: connect 0, read 1, write 0, timeout 0\n";
        assert!(!is_content(&format!("{GOOD}{errors}")));
        assert!(!is_content(&format!("{GOOD}  Non-2xx or 3xx responses: 9\n")));
        assert!(!is_content(&GOOD.replace("9 requests", "0 requests")));
        assert!(!is_content("unable to connect"));
    }
}
