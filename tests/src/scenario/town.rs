//! A town of clients on one side of the gateway and its servers on the other.

use super::ftp::{DataMode, Transfer};
use super::{Family, dns, ftp, hostile, http, icmp};
use crate::conversation::{Conversation, Host, Passage, Side};
use crate::packet::Mac;
use crate::rng::Rng;
use std::net::{Ipv4Addr, Ipv6Addr};

const SERVERS: u64 = 8;
const FIRST_EPHEMERAL_PORT: u16 = 32_768;
const FIRST_PASSIVE_PORT: u64 = 50_000;

/// How big the town is and how long its traffic lasts.
#[derive(Clone, Copy, Debug)]
pub struct Town {
    /// Clients that speak IPv4.
    pub ipv4_clients: u32,
    /// Clients that speak IPv6.
    pub ipv6_clients: u32,
    /// Within this many microseconds all clients have begun.
    pub begin_within_us: u64,
}

/// All frames of the town, ordered by time; the same for the same `seed`.
pub fn town(seed: u64, town: Town) -> Vec<Passage> {
    let mut rng = Rng::new(seed);
    let mut passages = Vec::new();
    for n in 0..town.ipv4_clients {
        let mut talk = arrive::<Ipv4Addr>(n, town.begin_within_us, &mut rng);
        live(&mut talk, n, &[DataMode::Port, DataMode::Pasv, DataMode::Eprt, DataMode::Epsv]);
        passages.extend(talk.finish());
    }
    for n in 0..town.ipv6_clients {
        let mut talk = arrive::<Ipv6Addr>(n, town.begin_within_us, &mut rng);
        live(&mut talk, n, &[DataMode::Eprt, DataMode::Epsv]);
        passages.extend(talk.finish());
    }
    passages.sort_by_key(|passage| passage.at_us);
    passages
}

fn arrive<A: Family>(n: u32, within_us: u64, rng: &mut Rng) -> Conversation<A> {
    let server = rng.below(SERVERS) as u32;
    let family = u32::from(A::DNS_TYPE) << 16;
    let client = Host { mac: Mac::host(0x0100_0000 | family | n), ip: A::client(n) };
    let server = Host { mac: Mac::host(0x0200_0000 | family | server), ip: A::server(server) };
    Conversation::new(client, server, rng.below(within_us), Rng::new(rng.next()))
}

/// What client number `n` does: everybody browses, some move files, few are a nuisance.
fn live<A: Family>(talk: &mut Conversation<A>, n: u32, modes: &[DataMode]) {
    let mut ports = FIRST_EPHEMERAL_PORT..;
    let mut port = || ports.next().expect("a client uses few ports");
    A::resolve(talk);
    dns::look_up(talk, port(), "www.example.org");
    let sizes: Vec<usize> = (0..1 + talk.rng().below(4)).map(|_| 200 + talk.rng().index(25_000)).collect();
    http::fetch(talk, port(), &sizes);
    talk.pause_us(50_000);
    if n.is_multiple_of(4) {
        icmp::ping(talk, 0x5700, 3);
    }
    if n.is_multiple_of(5) {
        let transfers = files(talk, modes, &mut port);
        ftp::session(talk, port(), &transfers);
    }
    if n.is_multiple_of(7) {
        dns::look_up(talk, port(), "mail.example.org");
        icmp::closed_port(talk, port());
        icmp::trace_route(talk, port());
    }
    if n % 40 == 3 {
        hostile::syn_scan(talk, port(), 1..120);
    }
    if n % 25 == 6 {
        hostile::invalid(talk, port());
        hostile::link_local(talk);
    }
    dns::look_up(talk, port(), "static.example.org");
    http::fetch(talk, port(), &[4_000]);
}

/// Two files in each of the modes: one fetched, one stored.
fn files<A: Family>(
    talk: &mut Conversation<A>,
    modes: &[DataMode],
    port: &mut impl FnMut() -> u16,
) -> Vec<Transfer> {
    let mut transfers = Vec::new();
    for mode in modes {
        for from in [Side::Wan, Side::Lan] {
            let size = 500 + talk.rng().index(12_000);
            let server_port = (FIRST_PASSIVE_PORT + talk.rng().below(10_000)) as u16;
            transfers.push(Transfer { mode: *mode, from, size, client_port: port(), server_port });
        }
    }
    transfers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::GAP_US;
    use std::collections::HashMap;

    const SMALL: Town = Town { ipv4_clients: 30, ipv6_clients: 12, begin_within_us: 1_000_000 };

    #[test]
    fn the_same_seed_makes_the_same_town() {
        assert!(town(7, SMALL) == town(7, SMALL));
        assert!(town(7, SMALL) != town(8, SMALL));
    }

    #[test]
    fn frames_of_one_client_are_apart_and_in_order() {
        let mut last: HashMap<[u8; 12], u64> = HashMap::new();
        for passage in town(1, SMALL) {
            let pair = std::array::from_fn(|i| passage.bytes[i]);
            if let Some(before) = last.insert(pair, passage.at_us) {
                assert!(passage.at_us >= before + GAP_US);
            }
        }
    }
}
