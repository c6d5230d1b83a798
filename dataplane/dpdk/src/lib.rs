//! DPDK behind owning types.
