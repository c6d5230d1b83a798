//! Weir's test harness.
