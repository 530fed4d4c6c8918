//! The rules of this tree that no lint knows: layers, unsafe, clocks, dependencies.

mod language;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use netpoll_tests::watched;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust file under `folder`, as a path from the workspace.
fn rust_files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path.strip_prefix(root()).expect("below").display().to_string());
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no Rust files under {folder}");
    found
}

/// The lines of a file that are code: no comments, and nothing from its unit tests on.
fn code(path: &str) -> Vec<(usize, String)> {
    let text = read(path);
    let lines = text.lines().enumerate().take_while(|(_, line)| *line != "#[cfg(test)]");
    let code = lines.filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.map(|(number, line)| (number + 1, line.to_owned())).collect()
}

fn assert_none(rule: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{rule}:\n{}", offences.join("\n"));
}

/// Lines of code in `files` that contain one of `words`.
fn lines_with(files: &[String], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for (number, line) in code(file) {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{file}:{number}: {}", line.trim()));
            }
        }
    }
    found
}

#[test]
fn only_the_named_modules_are_unsafe() {
    watched(|| {
        let named = [
            "reactor/src/sys/",
            "adapters/futures/src/sys/",
            "reactor/src/arena.rs",
            // The handle keeps the arena, by an unsafe trait.
            "reactor/src/handle.rs",
            // async-io's functions for exclusive access are unsafe, and so is its trait `IoSafe`.
            "adapters/async-io/src/io_safe.rs",
            // tokio's buffers can be filled uninitialised in no other way.
            "adapters/tokio/src/read_buf.rs",
            // `FromRawFd::from_raw_fd` is unsafe, and `AsyncFd::register`.
            "adapters/tokio/src/raw_fd.rs",
            "adapters/hyper/src/read_buf.rs",
            // An example: the standard library has no resource limits.
            "adapters/futures/examples/tour/limits.rs",
        ];
        let files: Vec<String> = [rust_files("reactor"), rust_files("adapters")]
            .concat()
            .into_iter()
            .filter(|file| !named.iter().any(|name| file.starts_with(name)))
            .collect();
        let offences = lines_with(&files, &["unsafe ", "unsafe_code"]);
        assert_none("unsafe outside of the modules that this test names", &offences);
    });
}

#[test]
fn only_the_clock_reads_a_clock() {
    watched(|| {
        let mut files = rust_files("reactor/src");
        files.retain(|file| file != "reactor/src/time/clock.rs" && !file.ends_with("_tests.rs"));
        let offences = lines_with(&files, &["Instant::now", "SystemTime", ".elapsed()"]);
        assert_none("a clock is read outside of clock.rs", &offences);
    });
}

#[test]
fn slots_and_time_make_no_system_call_and_know_no_descriptor() {
    watched(|| {
        let files = [rust_files("reactor/src/slot"), rust_files("reactor/src/time")].concat();
        let offences = lines_with(&files, &["libc::", "crate::sys", "std::os::fd", "RawFd"]);
        assert_none("slot/ or time/ knows the system", &offences);
        let offences = lines_with(&rust_files("reactor/src/sys"), &["Waker", "crate::slot"]);
        assert_none("sys/ knows wakers or slots", &offences);
    });
}

/// Each module with those it may use. Lower ones come first.
const LAYERS: [(&str, &[&str]); 25] = [
    ("sync", &[]),
    ("error", &[]),
    ("ready", &[]),
    ("token", &[]),
    ("sys", &["ready", "sync"]),
    ("wake", &["sync"]),
    ("wall", &["sys"]),
    ("budget", &["ready"]),
    ("metrics", &["sync"]),
    ("parker", &["sync"]),
    ("lease", &["parker", "sync"]),
    ("time", &["sync"]),
    ("slot", &["ready", "sync", "time", "token", "wake", "wall"]),
    ("fd_mutex", &["slot", "sync", "wake"]),
    ("sleep", &["slot", "sync"]),
    ("arena", &["error", "slot", "sync", "token"]),
    (
        "reactor",
        &[
            "arena", "error", "lease", "metrics", "parker", "ready", "sleep", "slot", "sync",
            "sys", "time", "token", "wake",
        ],
    ),
    ("snapshot", &["reactor", "ready", "slot", "sys", "wall"]),
    ("driver", &["budget", "lease", "parker", "reactor", "sync"]),
    ("helper", &["error", "sys"]),
    ("thread", &["helper", "lease", "parker", "reactor", "sync", "sys"]),
    ("shards", &["error", "helper", "reactor", "sync", "thread", "time"]),
    (
        "handle",
        &[
            "arena", "budget", "driver", "helper", "metrics", "reactor", "shards", "snapshot",
            "sync", "thread", "time",
        ],
    ),
    (
        "registration",
        &[
            "arena", "budget", "error", "fd_mutex", "handle", "ready", "slot", "sys", "time",
            "token", "wake",
        ],
    ),
    ("timer", &["arena", "budget", "handle", "ready", "registration", "slot"]),
];

#[test]
fn dependencies_point_down() {
    watched(|| {
        let mut offences = Vec::new();
        let mut files = rust_files("reactor/src");
        files.retain(|file| !file.ends_with("_tests.rs"));
        for file in files {
            let module = file["reactor/src/".len()..].split(['/', '.']).next().expect("a name");
            if module == "lib" {
                continue;
            }
            let layer = LAYERS.iter().find(|(name, _)| *name == module);
            let (_, allowed) = layer.unwrap_or_else(|| panic!("{file} is in no layer"));
            for (number, line) in code(&file) {
                for used in line.split("crate::").skip(1) {
                    let used = used
                        .split(|c: char| !c.is_alphanumeric() && c != '_')
                        .next()
                        .expect("a name");
                    if used != module && !allowed.contains(&used) {
                        offences.push(format!("{file}:{number}: uses {used}"));
                    }
                }
            }
        }
        assert_none("a module uses one that is not below it", &offences);
    });
}

/// Documents for users and contributors.
const DOCUMENTS: [&str; 15] = [
    "README.md",
    ".github/CONTRIBUTING.md",
    ".github/SECURITY.md",
    "reactor/README.md",
    "reactor/ARCHITECTURE.md",
    "reactor/DEBUGGING.md",
    "reactor/RELIABILITY.md",
    "adapters/async-io/README.md",
    "adapters/async-net/README.md",
    "adapters/futures/EMBEDDING.md",
    "adapters/futures/README.md",
    "adapters/hyper/README.md",
    "adapters/quinn/README.md",
    "adapters/smol/README.md",
    "adapters/tokio/README.md",
];

#[test]
fn documents_name_only_files_that_exist() {
    watched(|| {
        let mut offences = Vec::new();
        for document in DOCUMENTS {
            let (text, folder) = (read(document), root().join(document));
            let folder = folder.parent().expect("the folder of a document");
            let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
            let links = links.filter(|link| !link.contains("://") && !link.contains("::"));
            let missing = links.filter(|link| !folder.join(link).exists());
            offences.extend(missing.map(|link| format!("{document}: {link}")));
            let words = text.split('`').skip(1).step_by(2);
            let paths = words.filter(|word| word.ends_with(".rs") && !word.contains(' '));
            let exists = |path: &str| {
                ["", "reactor/src"].iter().any(|base| root().join(base).join(path).exists())
            };
            let missing = paths.filter(|path| !exists(path));
            offences.extend(missing.map(|path| format!("{document}: {path}")));
        }
        assert_none("a document names a file that does not exist", &offences);
    });
}

/// A filter that names no module runs no test, and passes.
#[test]
fn miri_runs_modules_that_exist() {
    watched(|| {
        let nightly = read(".ci/nightly").replace("\\\n", " ");
        let mut filters = 0;
        for line in nightly.lines() {
            let Some((_, command)) = line.split_once("miri test -p netpoll") else { continue };
            let (package, words) = command.split_once(' ').expect("options follow the package");
            let folder = match package.strip_prefix('-') {
                Some(adapter) => format!("adapters/{adapter}/src"),
                None => "reactor/src".to_owned(),
            };
            let words = words.split(" --skip ").next().expect("a first part").split_whitespace();
            for module in words.filter_map(|word| word.strip_suffix("::")) {
                let files = [format!("{folder}/{module}.rs"), format!("{folder}/{module}/mod.rs")];
                assert!(
                    files.iter().any(|file| root().join(file).exists()),
                    "{folder}: no {module}"
                );
                filters += 1;
            }
        }
        assert!(filters > 2, "the commands are not found");
    });
}

#[test]
fn the_crates_depend_on_nothing_else() {
    watched(|| {
        let allowed = ["libc", "once_cell", "futures-core", "futures-util", "pin-project-lite"];
        let manifests: [(&str, &[&str]); 8] = [
            ("reactor/Cargo.toml", &[]),
            ("adapters/futures/Cargo.toml", &["netpoll", "signal-hook-registry", "tracing"]),
            ("adapters/async-io/Cargo.toml", &["netpoll", "netpoll-futures"]),
            ("adapters/async-net/Cargo.toml", &["netpoll", "netpoll-futures", "async-io"]),
            (
                "adapters/tokio/Cargo.toml",
                &[
                    "netpoll",
                    "netpoll-futures",
                    "tokio",
                    "bytes",
                    "axum",
                    "tonic",
                    "futures-sink",
                    "tokio-util",
                ],
            ),
            (
                "adapters/hyper/Cargo.toml",
                &["netpoll", "netpoll-futures", "hyper", "hyper-util", "tower-service"],
            ),
            ("adapters/quinn/Cargo.toml", &["netpoll", "quinn"]),
            (
                "adapters/smol/Cargo.toml",
                &[
                    "netpoll-futures",
                    "async-channel",
                    "async-executor",
                    "async-fs",
                    "async-lock",
                    "async-process",
                    "blocking",
                    "futures-lite",
                ],
            ),
        ];
        for (manifest, also) in manifests {
            let text = read(manifest);
            let sections: Vec<&str> = text.split("\n[").collect();
            let named: BTreeSet<&str> = sections
                .iter()
                .filter(|section| section.contains("dependencies]") && !section.starts_with("dev-"))
                .flat_map(|section| section.lines().skip(1))
                .filter_map(|line| line.split(['.', ' ', '=']).next())
                .filter(|name| !["", "#"].contains(name))
                .collect();
            assert!(named.len() > 1, "{manifest} was not understood: {named:?}");
            for name in named {
                let is_allowed = allowed.contains(&name) || also.contains(&name);
                assert!(is_allowed, "{manifest} needs {name}");
            }
        }
    });
}

#[test]
fn the_top_level_is_the_users() {
    watched(|| {
        let allowed = [
            "Cargo.toml",
            "Cargo.lock",
            "README.md",
            "CHANGELOG.md",
            "LICENSE-MIT",
            "LICENSE-APACHE",
            "rustfmt.toml",
            "adapters",
            "reactor",
            "tests",
            "target",
        ];
        for entry in fs::read_dir(root()).expect("the workspace") {
            let name = entry.expect("an entry").file_name();
            let name = name.to_string_lossy();
            assert!(name.starts_with('.') || allowed.contains(&name.as_ref()), "{name} at the top");
        }
    });
}

/// A behaviour that begins with a number shows that fact, and every fact is shown by something.
#[test]
fn every_fact_is_shown() {
    watched(|| {
        let facts = facts();
        let shown = numbers_of_behaviours();
        for number in &shown {
            assert!(facts.iter().any(|(fact, _)| fact == number), "{number} is no fact");
        }
        for (fact, elsewhere) in &facts {
            assert!(shown.contains(fact) || !elsewhere.is_empty(), "nothing shows {fact}");
            for path in elsewhere.split('`').filter(|word| word.ends_with(".rs")) {
                assert!(root().join(path).exists(), "{fact} is shown by {path}");
            }
        }
    });
}

/// The rows of the table: the number, as behaviours write it, and the other places that show the fact.
fn facts() -> Vec<(String, String)> {
    let text = read("tests/src/conformance/facts.md");
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    let facts = cells.filter(|cells| cells[1].len() > 1);
    let facts: Vec<_> = facts.map(|cells| (cells[1].to_lowercase(), cells[4].to_owned())).collect();
    assert!(facts.len() > 50, "the table was not understood");
    facts
}

fn numbers_of_behaviours() -> BTreeSet<String> {
    let mut numbers = BTreeSet::new();
    for file in rust_files("tests/src/conformance") {
        for (_, line) in code(&file) {
            let Some(name) = line.strip_prefix("async fn ") else { continue };
            let number = name.split('_').next().expect("a first word");
            if number.len() > 1 && number[1..].bytes().all(|byte| byte.is_ascii_digit()) {
                numbers.insert(number.to_owned());
            }
        }
    }
    assert!(numbers.contains("d11"), "the behaviours were not understood");
    numbers
}
