//! A gateway's life: launch, publish, reload, stop.

pub mod ports;
mod restart;
