//! Runs the real pipeline over captures instead of live ports.

pub mod capture;
