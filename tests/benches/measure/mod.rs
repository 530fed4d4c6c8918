//! How things are measured: processes, the kernel's accounts of them, numbers.

pub(crate) mod child;
pub(crate) mod epoll;
pub(crate) mod procfs;
pub(crate) mod stats;
pub(crate) mod sys;
pub(crate) mod table;
