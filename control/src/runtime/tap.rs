//! Taps: one network interface of the kernel for each port that wants it, made and served by DPDK's net_tap.
//!
//! Control alone reads and feeds them, frame by frame; no worker knows of them. A tap has the MAC address and the MTU
//! of its port, and frames carry their VLAN tags as on the wire. So many packets a second reach the kernel by each, and
//! as many at once; what is above that, or finds no room, is counted.

use super::ports::{self, OpenPort, PortsError};
use crate::config::GatewayConfig;
use crate::network::rate::Rate;
use crate::observe::TapStatus;
use weir_dataplane::port::{Burst, Frame, RxQueue as _, TxQueue as _};
use weir_dataplane::units::PortId;
use weir_dpdk::{Eal, Mbuf, Mempool, Port, PortOptions, Reception, RxQueue, TxQueue};

/// Frames that a tap's queue holds. net_tap has that many buffers of the packet memory all the time.
pub(super) const DESCRIPTORS: u16 = 256;

/// A tap.
#[derive(Debug)]
struct Tap {
    port: PortId,
    rate: Rate,
    status: TapStatus,
    rx: RxQueue,
    tx: TxQueue,
    /// Last: the queues end first.
    _device: Port,
}

/// The taps of all ports that have one.
#[derive(Debug)]
pub(super) struct Taps {
    taps: Vec<Tap>,
    pool: Mempool,
}

impl Taps {
    /// Makes those that `config` asks for; the network interfaces are there then, and up.
    ///
    /// # Errors
    /// DPDK's: mostly that there is no /dev/net/tun, that the process may not, or that the name is taken.
    pub(super) fn open(
        eal: &Eal,
        pool: &Mempool,
        config: &GatewayConfig,
        open: &[OpenPort],
    ) -> Result<Self, PortsError> {
        let per_s = config.network().map_or(0, |network| network.kernel().packets_per_s);
        let wanted = config.port_ids().filter_map(|(id, port)| Some((id, port, port.tap()?)));
        let taps = wanted.map(|(id, port, name)| {
            let mac = open.iter().find(|open| open.id == id).map(|open| open.port.facts().mac);
            let mac = mac.map_or_else(String::new, |mac| format!(",mac={mac}"));
            let taken = ports::interface_exists(name);
            let device = eal.probe(&format!("net_tap{},iface={name}{mac}", id.index()));
            let device = device.map_err(|error| match taken {
                true => PortsError::TapTaken { port: port.name().to_owned(), tap: name.to_owned() },
                false => PortsError::Dpdk(error),
            })?;
            let options = PortOptions {
                rx_descriptors: DESCRIPTORS,
                tx_descriptors: DESCRIPTORS,
                mtu: Some(port.mtu()),
                reception: Reception::Addresses(Vec::new()),
                ..PortOptions::default()
            };
            let (opened, rx, tx) = Port::open(name, device, &options, pool)?;
            let status = TapStatus { name: name.to_owned(), ..TapStatus::default() };
            let queues = rx.into_iter().zip(tx).next();
            Ok(queues.map(|(rx, tx)| Tap {
                port: id,
                rate: Rate::new(per_s.into()),
                status,
                rx,
                tx,
                _device: opened,
            }))
        });
        let taps = taps.collect::<Result<Vec<Option<Tap>>, PortsError>>()?;
        Ok(Self { taps: taps.into_iter().flatten().collect(), pool: pool.clone() })
    }

    /// What the kernel has sent since it was last asked, a burst of each tap.
    pub(super) fn take(&mut self) -> Vec<(PortId, Vec<u8>)> {
        let mut frames = Vec::new();
        let mut burst = Burst::new();
        for tap in &mut self.taps {
            tap.rx.receive(&mut burst);
            frames.extend(
                burst
                    .drain(..)
                    .filter(|frame| frame.defect().is_none())
                    .map(|frame: Mbuf| (tap.port, frame.bytes().to_vec())),
            );
        }
        frames
    }

    /// Gives the kernel a packet, unless there are too many.
    pub(super) fn give(&mut self, port: PortId, frame: &[u8], now_ms: u64) {
        let Some(tap) = self.taps.iter_mut().find(|tap| tap.port == port) else { return };
        if tap.rate.take(now_ms) && tap.feed(&self.pool, frame) {
            tap.status.to_kernel += 1;
        } else {
            tap.status.limited += 1;
        }
    }

    /// Gives the kernel the answer to a question of its own: of those there are no more than it asked.
    pub(super) fn answer(&mut self, port: PortId, frame: &[u8]) {
        if let Some(tap) = self.taps.iter_mut().find(|tap| tap.port == port) {
            tap.feed(&self.pool, frame);
        }
    }

    /// Counts a frame of the kernel: whether it left.
    pub(super) fn count(&mut self, port: PortId, left: bool) {
        let Some(tap) = self.taps.iter_mut().find(|tap| tap.port == port) else { return };
        *(if left { &mut tap.status.from_kernel } else { &mut tap.status.refused }) += 1;
    }

    /// The tap of a port.
    pub(super) fn status(&self, port: PortId) -> Option<TapStatus> {
        self.taps.iter().find(|tap| tap.port == port).map(|tap| tap.status.clone())
    }
}

impl Tap {
    /// Whether it took the frame.
    fn feed(&mut self, pool: &Mempool, frame: &[u8]) -> bool {
        let mut burst = Burst::new();
        burst.extend(pool.frame(frame));
        self.tx.transmit(&mut burst) == 1
    }
}
