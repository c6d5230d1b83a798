//! What the fuzz targets do with an input. `fuzz/` runs them under libFuzzer; ordinary tests run them over every
//! input that is kept there, and over inputs of their own.
//!
//! A target takes any bytes, reads from them what it does, and panics when a claim about the data plane is wrong.

mod fragments;
mod helper;
mod input;
mod pair;
mod parse;
mod pipeline;
pub mod seeds;
mod tcp;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is that of its folders in `fuzz/corpus` and `fuzz/artifacts`.
    pub name: &'static str,
    /// What it does with an input.
    pub run: fn(&[u8]),
}

/// Fragments of a few datagrams, in any order.
pub const FRAGMENTS: Target = Target { name: "fragments", run: fragments::run };
/// What a client and a server tell a helper.
pub const HELPER: Target = Target { name: "helper", run: helper::run };
/// One frame of any bytes.
pub const PARSE: Target = Target { name: "parse", run: parse::run };
/// Frames of any bytes, one after the other.
pub const PIPELINE: Target = Target { name: "pipeline", run: pipeline::run };
/// Segments of one TCP connection.
pub const TCP: Target = Target { name: "tcp", run: tcp::run };

/// All of them. The configuration's is not here: it belongs to the control plane.
pub const TARGETS: [Target; 5] = [FRAGMENTS, HELPER, PARSE, PIPELINE, TCP];
