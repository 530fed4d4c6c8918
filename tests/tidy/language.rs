//! The rule of language: a sentence names its actor. Words that name none stand neither in comments, documents and
//! messages nor in the names of functions. Names that said too little do not come back.

use std::fs;
use std::path::Path;

use netpoll_tests::watched;

use crate::{assert_none, root};

/// Pronouns without an actor.
const NO_ACTOR: [&str; 8] =
    ["who", "whoever", "whom", "whomever", "nobody", "somebody", "everybody", "anybody"];

/// Nouns for people. The check accepts the relative pronoun directly after one of them.
const PEOPLE: [&str; 6] = ["user", "users", "reader", "readers", "maintainer", "maintainers"];

/// Names that had a meaning for their author alone. Each stands for one that the code has today.
const NAMES: [&str; 27] = [
    "Asked",
    "Closer",
    "Crowd",
    "Duty",
    "InTurn",
    "Looked",
    "Manner",
    "Orders",
    "Owed",
    "Relay",
    "Turning",
    "ask_again",
    "crew",
    "has_lapsed",
    "kit",
    "lapse",
    "lapsed",
    "may_fall",
    "must_wait",
    "off_thread",
    "promise_look",
    "resign",
    "rises",
    "rouse",
    "told_by",
    "uncancelled",
    "unseat",
];

#[test]
fn language_names_its_actors() {
    watched(|| {
        let mut texts = Vec::new();
        for top in ["reactor", "adapters", "tests", ".github", "README.md", "CHANGELOG.md"] {
            collect(&root().join(top), &mut texts);
        }
        let mut offences = Vec::new();
        for file in texts {
            let text = fs::read_to_string(root().join(&file)).expect("a text in UTF-8");
            for (number, (prose, code)) in (1..).zip(lines(&text, file.ends_with(".rs"))) {
                for word in words_without_actor(&prose).into_iter().chain(banned_names(&code)) {
                    offences.push(format!("{file}:{number}: {word}"));
                }
            }
        }
        assert_none("words without an actor, or names that said too little", &offences);
    });
}

/// The files below a path that people read, from the workspace.
fn collect(path: &Path, texts: &mut Vec<String>) {
    if path.is_dir() {
        if path.ends_with("target") {
            return;
        }
        let mut entries: Vec<_> = fs::read_dir(path).expect("a folder").flatten().collect();
        entries.sort_by_key(fs::DirEntry::path);
        entries.iter().for_each(|entry| collect(&entry.path(), texts));
    } else if path
        .extension()
        .is_some_and(|end| ["rs", "md", "txt"].iter().any(|read| end == *read))
    {
        let path = path.strip_prefix(root()).expect("below").display().to_string();
        // This file has to write the words down.
        if path != "tests/tidy/language.rs" {
            texts.push(path);
        }
    }
}

/// The pronouns of a line, and each "what" that is a noun: not "what to do", and not in a question.
fn words_without_actor(prose: &str) -> Vec<String> {
    let lower = prose.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let stands = |at: usize, word: &str| match word {
        "who" => at == 0 || !PEOPLE.contains(&words[at - 1]),
        "what" => words.get(at + 1) != Some(&"to") && !lower.contains('?'),
        word => NO_ACTOR.contains(&word),
    };
    let found = words.iter().enumerate().filter(|(at, word)| stands(*at, word));
    found.map(|(_, word)| (*word).to_owned()).collect()
}

fn banned_names(code: &str) -> Vec<String> {
    let names = code.split(|c: char| !c.is_alphanumeric() && c != '_');
    names.filter(|name| NAMES.contains(name)).map(str::to_owned).collect()
}

/// Each line as its prose and its code: of Rust, prose is comments, strings and the names of functions.
/// What stands in backticks is no prose.
fn lines(text: &str, is_rust: bool) -> Vec<(String, String)> {
    if !is_rust {
        return text.lines().map(|line| (without_code(line), String::new())).collect();
    }
    let (mut lines, mut prose, mut code) = (Vec::new(), String::new(), String::new());
    let chars: Vec<char> = text.chars().collect();
    let ends_raw = |at: usize, hashes: usize| {
        chars[at] == '"' && (1..=hashes).all(|more| chars.get(at + more) == Some(&'#'))
    };
    let (mut at, mut inside) = (0, Inside::Code);
    while at < chars.len() {
        let (this, next) = (chars[at], chars.get(at + 1).copied().unwrap_or('\n'));
        at += 1;
        if this == '\n' {
            if inside == Inside::Comment {
                inside = Inside::Code;
            }
            for name in code.split("fn ").skip(1) {
                let name = name.split(['(', '<']).next().unwrap_or_default();
                prose.push(' ');
                prose.push_str(&name.replace('_', " "));
            }
            lines.push((without_code(&prose), std::mem::take(&mut code)));
            prose.clear();
            continue;
        }
        match inside {
            Inside::Comment => prose.push(this),
            Inside::Text if this == '\\' => at += usize::from(next != '\n'),
            Inside::Text if this == '"' => inside = Inside::Code,
            Inside::RawText(hashes) if ends_raw(at - 1, hashes) => inside = Inside::Code,
            Inside::Text | Inside::RawText(_) => prose.push(this),
            Inside::Code if this == '/' && next == '/' => inside = Inside::Comment,
            Inside::Code if this == '"' => {
                let before = code.trim_end_matches('#');
                let hashes = code.len() - before.len();
                inside = if before.ends_with('r') { Inside::RawText(hashes) } else { Inside::Text };
                prose.push(' ');
            }
            Inside::Code if this == '\'' && next == '\\' => {
                let end = chars[at + 2..].iter().position(|end| *end == '\'');
                at += 2 + end.map_or(0, |end| end + 1);
            }
            Inside::Code if this == '\'' && chars.get(at + 1) == Some(&'\'') => at += 2,
            Inside::Code => code.push(this),
        }
    }
    lines
}

/// Where a scan of Rust is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Code,
    Comment,
    Text,
    RawText(usize),
}

/// A text without names of code: those in backticks, and those that a message is formatted from.
fn without_code(text: &str) -> String {
    let plain: Vec<&str> = text.split('`').step_by(2).collect();
    let mut rest = plain.join(" ");
    while let Some(open) = rest.find('{') {
        let Some(len) = rest[open..].find('}') else { break };
        rest.replace_range(open..=open + len, " ");
    }
    rest
}

#[test]
fn language_is_understood() {
    let found = |text: &str| {
        let lines = lines(text, true);
        let words = lines.iter().flat_map(|(prose, _)| words_without_actor(prose));
        words.chain(lines.iter().flat_map(|(_, code)| banned_names(code))).collect::<Vec<_>>()
    };
    assert_eq!(found("// Who waits, reads.\n"), ["who"]);
    assert_eq!(found("let who = 1; // users who read\n"), [""; 0]);
    assert_eq!(found("fn nobody_waits() {\n"), ["nobody"]);
    assert_eq!(found("\"says what is so\"; '\"'; crew(what) // {what} `what`\n"), ["what", "crew"]);
    assert_eq!(found("/// It says what to do.\n/// What is it?\n"), [""; 0]);
    assert_eq!(found("r#\"a \" whom\n\"#; 'a'; \"\\\"what\" // \n"), ["whom", "what"]);
}
