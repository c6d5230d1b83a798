//! Which server each client went to last, for services whose clients stay with a server.
//!
//! All memory is taken when the table is made. Where it is full, the client that has been away longest of the few that
//! share a place is forgotten.

use crate::config::service::Persistence;
use crate::hash::ipvs::fold;
use crate::hash::siphash;
use crate::units::{ServerId, Tick};
use core::net::IpAddr;

/// Clients that share a place.
const CLIENTS_A_PLACE: usize = 4;
/// Any.
const KEY: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f];

#[derive(Clone, Copy, Debug)]
struct Client {
    network: IpAddr,
    server: ServerId,
    until: Tick,
}

/// The clients of one service at one worker.
#[derive(Debug)]
pub struct Clients {
    persistence: Persistence,
    slots: Vec<Option<Client>>,
}

impl Clients {
    /// None yet.
    pub fn new(persistence: Persistence) -> Self {
        Self { persistence, slots: vec![None; slots(persistence)] }
    }

    /// Bytes that one takes.
    pub const fn bytes(persistence: Persistence) -> u64 {
        (slots(persistence) * size_of::<Option<Client>>()) as u64
    }

    /// The server that the client went to last, if that is not too long ago.
    #[inline]
    pub fn server_of(&self, client: IpAddr, now: Tick) -> Option<ServerId> {
        let network = self.network(client);
        let place = &self.slots[self.place(network)..][..CLIENTS_A_PLACE];
        let known = place.iter().flatten().find(|known| known.network == network)?;
        (!now.reached(known.until)).then_some(known.server)
    }

    /// The client goes to this server now.
    #[inline]
    pub fn remember(&mut self, client: IpAddr, server: ServerId, now: Tick) {
        let network = self.network(client);
        let until = now.after(self.persistence.timeout);
        let place = self.place(network);
        let slots = &mut self.slots[place..][..CLIENTS_A_PLACE];
        let left = |slot: &Option<Client>| match slot {
            Some(known) if known.network == network => None,
            Some(known) if now.reached(known.until) => Some(0),
            Some(known) => Some(now.until(known.until).count()),
            None => Some(0),
        };
        if let Some(slot) = slots.iter_mut().min_by_key(|slot| left(slot)) {
            *slot = Some(Client { network, server, until });
        }
    }

    /// How many clients there is room for: what [`Clients::view`] counts to.
    pub const fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// The server of the client in this place, if one is remembered there.
    pub fn view(&self, place: u32, now: Tick) -> Option<ServerId> {
        let client = self.slots.get(place as usize)?.as_ref()?;
        (!now.reached(client.until)).then_some(client.server)
    }

    /// Where the slots of its place begin.
    fn place(&self, network: IpAddr) -> usize {
        let places = self.slots.len() / CLIENTS_A_PLACE;
        siphash::word(fold(network), KEY) as usize % places * CLIENTS_A_PLACE
    }

    fn network(&self, client: IpAddr) -> IpAddr {
        match client {
            IpAddr::V4(client) => {
                let rest = u32::MAX.checked_shr(self.persistence.ipv4_prefix_len.into()).unwrap_or(0);
                IpAddr::V4((client.to_bits() & !rest).into())
            }
            IpAddr::V6(client) => {
                let rest = u128::MAX.checked_shr(self.persistence.ipv6_prefix_len.into()).unwrap_or(0);
                IpAddr::V6((client.to_bits() & !rest).into())
            }
        }
    }
}

/// As many as are wanted, in whole places.
const fn slots(persistence: Persistence) -> usize {
    let wanted = if persistence.clients_max == 0 { 1 } else { persistence.clients_max };
    (wanted as usize).next_multiple_of(CLIENTS_A_PLACE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Span;

    const CLIENTS_MAX: u32 = 1022;

    fn clients() -> Clients {
        Clients::new(Persistence {
            timeout: Span::from_s(300).unwrap(),
            ipv4_prefix_len: 24,
            ipv6_prefix_len: 64,
            clients_max: CLIENTS_MAX,
        })
    }

    fn server(index: usize) -> ServerId {
        ServerId::new(index).unwrap()
    }

    #[test]
    fn a_network_stays_with_its_server_for_a_while() {
        let mut clients = clients();
        let start = Tick::from_ms(1000);
        let client = |text: &str| text.parse::<IpAddr>().unwrap();
        clients.remember(client("192.0.2.1"), server(3), start);
        clients.remember(client("2001:db8::1"), server(4), start);
        let at = |s: u64| Tick::from_ms(1000 + s * 1000);
        assert_eq!(clients.server_of(client("192.0.2.200"), at(299)), Some(server(3)));
        assert_eq!(clients.server_of(client("192.0.3.1"), at(299)), None);
        assert_eq!(clients.server_of(client("2001:db8::ffff"), at(299)), Some(server(4)));
        assert_eq!(clients.server_of(client("192.0.2.1"), at(300)), None);
        clients.remember(client("192.0.2.1"), server(5), at(299));
        assert_eq!(
            clients.server_of(client("192.0.2.1"), at(598)),
            Some(server(5)),
            "from its last connection on"
        );
    }

    #[test]
    fn a_full_table_remembers_those_that_came_last() {
        let mut clients = clients();
        let client = |i: u32| IpAddr::V4((i << 8).into());
        assert_eq!(clients.capacity(), 1024);
        for i in 0..4 * CLIENTS_MAX {
            let now = Tick::from_ms(u64::from(i / 16));
            clients.remember(client(i), server(1), now);
            assert_eq!(clients.server_of(client(i), now), Some(server(1)));
        }
        assert!(clients.slots.iter().flatten().count() > 1024 / 2);
    }
}
