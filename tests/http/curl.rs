//! A client that is not ours.

use std::io::Write;
use std::process::{Command, Stdio};

use netpoll_hyper::Deadlines;

use crate::fixtures::{Outcome, run};
use crate::site::{MIB, Site, pattern};

/// The output of `curl`, on a thread that may block. It is given `input` to send.
async fn curl(arguments: Vec<String>, input: Vec<u8>) -> Outcome<Vec<u8>> {
    smol::unblock(move || {
        let mut curl = Command::new("curl");
        let curl = curl.args(["--silent", "--show-error", "--fail", "--max-time", "50"]);
        let mut curl = curl
            .args(&arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let mut stdin = curl.stdin.take().expect("it is piped");
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = curl.wait_with_output()?;
        writer.join().expect("it does not panic")?;
        assert!(output.status.success(), "curl {arguments:?}: {}", output.status);
        Ok(output.stdout)
    })
    .await
}

/// Whether there is one that speaks HTTP/2; `None` if there is none at all.
fn speaks_http2() -> Option<bool> {
    let version = Command::new("curl").arg("--version").output().ok()?;
    Some(String::from_utf8_lossy(&version.stdout).contains("HTTP2"))
}

#[test]
fn curl_fetches_and_posts() {
    let Some(http2) = speaks_http2() else {
        println!("skipped: curl is not installed");
        return;
    };
    if !http2 {
        println!("skipped in part: this curl does not speak HTTP/2");
    }
    run(move |executor| async move {
        let site = Site::open(&executor, Deadlines::default()).await?;
        let url = |path: &str| format!("http://{}{path}", site.address);
        let all = pattern(3 * MIB).to_vec();
        let versions: &[&str] =
            if http2 { &["--http1.1", "--http2-prior-knowledge"] } else { &["--http1.1"] };
        for version in versions {
            let curl = |arguments: &[&str], input: &[u8]| {
                let arguments = [&[*version], arguments].concat();
                curl(arguments.into_iter().map(Into::into).collect(), input.to_vec())
            };
            assert_eq!(curl(&[&url("/hello")], b"").await?, b"hello");
            // Two on one connection. (With HTTP/2 and prior knowledge, curl 7.88 fails at its second
            // request, whichever server answers.)
            if *version == "--http1.1" {
                let twice = curl(&[&url("/hello"), &url("/full/5")], b"").await?;
                assert_eq!(twice, b"hello\x00\x01\x02\x03\x04");
            }
            assert!(curl(&[&url(&format!("/pieces/{}", all.len()))], b"").await? == all);
            let posted = curl(&["--data-binary", "@-", &url("/echo")], &all).await?;
            assert!(posted == all, "{version}: the same comes back");
        }
        Ok(())
    });
}
