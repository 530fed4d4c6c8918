use super::{Behaviour, Listening};

pub(super) fn all<T: Listening>() -> Vec<Behaviour> {
    Vec::new()
}
