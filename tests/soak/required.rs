//! What a walk must have met.

/// What, about what, and how often in a million steps at least: a tenth of what is usual. A soak that
/// does not meet the interesting states is none.
pub(crate) const REQUIRED: &[(&str, &str, u64)] = &[];
