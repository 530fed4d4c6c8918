//! Medians, and how noisy they are.

/// Numbers, smallest first.
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    pub(crate) fn new(mut values: Vec<f64>) -> Self {
        assert!(!values.is_empty(), "nothing was measured");
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The value below which this share of all values lies, in between two of them if need be.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let place = share * (self.0.len() - 1) as f64;
        let (below, above) = (self.0[place.floor() as usize], self.0[place.ceil() as usize]);
        below + (above - below) * place.fract()
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    pub(crate) fn largest(&self) -> f64 {
        self.quantile(1.0)
    }

    /// The middle half, as `low to high`: how noisy the median is.
    pub(crate) fn middle_half(&self, decimals: usize) -> String {
        format!("{:.decimals$} to {:.decimals$}", self.quantile(0.25), self.quantile(0.75))
    }

    /// How many values lie from `low` up to, and not at, `high`.
    pub(crate) fn count_within(&self, low: f64, high: f64) -> usize {
        self.0.iter().filter(|value| (low..high).contains(value)).count()
    }
}
