//! Rules of the house that no compiler holds: what may import what, how long things may be, and what must not
//! stand in the packet path.
//!
//! [`source`] reads Rust well enough for that: it knows comments, literals, test modules, functions and paths,
//! not types. [`rules`] are functions from sources to offences; `tests/tidy.rs` says where each applies.

pub mod rules;
pub mod source;
