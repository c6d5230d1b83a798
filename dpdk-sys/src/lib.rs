//! Raw bindings to the part of DPDK that Weir uses, and nothing else: generated declarations and a C shim.
//!
//! `build.rs` lists by exact name what is bound. There is no logic here and no safe wrapper; those are in
//! `weir-dpdk`. The shim has the static inline functions that are called once a burst (names from `weir_`);
//! what is needed of each frame are fields of [`rte_mbuf`], which Rust reads itself. `tests/layout.rs` compares
//! those fields with what the C compiler makes of them.

#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals)]
#![allow(clippy::all, reason = "generated code")]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
