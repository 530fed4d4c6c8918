//! The words of the command line: what to run, its operands, flags, and options with a number.

use std::env;

/// The words after the program's name.
pub(crate) struct Args(Vec<String>);

impl Args {
    pub(crate) fn of_this_process() -> Self {
        Self(env::args().skip(1).collect())
    }

    /// What to run: the first word.
    pub(crate) fn what(&self) -> Option<&str> {
        self.0.first().map(String::as_str)
    }

    /// The word that follows what to run.
    pub(crate) fn operand(&self) -> &str {
        self.0.get(1).expect("an operand is missing, see --help")
    }

    pub(crate) fn port(&self) -> u16 {
        self.operand().parse().expect("the operand is a port")
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0.iter().any(|word| word == name)
    }

    /// The word that follows `name`.
    pub(crate) fn word(&self, name: &str) -> Option<&str> {
        let place = self.0.iter().position(|word| word == name)?;
        Some(self.0.get(place + 1).unwrap_or_else(|| panic!("{name} takes a word")))
    }

    /// The number that follows `name`, or the one that is usual.
    pub(crate) fn number(&self, name: &str, usual: usize) -> usize {
        let number = |word: &str| word.parse().unwrap_or_else(|_| panic!("{name} takes a number"));
        self.word(name).map_or(usual, number)
    }
}
