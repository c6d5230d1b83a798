//! What an operator has to know.

use super::action::At;
use std::fmt;
use std::net::IpAddr;
use weir_dataplane::wire::MacAddr;

/// Something is wrong on a network, and no machine can put it right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// Somebody else claims an address of ours (RFC 5227 2.4).
    Conflict {
        /// Our interface and address.
        at: At,
        /// Who claims it.
        mac: MacAddr,
    },
    /// Two stations claim one address, or one address moves to and fro.
    Rivals {
        /// The neighbour.
        at: At,
        /// Who has it, and who last claimed it.
        macs: [MacAddr; 2],
    },
    /// A neighbour asks again and again for an address of ours, though it is answered: it does not believe that a
    /// group's MAC address can be a host's (RFC 1812 3.3.2).
    RefusesGroupMac {
        /// The neighbour.
        at: At,
        /// For what it asks.
        address: IpAddr,
        /// What it is answered.
        mac: MacAddr,
    },
    /// There is no room for another neighbour.
    TableFull {
        /// So many there are already.
        limit: usize,
    },
}

impl Alarm {
    /// The names of the kinds, in metrics and documents.
    pub const KINDS: [&'static str; 4] = ["conflict", "rivals", "refuses_group_mac", "table_full"];

    /// Of which kind it is.
    pub const fn kind(&self) -> &'static str {
        Self::KINDS[match self {
            Self::Conflict { .. } => 0,
            Self::Rivals { .. } => 1,
            Self::RefusesGroupMac { .. } => 2,
            Self::TableFull { .. } => 3,
        }]
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict { at, mac } => write!(
                f,
                "{mac} claims {}, which is this gateway's: give one of the two another address",
                at.address
            ),
            Self::Rivals { at, macs: [one, other] } => write!(
                f,
                "{} is claimed by {one} and by {other}: two hosts have one address, or a loop or a spoofer is \
                 on the network",
                at.address
            ),
            Self::RefusesGroupMac { at, address, mac } => write!(
                f,
                "{} asks again and again for {address} and does not accept {mac}, which is a group's MAC address: \
                 give it a static entry for {address}, or give the cluster a shared unicast MAC address",
                at.address
            ),
            Self::TableFull { limit } => write!(
                f,
                "there is no room for another neighbour beside {limit}: find who scans the networks, or has more \
                 hosts ask for the gateway than it is made for (`weir neighbours`)"
            ),
        }
    }
}

/// After an alarm the same one is silent for this long.
pub const SILENCE_MS: u64 = 600_000;

/// Counts what happens within a time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    since_ms: u64,
    count: u32,
    silent_until_ms: u64,
}

impl Window {
    /// It has happened again; true when that is `often` times in `span_ms`, once in a long while.
    pub(super) const fn happened(&mut self, often: u32, span_ms: u64, now_ms: u64) -> bool {
        if self.count == 0 || now_ms >= self.since_ms + span_ms {
            self.since_ms = now_ms;
            self.count = 0;
        }
        self.count += 1;
        let alarm = self.count >= often && now_ms >= self.silent_until_ms;
        if alarm {
            self.count = 0;
            self.silent_until_ms = now_ms + SILENCE_MS;
        }
        alarm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn often_within_a_time_is_told_once() {
        let mut window = Window::default();
        let told: Vec<u64> =
            (0..700).map(|s| s * 1_000).filter(|now_ms| window.happened(5, 20_000, *now_ms)).collect();
        assert_eq!(told, [4_000, 604_000]);
    }

    #[test]
    fn now_and_then_is_not_told() {
        let mut window = Window::default();
        assert!((0..100).all(|i| !window.happened(5, 20_000, i * 5_000)));
    }
}
