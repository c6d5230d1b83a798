//! How full a worker's flow table is, and what an operator is to think of it.

/// A table that is filled to this level needs attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// It will be full soon: time to raise `conntrack.flows_max`, or to look who opens so many flows.
    Warning,
    /// Flows that are closing end early; when it is full, flows that have not proven themselves do as well.
    Critical,
}

impl Pressure {
    /// Both, the lower first.
    pub const ALL: [Self; 2] = [Self::Warning, Self::Critical];

    /// Its name in metrics and in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// The used share from which on a table is at this level.
    pub const fn threshold(self) -> f64 {
        match self {
            Self::Warning => 0.80,
            Self::Critical => 0.95,
        }
    }

    /// The highest level that a table with this used share is at.
    pub fn of(used: f64) -> Option<Self> {
        Self::ALL.into_iter().rev().find(|level| used >= level.threshold())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_at_the_highest_level_that_it_reaches() {
        let levels = [0.0, 0.79, 0.80, 0.94, 0.95, 1.0].map(Pressure::of);
        let [warning, critical] = Pressure::ALL.map(Some);
        assert_eq!(levels, [None, None, warning, warning, critical, critical]);
    }
}
