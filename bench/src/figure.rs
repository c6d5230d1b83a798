//! What was measured: figures with all their samples, and why a part could not run.

use serde::Serialize;

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Nanoseconds a packet, look-up or flow.
    Ns,
    /// Microseconds.
    Us,
    /// Millions of packets a second.
    Mpps,
    /// Bytes a flow.
    Bytes,
    /// A share of one.
    Share,
}

impl Unit {
    /// As it is written behind a number.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ns => "ns",
            Self::Us => "µs",
            Self::Mpps => "Mpps",
            Self::Bytes => "bytes",
            Self::Share => "",
        }
    }
}

/// One thing that was measured several times.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Its stable name in `summary.json`.
    pub key: String,
    /// What it is, for people.
    pub title: String,
    /// What its samples count.
    pub unit: Unit,
    /// One a round, in their order; never empty.
    pub samples: Vec<f64>,
}

impl Figure {
    /// A figure.
    ///
    /// # Panics
    ///
    /// Without a sample.
    pub fn new(key: impl Into<String>, title: impl Into<String>, unit: Unit, samples: Vec<f64>) -> Self {
        let key = key.into();
        assert!(!samples.is_empty(), "{key} was measured");
        Self { key, title: title.into(), unit, samples }
    }

    /// The middle sample; of an even number the lower of the two.
    pub fn median(&self) -> f64 {
        let sorted = self.sorted();
        sorted[(sorted.len() - 1) / 2]
    }

    /// The lowest sample.
    pub fn min(&self) -> f64 {
        self.sorted()[0]
    }

    /// The highest sample.
    pub fn max(&self) -> f64 {
        self.sorted()[self.samples.len() - 1]
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// Why a part could not run, in a sentence.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// What a part measured.
pub type Outcome = Result<Vec<Figure>, Unavailable>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_a_sample() {
        let figure = |samples: &[f64]| Figure::new("k", "t", Unit::Ns, samples.to_vec());
        assert_eq!(figure(&[3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(figure(&[4.0, 1.0, 3.0, 2.0]).median(), 2.0);
        assert_eq!((figure(&[3.0, 1.0]).min(), figure(&[3.0, 1.0]).max()), (1.0, 3.0));
    }
}
