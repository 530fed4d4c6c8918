//! The crates that a program with netpoll-quinn consists of.

use std::process::Command;

use netpoll_tests::watched;

/// quinn takes its channels from `tokio::sync`. No other part of tokio is compiled, and no reactor but ours.
#[test]
fn of_tokio_there_are_the_channels_alone() {
    watched(|| {
        let Some(cargo) = std::env::var_os("CARGO") else {
            return println!("not run: this program was not started by cargo");
        };
        let mut tree = Command::new(cargo);
        tree.args(["tree", "--offline", "--locked", "--package", "netpoll-quinn"]);
        tree.args(["--edges", "normal", "--prefix", "none", "--format", "{p} {f}"]);
        let output = tree.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo");
        let tree = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // Each line has a name, a version, perhaps a source, and the features: "tokio v1.43.0 default,sync".
        let lines: Vec<Vec<&str>> = tree.lines().map(|line| line.split(' ').collect()).collect();
        assert!(lines.iter().any(|words| words[0] == "quinn"), "{tree}");
        for words in lines {
            match words[0] {
                "tokio" => assert!(
                    words[2].split(',').all(|feature| ["default", "sync"].contains(&feature)),
                    "{words:?}"
                ),
                "mio" | "async-io" | "polling" | "smol" | "async-std" => panic!("{words:?}"),
                _ => {}
            }
        }
    });
}
