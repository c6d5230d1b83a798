//! DPDK behind owning types: EAL, mempool, mbuf, device, port, queues, clock; and huge pages for what is not DPDK's.
//!
//! Each type holds one of DPDK's rules, so that breaking it does not compile: everything is made from an
//! [`Eal`]; a pool outlives its frames; a device has one port, a queue one user at a time; a port is closed
//! when its last queue is gone. What is sent is given away, what is not sent comes back.
//!
//! ```no_run
//! use weir_dataplane::port::{Burst, RxQueue, TxQueue};
//! use weir_dpdk::{Eal, EalOptions, Mempool, MempoolOptions, Port, PortOptions};
//!
//! # fn main() -> Result<(), weir_dpdk::Error> {
//! let eal = Eal::init(&EalOptions::default())?;
//! let pool = Mempool::new(&eal, "frames", MempoolOptions::default())?;
//! let device = eal.probe("net_pcap0,rx_pcap=in.pcap,tx_pcap=out.pcap")?;
//! let (port, mut rx, mut tx) = Port::open("lan", device, &PortOptions::default(), &pool)?;
//! let mut burst = Burst::new();
//! while rx[0].receive(&mut burst) > 0 {
//!     tx[0].transmit(&mut burst);
//! }
//! println!("{:?}", port.stats()?);
//! # Ok(())
//! # }
//! ```
//!
//! This crate and `dpdk-sys` are where the gateway is `unsafe`; each block is one call or one access.

mod clock;
mod device;
mod eal;
mod error;
mod hash;
mod mbuf;
pub mod memory;
mod mempool;
mod port;
mod queue;
mod rss;
mod stats;
mod thread;

pub use clock::TscClock;
pub use device::Device;
pub use eal::{Eal, EalOptions, LogLevel, Memory};
pub use error::{Errno, Error};
pub use hash::{Hash, KEY_LEN};
pub use mbuf::Mbuf;
pub use mempool::{Mempool, MempoolOptions};
pub use port::{Filtering, MacAddress, Port, PortFacts, PortOptions, Reception};
pub use queue::{RxQueue, TxQueue};
pub use rss::{Rss, RssFields};
pub use stats::{Link, PortStats, Xstat};
pub use thread::Registration;
