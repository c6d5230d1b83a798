//! Weir's test harness: what the tests of this package, the demo and the benchmarks share.
//!
//! It builds and keeps frames, plays conversations, and judges the data plane by naive models. Nothing of the
//! gateway depends on it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a harness stops at the first surprise, and writes numbers into the fields of small frames"
)]

pub mod capture;
pub mod conversation;
pub mod packet;
pub mod rng;
pub mod scenario;
pub mod tidy;
