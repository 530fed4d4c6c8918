//! The bugs of the peers.
