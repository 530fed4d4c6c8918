//! Measurements of one thing each, with an output of their own.

pub(crate) mod clients;
pub(crate) mod deadline_cost;
pub(crate) mod expiry;
pub(crate) mod idle;
pub(crate) mod instructions;
pub(crate) mod memory;
pub(crate) mod overshoot;
pub(crate) mod ping_pong;
pub(crate) mod scale;
pub(crate) mod sharing;
pub(crate) mod timers;
