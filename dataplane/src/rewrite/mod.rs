//! What a router changes in a frame that leaves, in place: one file for each part of the frame.
//!
//! Promises: no bytes make it panic, nothing is allocated, checksums that were right stay right and those that were
//! wrong stay wrong, and what is refused is left as it came, so that an ICMP error can quote it.
//! It does not decide where a frame goes or whether it may: that is done.
//!
//! A caller begins with what can refuse ([`ttl`], [`options`], [`vlan`]) and writes the MACs last.

pub mod mac;
pub mod options;
pub mod ttl;
pub mod tunnel;
pub mod vlan;
