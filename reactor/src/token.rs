//! The user data of an epoll event: the index and the generation of a slot, never a pointer.
//!
//! Closing a descriptor does not end its registration while a duplicate is open: events go on,
//! with the old token, and cannot be stopped (`EPOLL_CTL_DEL` needs the old descriptor). With a
//! pointer that is a use after free; with an index and a generation the event is dropped
//! (golang/go#59545, tokio-rs/tokio#8540).

/// How many bits of a token are generation. The slot's state word has as many, and they are
/// compared at full width.
pub(crate) const GENERATION_BITS: u32 = 17;

/// Counts the tenants of one slot, modulo 2^[`GENERATION_BITS`].
///
/// An old event would have to wait in a buffer while its slot changes hands 131,072 times, and
/// would then be a spurious hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u32);

impl Generation {
    pub(crate) const MASK: u64 = (1 << GENERATION_BITS) - 1;

    pub(crate) fn from_bits(bits: u64) -> Self {
        Self((bits & Self::MASK) as u32)
    }

    pub(crate) fn bits(self) -> u64 {
        u64::from(self.0)
    }

    pub(crate) fn next(self) -> Self {
        Self::from_bits(self.bits() + 1)
    }
}

/// The 64 bits of user data in an epoll event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) index: u32,
    pub(crate) generation: Generation,
}

impl Token {
    /// The token of the reactor's own eventfd: no generation is this large, so no slot has it.
    pub(crate) const WAKE_UP: u64 = u64::MAX;
    /// The token of the timer of an embedded reactor.
    pub(crate) const ALARM: u64 = u64::MAX - 1;

    /// Whether an event is of the reactor's own descriptors.
    pub(crate) fn is_of_the_reactor(data: u64) -> bool {
        data >= Self::ALARM
    }

    pub(crate) fn encode(self) -> u64 {
        self.generation.bits() << 32 | u64::from(self.index)
    }

    pub(crate) fn decode(data: u64) -> Self {
        Self { index: data as u32, generation: Generation::from_bits(data >> 32) }
    }
}
