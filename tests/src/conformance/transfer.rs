use super::{Behaviour, Transport};

pub(super) fn all<T: Transport>() -> Vec<Behaviour> {
    Vec::new()
}
