//! Weir's packet path: parse, track, decide, rewrite, emit.
//!
//! Pure: no DPDK, no sockets, no clock, no threads, no serde. It takes frames and the time and returns outcomes,
//! so all of it is tested on any machine. `ARCHITECTURE.md` has the plan; imports point to lower levels only.

#![deny(unsafe_code)]

pub mod classify;
pub mod config;
pub mod counters;
mod errand;
pub mod fragment;
pub mod gate;
pub mod hash;
pub mod helper;
pub mod key;
pub mod lesson;
pub mod mailbox;
pub mod parse;
pub mod pipeline;
pub mod port;
pub mod prefetch;
pub mod punt;
pub mod rewrite;
pub mod sched;
pub mod snapshot;
pub mod spread;
pub mod steer;
pub mod subnet;
pub mod tally;
pub mod trace;
pub mod track;
pub mod units;
pub mod watch;
pub mod wire;
pub mod worker;
