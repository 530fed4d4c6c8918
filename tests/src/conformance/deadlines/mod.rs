//! Deadlines: the times they may have, which operations they end and when, and the state they leave.

mod both;
mod expired;
mod many;
mod never_early;
mod order;
mod pending;
mod times;

use super::{Behaviour, Transport};

pub(super) fn all<T: Transport>() -> Vec<Behaviour> {
    [
        order::all::<T>(),
        times::all::<T>(),
        pending::all::<T>(),
        expired::all::<T>(),
        both::all::<T>(),
        never_early::all::<T>(),
        many::all::<T>(),
    ]
    .concat()
}
