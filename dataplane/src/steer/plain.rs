//! The frames that nearly all frames are, to a router: untagged, of TCP, UDP and the like and without IPv4 options,
//! sent to the gateway's own MAC address, and on to a next hop that is known, with hops left and no longer than fits.
//!
//! Whatever else a frame is, nothing is said of it and nothing has changed: [`Router::admit`] and [`Router::forward`]
//! say what becomes of it. What is said here is what they would say: a test holds them against each other.

use super::Router;
use super::route::{Found, Rewrite, reverse_path};
use super::router::FLOW_SECRET;
use crate::key::Family;
use crate::parse::{Class, Kind, Parsed};
use crate::rewrite::{mac, ttl};
use crate::units::{PORTS_MAX, PortId, ServerId};
use crate::wire::{MacAddr, ethernet, ipv4, ipv6};

/// Bytes up to where the transport begins. Where it begins there, nothing but the two headers can be before it.
const HEAD_IPV4: usize = ethernet::HEADER_LEN + ipv4::HEADER_LEN;
const HEAD_IPV6: usize = ethernet::HEADER_LEN + ipv6::HEADER_LEN;

impl Router {
    /// Asks for the memory that is read first when the packet that was read as `parsed` is admitted.
    #[inline(always)]
    pub fn prefetch(&self, parsed: &Parsed, shadows: bool) {
        let (key, side) = (&parsed.key, parsed.side);
        self.fib.prefetch(key.family(), key.address(side.opposite()));
        if self.looks_up_sources || shadows {
            self.fib.prefetch(key.family(), key.address(side));
        }
    }

    /// Whether a frame that came in by `port` and was read as `parsed` is addressed to this router, and is such that
    /// nothing but its addresses says what becomes of it.
    #[inline(always)]
    pub fn is_plain(&self, frame: &[u8], port: PortId, kind: Kind, parsed: &Parsed) -> bool {
        let Some(head) = frame.first_chunk() else { return false };
        let destination = u64::from_le_bytes(*head) & MAC_BITS;
        destination == self.plain_macs[port.index() % PORTS_MAX]
            && (kind == Kind::Plain || is_plain_for_its_protocol(parsed))
    }

    /// Where such a packet leads by itself; `None`: it is not to be sent on, or not for that reason alone. Of several
    /// next hops that is the flow's own, while it lives.
    #[inline]
    pub fn find_plain(&self, port: PortId, parsed: &Parsed) -> Option<Found> {
        let plain = self.plain[port.index()].as_ref()?;
        let family = parsed.family();
        let [source, destination] =
            [parsed.side, parsed.side.opposite()].map(|side| parsed.key.address(side));
        reverse_path::check(&self.fib, plain.reverse_path, plain.interface, family, source).ok()?;
        let found = self.fib.find(family, destination);
        if self.has_host && self.fib.is_local(found) {
            return None;
        }
        Some(self.fib.narrow(found, || parsed.key.hash(FLOW_SECRET), &self.adjacencies))
    }

    /// Sends a packet that was read as `parsed` on its way, if that is plain: rewrites the frame and says by which port
    /// it leaves. Its destination was found to come to this when it was admitted.
    #[inline(always)]
    pub fn forward_plain(&self, frame: &mut [u8], parsed: &Parsed, found: Found) -> Option<PortId> {
        let end = usize::from(parsed.at) + usize::from(parsed.len);
        let rewrite = match self.adjacencies.rewrite(found) {
            rewrite if rewrite.takes(end) => rewrite,
            _ => &self.rewrite_of_several(found, parsed).filter(|rewrite| rewrite.takes(end))?,
        };
        send(frame, parsed, rewrite)
    }

    /// The same of a packet to a server, whose frame another router has not forwarded.
    #[inline(always)]
    pub fn deliver_plain(&self, frame: &mut [u8], parsed: &Parsed, server: ServerId) -> Option<PortId> {
        let head_len = match parsed.family() {
            Family::V4 => HEAD_IPV4,
            Family::V6 => HEAD_IPV6,
        };
        let (at, len) = (usize::from(parsed.at), usize::from(parsed.len));
        let is_plain = matches!(parsed.class, Class::Flow(_)) && at == head_len;
        let rewrite = self.deliveries.of(server).filter(|rewrite| is_plain && rewrite.takes(at + len))?;
        send(frame, parsed, rewrite)
    }

    /// How a packet leaves whose destination alone does not say it: that is for a host beside the gateway, or has several
    /// next hops. Kept apart: the others need not save the registers that this needs.
    #[inline(never)]
    fn rewrite_of_several(&self, found: Found, parsed: &Parsed) -> Option<Rewrite> {
        let (family, destination) = (parsed.family(), parsed.key.address(parsed.side.opposite()));
        // A hop that was the flow's own has died.
        let found = if self.fib.is_narrow(found) { self.fib.find(family, destination) } else { found };
        let way = self.way(found, &parsed.key);
        Rewrite::of(self.adjacencies.find(way, family, destination)?)
    }
}

/// The same of protocols other than TCP and UDP, which are not read at fixed places.
#[inline(never)]
fn is_plain_for_its_protocol(parsed: &Parsed) -> bool {
    let at = match parsed.family() {
        Family::V4 => HEAD_IPV4,
        Family::V6 => HEAD_IPV6,
    };
    matches!(parsed.class, Class::Flow(_)) && usize::from(parsed.at) == at
}

/// A MAC address as the first eight bytes of the frames have it that are for it.
pub(super) const fn mac_bits(MacAddr([a, b, c, d, e, f]): MacAddr) -> u64 {
    u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
}

const MAC_BITS: u64 = mac_bits(MacAddr::BROADCAST);

/// Makes a frame that was read as `parsed`, with nothing before its transport but the two headers, what leaves by
/// `rewrite`, if it has hops left; says by which port.
#[inline(always)]
fn send(frame: &mut [u8], parsed: &Parsed, rewrite: &Rewrite) -> Option<PortId> {
    match parsed.family() {
        Family::V4 => {
            let head: &mut [u8; HEAD_IPV4] = frame.first_chunk_mut()?;
            ttl::decrement_ipv4(head, ethernet::HEADER_LEN).ok()?;
            mac::write(head, rewrite.macs);
        }
        Family::V6 => {
            let head: &mut [u8; HEAD_IPV6] = frame.first_chunk_mut()?;
            ttl::decrement_ipv6(head, ethernet::HEADER_LEN).ok()?;
            mac::write(head, rewrite.macs);
        }
    }
    Some(rewrite.port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::route::{Interface, NextHop, ReversePath, Route, Target};
    use crate::config::service::{Method, Place, Server};
    use crate::config::{Routing, Services};
    use crate::counters::Verdict;
    use crate::parse::{Offload, Rules, parse};
    use crate::port::Checksum;
    use crate::port::mem::MemFrame;
    use crate::steer::route::{Adjacencies, Neighbour};
    use crate::steer::service;
    use crate::units::{InterfaceId, Tick, VlanId};
    use core::net::IpAddr;
    use core::num::NonZeroU8;
    use proptest::prelude::*;
    use std::sync::{Arc, LazyLock};

    const GATEWAY: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn interface(port: PortId, vlan: u16, addresses: [&str; 2], reverse_path: ReversePath) -> Interface {
        Interface {
            port,
            vlan: VlanId::new(vlan),
            mac: GATEWAY,
            source_mac: MacAddr([2, 0, 0, 0, 0, 2]),
            mtu: 100,
            addresses: addresses.map(|address| address.parse().unwrap()).into(),
            management: Vec::new(),
            vips: Vec::new(),
            tapped: false,
            reverse_path,
        }
    }

    fn id(index: usize) -> InterfaceId {
        InterfaceId::new(index).unwrap()
    }

    /// A LAN, a WAN and a VLAN beside it; one route to each kind of end.
    fn router(reverse_path: ReversePath, tapped: bool) -> Router {
        let by = |interface, gateway: &str| NextHop {
            interface: id(interface),
            gateway: Some(gateway.parse().unwrap()),
            weight: NonZeroU8::MIN,
        };
        let both = vec![by(1, "198.51.100.1"), by(1, "198.51.100.2")];
        let routes = [
            ("8.0.0.0/8", Target::Via(vec![by(1, "198.51.100.1")])),
            ("9.0.0.0/8", Target::Via(both.clone())),
            ("2001:db8:8::/48", Target::Via(both)),
            ("10.1.0.0/16", Target::Via(vec![by(2, "10.0.20.7")])),
            ("10.2.0.0/16", Target::Via(vec![by(1, "198.51.100.9")])),
            ("10.3.0.0/16", Target::Blackhole),
            ("10.4.0.0/16", Target::Unreachable),
        ];
        let mut routing = Routing {
            interfaces: vec![
                interface(PortId::FIRST, 0, ["192.0.2.1/24", "2001:db8::1/64"], reverse_path),
                interface(PortId::SECOND, 0, ["198.51.100.254/24", "2001:db8:1::1/64"], reverse_path),
                interface(PortId::SECOND, 20, ["10.0.20.1/24", "2001:db8:20::1/64"], reverse_path),
            ],
            routes: routes.map(|(to, target)| Route { to: to.parse().unwrap(), target }).into(),
        };
        routing.interfaces[0].tapped = tapped;
        let known = [
            (0, "192.0.2.7"),
            (0, "2001:db8::7"),
            (1, "198.51.100.1"),
            (1, "198.51.100.2"),
            (2, "10.0.20.7"),
        ];
        let known = known.map(|(interface, address)| Neighbour {
            interface: id(interface),
            address: address.parse().unwrap(),
            mac: MacAddr([2, 0, 0, 0, 9, 9]),
        });
        let router = Router::compile(&routing);
        let adjacencies = Adjacencies::compile(&routing, router.fib(), |_| true, known);
        router.with_neighbours(Arc::new(adjacencies))
    }

    const IPV4: [&str; 12] = [
        "192.0.2.7",
        "192.0.2.8",
        "192.0.2.1",
        "192.0.2.255",
        "8.8.8.8",
        "9.9.9.9",
        "10.1.0.1",
        "10.2.0.1",
        "10.3.0.1",
        "10.4.0.1",
        "11.0.0.1",
        "127.0.0.1",
    ];
    const IPV6: [&str; 5] = ["2001:db8::7", "2001:db8::8", "2001:db8:8::8", "fe80::7", "ff02::1"];

    /// By mode, and one with a tap. They have large tables.
    static ROUTERS: LazyLock<[Router; 4]> = LazyLock::new(|| {
        use ReversePath::{Loose, Off, Strict};
        [(Off, false), (Loose, false), (Strict, false), (Strict, true)].map(|(mode, tap)| router(mode, tap))
    });

    /// With servers: beside it, behind one router and behind two, behind the VLAN, not known, without an address, and by
    /// tunnel.
    static SERVING: LazyLock<Router> = LazyLock::new(|| {
        let at = |address: &str| Place::Address(address.parse().unwrap());
        let places = ["192.0.2.7", "8.8.8.8", "9.9.9.9", "10.1.0.1", "192.0.2.8", "2001:db8::7"].map(at);
        let beside = [0, 2].map(|interface| Place::Mac(id(interface), MacAddr([2, 0, 0, 0, 5, 5])));
        let places = places.into_iter().chain(beside).chain([at("8.8.8.8")]);
        let servers = places.zip(0..).map(|(place, n)| Server {
            method: if n == SERVERS - 1 { Method::Ipip } else { Method::Direct },
            ..Server::new(ServerId::new(n).unwrap(), place)
        });
        let services = Services { retired: servers.collect(), ..Services::default() };
        router(ReversePath::Off, true).with_services(Arc::new(service::Services::compile(1, &services)))
    });
    const SERVERS: usize = 9;

    /// A datagram; `options` are so many words of IPv4's.
    fn frame(
        to: MacAddr,
        vlan: bool,
        ends: [IpAddr; 2],
        hops: u8,
        options: u8,
        payload_len: usize,
    ) -> Vec<u8> {
        let len = u16::try_from(8 + payload_len).unwrap().to_be_bytes();
        let mut frame = [to.0, [2, 0, 0, 0, 7, 7]].concat();
        if vlan {
            frame.extend([0x81, 0, 0, 20]);
        }
        match ends {
            [IpAddr::V4(source), IpAddr::V4(destination)] => {
                let header_len = 20 + 4 * usize::from(options);
                let total = u16::try_from(header_len + 8 + payload_len).unwrap().to_be_bytes();
                frame.extend([8, 0, 0x45 + options, 0, total[0], total[1], 0, 1, 0, 0, hops, 17, 0x12, 0x34]);
                frame.extend([source.octets(), destination.octets()].as_flattened());
                frame.extend(core::iter::repeat_n(1, header_len - 20));
            }
            _ => {
                let bytes = ends.map(|end| match end {
                    IpAddr::V4(end) => end.to_ipv6_mapped().octets(),
                    IpAddr::V6(end) => end.octets(),
                });
                frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, len[0], len[1], 17, hops]);
                frame.extend(bytes.as_flattened());
            }
        }
        frame.extend([0x13, 0x88, 0, 53, len[0], len[1], 0, 0]);
        frame.resize((frame.len() + payload_len).max(60), 0);
        frame
    }

    fn read(frame: &[u8]) -> Parsed {
        let rules = Rules { vlan_tags_max: 1, ..Rules::default() };
        parse(frame, rules, Offload { ip: Checksum::Good, l4: Checksum::Good })
    }

    #[test]
    fn most_frames_are_plain() {
        let router = router(ReversePath::Strict, false);
        for (source, destination) in
            [("192.0.2.7", "8.8.8.8"), ("192.0.2.7", "9.9.9.9"), ("2001:db8::7", "2001:db8:8::8")]
        {
            let ends = [source, destination].map(|end| end.parse().unwrap());
            let mut frame = frame(GATEWAY, false, ends, 64, 0, 20);
            let parsed = read(&frame);
            assert!(router.is_plain(&frame, PortId::FIRST, Kind::Other, &parsed));
            let found = router.find_plain(PortId::FIRST, &parsed).expect("it is for the router");
            assert_eq!(router.forward_plain(&mut frame, &parsed, found), Some(PortId::SECOND));
            assert_eq!(frame[..6], [2, 0, 0, 0, 9, 9]);
        }
    }

    #[test]
    fn most_frames_to_servers_are_plain() {
        let ends = ["192.0.2.9", "192.0.2.1"].map(|end| end.parse().unwrap());
        let plain = (0..SERVERS).filter(|n| {
            let mut frame = frame(GATEWAY, false, ends, 64, 0, 20);
            let parsed = read(&frame);
            SERVING.deliver_plain(&mut frame, &parsed, ServerId::new(*n).unwrap()).is_some()
        });
        assert_eq!(plain.collect::<Vec<_>>(), [0, 1, 5, 6], "those with one way that has no tag");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn what_is_plain_to_a_server_is_what_the_general_way_says(
            server in 0..SERVERS,
            vlan in prop::bool::weighted(0.1),
            is_ipv6 in prop::bool::weighted(0.3),
            (hops, options) in (prop_oneof![3 => Just(64u8), 1 => 0..3u8], prop_oneof![6 => Just(0u8), 1 => 0..3u8]),
            payload_len in prop_oneof![4 => 0..40usize, 1 => 50..120usize],
        ) {
            let ends = if is_ipv6 { ["2001:db8::9", "2001:db8:8::8"] } else { ["192.0.2.9", "10.2.0.1"] };
            let mut plain = frame(GATEWAY, vlan, ends.map(|end| end.parse().unwrap()), hops, options, payload_len);
            let (came, parsed) = (plain.clone(), read(&plain));
            let server = ServerId::new(server).unwrap();
            let out = SERVING.deliver_plain(&mut plain, &parsed, server);
            let target = SERVING.services().unwrap().target(server).unwrap();
            let mut forwarded = MemFrame::new(came.as_slice());
            let verdict = SERVING.forward_to(target, &mut forwarded, &parsed.key, Tick::default());
            match out {
                Some(out) => {
                    prop_assert_eq!(verdict, Verdict::Forward(out));
                    prop_assert_eq!(plain, forwarded.into_bytes());
                }
                None => prop_assert_eq!(plain, came),
            }
        }

        #[test]
        fn what_is_plain_is_what_the_general_way_says(
            to in prop_oneof![6 => Just(GATEWAY), 1 => Just(MacAddr([2; 6])), 1 => Just(MacAddr::BROADCAST)],
            (vlan, second, shadows) in (prop::bool::weighted(0.1), any::<bool>(), any::<bool>()),
            mode in 0..4usize,
            ipv4 in [prop::sample::select(&IPV4[..]), prop::sample::select(&IPV4[..])],
            ipv6 in [prop::sample::select(&IPV6[..]), prop::sample::select(&IPV6[..])],
            is_ipv6 in prop::bool::weighted(0.3),
            (hops, options) in (prop_oneof![3 => Just(64u8), 1 => 0..3u8], prop_oneof![6 => Just(0u8), 1 => 0..3u8]),
            (payload_len, cut) in (prop_oneof![4 => 0..40usize, 1 => 50..120usize], prop_oneof![6 => Just(0usize), 1 => 0..50usize]),
        ) {
            let router = &ROUTERS[mode];
            let ends = if is_ipv6 { ipv6 } else { ipv4 };
            let mut plain = frame(to, vlan, ends.map(|end| end.parse().unwrap()), hops, options, payload_len);
            plain.truncate(plain.len() - cut);
            let came = plain.clone();
            let port = if second { PortId::SECOND } else { PortId::FIRST };
            let parsed = read(&plain);
            if !router.is_plain(&plain, port, Kind::Other, &parsed) {
                return Ok(());
            }
            let Some(found) = router.find_plain(port, &parsed) else { return Ok(()) };
            let mut general = parsed;
            prop_assert!(!router.admit(&plain, port, shadows, &mut general), "it is sent to the router");
            prop_assert_eq!(general, parsed);
            let out = router.forward_plain(&mut plain, &parsed, found);
            let mut forwarded = MemFrame::new(came.as_slice());
            let verdict = router.forward(&mut forwarded, &parsed.key, Tick::default());
            match out {
                Some(out) => {
                    prop_assert_eq!(verdict, Verdict::Forward(out));
                    prop_assert_eq!(plain, forwarded.into_bytes());
                }
                None => prop_assert_eq!(plain, came),
            }
        }
    }
}
