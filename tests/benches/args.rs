//! The words of the command line: what to run, its operands, flags, and options with a number.

use std::env;

/// The word that Cargo adds when it runs a benchmark, and not when it runs a test.
const BENCH: &str = "--bench";

/// The words after the program's name.
pub(crate) struct Args {
    words: Vec<String>,
    is_bench: bool,
}

impl Args {
    pub(crate) fn of_this_process() -> Self {
        let mut words: Vec<String> = env::args().skip(1).collect();
        let all = words.len();
        words.retain(|word| word != BENCH);
        Self { is_bench: words.len() < all, words }
    }

    /// Whether this is to measure, and not to check itself.
    pub(crate) fn is_bench(&self) -> bool {
        self.is_bench
    }

    /// What to run: the first word, if it is no option.
    pub(crate) fn subcommand(&self) -> Option<&str> {
        self.words.first().map(String::as_str).filter(|word| !word.starts_with("--"))
    }

    /// The word that follows what to run.
    pub(crate) fn operand(&self) -> &str {
        self.words.get(1).expect("an operand is missing, see --help")
    }

    pub(crate) fn port(&self) -> u16 {
        self.operand().parse().expect("the operand is a port")
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.words.iter().any(|word| word == name)
    }

    /// The word that follows `name`.
    pub(crate) fn word(&self, name: &str) -> Option<&str> {
        let place = self.words.iter().position(|word| word == name)?;
        Some(self.words.get(place + 1).unwrap_or_else(|| panic!("{name} takes a word")))
    }

    /// The number that follows `name`, or the one that is usual.
    pub(crate) fn number(&self, name: &str, usual: usize) -> usize {
        let number = |word: &str| word.parse().unwrap_or_else(|_| panic!("{name} takes a number"));
        self.word(name).map_or(usual, number)
    }

    /// The words that follow `name`, with commas in between.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<String>> {
        Some(self.word(name)?.split(',').map(str::to_owned).collect())
    }
}
