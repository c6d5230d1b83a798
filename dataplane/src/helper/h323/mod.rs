//! H.323.

pub mod h245;
pub mod q931;
pub mod ras;
