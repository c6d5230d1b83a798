//! Weir's control plane.

pub mod config;
