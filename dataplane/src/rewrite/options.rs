//! IPv4 options that a router has a part in (RFC 791 3.1, RFC 1812 4.2.2.11): it signs record routes and timestamps,
//! and refuses source routes as Linux does unless told otherwise (`accept_source_route`). All others pass as they
//! are, the router alert and those that nobody knows (RFC 1812 5.3.13.1). What is malformed, and where, is Linux's
//! view too.

use crate::wire::checksum::update;
use crate::wire::{Ipv4, Ipv4Mut, ipv4};
use core::mem;
use core::net::Ipv4Addr;

/// Bytes of options that a header has room for.
const LEN_MAX: usize = 40;

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const RECORD_ROUTE: u8 = 7;
const TIMESTAMP: u8 = 68;
const LOOSE_SOURCE_ROUTE: u8 = 131;
const STRICT_SOURCE_ROUTE: u8 = 137;
const ROUTER_ALERT: u8 = 148;

/// Where an option has its type, its length, the place of the next entry, and a timestamp its overflow and flag.
const TYPE: u8 = 0;
const LEN: u8 = 1;
const POINTER: u8 = 2;
const OVERFLOW: u8 = 3;

const ROUTE_POINTER_MIN: u8 = 4;
const TIMESTAMP_POINTER_MIN: u8 = 5;
const ROUTER_ALERT_LEN: usize = 4;

const ADDRESS_LEN: u8 = 4;
const TIME_LEN: u8 = 4;

/// A timestamp's flag: who signs. Times alone are flag 0.
const FLAG: u8 = 0x0f;
const TIMES: u8 = 0;
const ADDRESSES_AND_TIMES: u8 = 1;
const TIMES_OF_NAMED: u8 = 3;

/// One more router that found no room, in the high half of the byte.
const ONE_MORE: u8 = 0x10;

/// Why a packet is not forwarded. The frame is as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It would choose its own way.
    SourceRoute,
    /// Its options cannot be read; the sender is owed a parameter problem.
    Malformed {
        /// The byte of the IP header that is wrong, from 0.
        pointer: u8,
    },
}

/// The time, as a timestamp has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(u32);

impl Time {
    /// The high bit: these are not milliseconds of the day.
    const NONSTANDARD: u32 = 1 << 31;

    /// Milliseconds since midnight UT.
    pub const fn of_day_ms(ms: u32) -> Self {
        Self(ms & !Self::NONSTANDARD)
    }

    /// Milliseconds since any other moment, which RFC 791 allows where the time of day is not known.
    pub const fn of_uptime_ms(ms: u32) -> Self {
        Self(ms | Self::NONSTANDARD)
    }
}

/// How the router signs.
#[derive(Clone, Copy, Debug)]
pub struct Signature<'a> {
    /// The address of the interface that the packet leaves by.
    pub address: Ipv4Addr,
    /// When it leaves.
    pub time: Time,
    /// The router's addresses, for timestamps that name who signs.
    pub ours: &'a [Ipv4Addr],
}

/// Does a router's part in the options of the IPv4 packet that begins at `ip_at`, and brings the header's checksum
/// up to date. A packet without options stays as it is, and so does what is no packet.
#[inline]
pub fn sign(frame: &mut [u8], ip_at: usize, signature: Signature<'_>) -> Result<(), Refusal> {
    let Some((header, rest)) =
        frame.get_mut(ip_at..).and_then(|packet| packet.split_at_mut_checked(ipv4::HEADER_LEN))
    else {
        return Ok(());
    };
    let len = Ipv4::new(header).map_or(0, |header| header.header_len().saturating_sub(ipv4::HEADER_LEN));
    let len = len.min(rest.len());
    if len == 0 { Ok(()) } else { sign_options(header, &mut rest[..len], signature) }
}

/// The rare part of [`sign`].
#[cold]
fn sign_options(header: &mut [u8], options: &mut [u8], signature: Signature<'_>) -> Result<(), Refusal> {
    // What follows the options is as good as zeros, which add nothing to the checksum.
    let mut came = [0; LEN_MAX];
    came[..options.len()].copy_from_slice(options);
    let mut leaves = came;
    walk(&mut leaves[..options.len()], signature)?;
    if leaves != came {
        options.copy_from_slice(&leaves[..options.len()]);
        let checksum = Ipv4::new(header).map_or(0, |header| header.checksum());
        if let Some(mut header) = Ipv4Mut::new(header) {
            header.set_checksum(update(checksum, came, leaves));
        }
    }
    Ok(())
}

/// The byte of an option that is wrong.
struct Wrong(u8);

/// Which options there were, of those that may stand in a packet once.
#[derive(Default)]
struct Seen {
    source_route: bool,
    record_route: bool,
    timestamp: bool,
}

/// Reads all options and signs those that ask for it.
fn walk(options: &mut [u8], signature: Signature<'_>) -> Result<(), Refusal> {
    let mut seen = Seen::default();
    let mut rest = &mut *options;
    let mut at = ipv4::HEADER_LEN;
    loop {
        let len = match *rest {
            [] | [END, ..] => break,
            [NO_OPERATION, ..] => 1,
            [_, len, ..] if len >= 2 => usize::from(len),
            _ => return Err(malformed(at, Wrong(TYPE))),
        };
        let (option, others) = rest.split_at_mut_checked(len).ok_or_else(|| malformed(at, Wrong(TYPE)))?;
        sign_option(option, &mut seen, signature).map_err(|wrong| malformed(at, wrong))?;
        rest = others;
        at += len;
    }
    if seen.source_route { Err(Refusal::SourceRoute) } else { Ok(()) }
}

#[expect(clippy::cast_possible_truncation, reason = "a header has 60 bytes at most")]
const fn malformed(at: usize, Wrong(byte): Wrong) -> Refusal {
    Refusal::Malformed { pointer: at as u8 + byte }
}

fn sign_option(option: &mut [u8], seen: &mut Seen, signature: Signature<'_>) -> Result<(), Wrong> {
    match *option {
        [LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE, ..] => {
            route_pointer(option)?;
            once(&mut seen.source_route)
        }
        [RECORD_ROUTE, ..] => {
            once(&mut seen.record_route)?;
            record_route(option, signature.address)
        }
        [TIMESTAMP, ..] => {
            once(&mut seen.timestamp)?;
            timestamp(option, signature)
        }
        [ROUTER_ALERT, ..] if option.len() < ROUTER_ALERT_LEN => Err(Wrong(LEN)),
        _ => Ok(()),
    }
}

fn once(seen: &mut bool) -> Result<(), Wrong> {
    if mem::replace(seen, true) { Err(Wrong(TYPE)) } else { Ok(()) }
}

/// Where the next address of a route stands, from 1.
fn route_pointer(option: &[u8]) -> Result<u8, Wrong> {
    match *option {
        [_, _, pointer, ..] if pointer >= ROUTE_POINTER_MIN => Ok(pointer),
        [_, _, _, ..] => Err(Wrong(POINTER)),
        _ => Err(Wrong(LEN)),
    }
}

/// Writes the address into the next place; a route that is full stays as it is.
fn record_route(option: &mut [u8], address: Ipv4Addr) -> Result<(), Wrong> {
    let pointer = route_pointer(option)?;
    if usize::from(pointer) > option.len() {
        return Ok(());
    }
    entry(option, pointer, ADDRESS_LEN)?.copy_from_slice(&address.octets());
    option[usize::from(POINTER)] = pointer + ADDRESS_LEN;
    Ok(())
}

/// Writes the time into the next place; one that is full counts the router.
fn timestamp(option: &mut [u8], signature: Signature<'_>) -> Result<(), Wrong> {
    let (pointer, overflow) = match *option {
        [_, _, pointer, overflow, ..] if pointer >= TIMESTAMP_POINTER_MIN => (pointer, overflow),
        [_, _, _, _, ..] => return Err(Wrong(POINTER)),
        _ => return Err(Wrong(LEN)),
    };
    let flag = overflow & FLAG;
    if usize::from(pointer) > option.len() {
        // Who asks named routers alone asks no other.
        if flag != TIMES_OF_NAMED {
            option[usize::from(OVERFLOW)] = overflow.checked_add(ONE_MORE).ok_or(Wrong(OVERFLOW))?;
        }
        return Ok(());
    }
    let len = match flag {
        ADDRESSES_AND_TIMES | TIMES_OF_NAMED => ADDRESS_LEN + TIME_LEN,
        _ => TIME_LEN,
    };
    let entry = entry(option, pointer, len)?;
    let (address, time) = entry.split_at_mut(entry.len() - usize::from(TIME_LEN));
    let named = address.first_chunk().map(|named| Ipv4Addr::from(*named));
    match flag {
        TIMES => {}
        ADDRESSES_AND_TIMES => address.copy_from_slice(&signature.address.octets()),
        TIMES_OF_NAMED if named.is_some_and(|named| signature.ours.contains(&named)) => {}
        _ => return Ok(()),
    }
    time.copy_from_slice(&signature.time.0.to_be_bytes());
    option[usize::from(POINTER)] = pointer + len;
    Ok(())
}

/// The `len` bytes of an option from `pointer` on, which counts from 1.
fn entry(option: &mut [u8], pointer: u8, len: u8) -> Result<&mut [u8], Wrong> {
    let start = usize::from(pointer) - 1;
    option.get_mut(start..start + usize::from(len)).ok_or(Wrong(POINTER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::checksum::Sum;
    use proptest::prelude::*;

    const OUT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const MS: u32 = 0x0102_0304;

    const OURS: [Ipv4Addr; 2] = [OUT, Ipv4Addr::new(10, 0, 0, 7)];

    fn signature() -> Signature<'static> {
        Signature { address: OUT, time: Time::of_day_ms(MS), ours: &OURS }
    }

    /// A header with these options, its checksum right, and one byte of payload behind.
    fn packet(options: &[u8]) -> Vec<u8> {
        let words = options.len().div_ceil(4);
        let mut packet = vec![
            0x45 + u8::try_from(words).unwrap(),
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            64,
            17,
            0,
            0,
            9,
            9,
            9,
            9,
            8,
            8,
            8,
            8,
        ];
        packet.extend(options);
        packet.resize(20 + words * 4, 0);
        let checksum = Sum::of(&packet).checksum();
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        packet.push(0xee);
        packet
    }

    fn signed(options: &[u8]) -> Result<Vec<u8>, Refusal> {
        let mut frame = [vec![0xdd; 14], packet(options)].concat();
        let came = frame.clone();
        let result = sign(&mut frame, 14, signature());
        if result.is_err() {
            assert_eq!(frame, came, "what is refused stays as it came");
        }
        result.map(|()| frame.split_off(14))
    }

    #[test]
    fn routers_sign_what_asks_for_it() {
        let (a, t): ([u8; 4], [u8; 4]) = (OUT.octets(), MS.to_be_bytes());
        let cat = |parts: &[&[u8]]| parts.concat();
        let cases: &[(&str, Vec<u8>, Vec<u8>)] = &[
            ("RFC 791: a record route", vec![7, 7, 4, 0, 0, 0, 0], cat(&[&[7, 7, 8], &a])),
            (
                "RFC 791: its second place, behind a no-operation",
                vec![1, 7, 11, 8, 5, 5, 5, 5, 0, 0, 0, 0],
                cat(&[&[1, 7, 11, 12, 5, 5, 5, 5], &a]),
            ),
            ("RFC 791: a full one passes", vec![7, 7, 8, 5, 5, 5, 5], vec![7, 7, 8, 5, 5, 5, 5]),
            ("an empty one is full", vec![7, 3, 4], vec![7, 3, 4]),
            ("RFC 791: times alone", vec![68, 8, 5, 0, 0, 0, 0, 0], cat(&[&[68, 8, 9, 0], &t])),
            (
                "RFC 791: addresses and times",
                vec![68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0],
                cat(&[&[68, 12, 13, 1], &a, &t]),
            ),
            (
                "RFC 791: the time of one that is named",
                vec![68, 12, 5, 3, 10, 0, 0, 7, 0, 0, 0, 0],
                cat(&[&[68, 12, 13, 3, 10, 0, 0, 7], &t]),
            ),
            (
                "RFC 791: not of another",
                vec![68, 12, 5, 3, 11, 0, 0, 7, 0, 0, 0, 0],
                vec![68, 12, 5, 3, 11, 0, 0, 7, 0, 0, 0, 0],
            ),
            ("RFC 791: no room counts", vec![68, 8, 9, 0xe1, 1, 2, 3, 4], vec![68, 8, 9, 0xf1, 1, 2, 3, 4]),
            (
                "whoever is not named is not missed, as in Linux",
                vec![68, 8, 9, 0xf3, 1, 2, 3, 4],
                vec![68, 8, 9, 0xf3, 1, 2, 3, 4],
            ),
            ("nobody knows flag 2", vec![68, 8, 5, 2, 0, 0, 0, 0], vec![68, 8, 5, 2, 0, 0, 0, 0]),
            ("RFC 2113: router alert", vec![148, 4, 0, 0], vec![148, 4, 0, 0]),
            ("RFC 1812 5.3.13.1: unknown ones pass", vec![99, 4, 1, 2, 30, 2], vec![99, 4, 1, 2, 30, 2]),
            ("RFC 791: nothing is behind the end", vec![0, 7, 1, 0], vec![0, 7, 1, 0]),
        ];
        for (rule, came, leaves) in cases {
            assert_eq!(signed(came), Ok(packet(leaves)), "{rule}");
        }
    }

    #[test]
    fn options_are_refused_where_linux_refuses_them() {
        let malformed = |pointer| Refusal::Malformed { pointer };
        let cases: &[(&str, &[u8], Refusal)] = &[
            ("a loose source route", &[131, 7, 4, 1, 2, 3, 4], Refusal::SourceRoute),
            ("one that has come to its end", &[1, 137, 7, 8, 1, 2, 3, 4], Refusal::SourceRoute),
            ("it cannot be read: that comes first", &[131, 7, 4, 1, 2, 3, 4, 7, 3, 3], malformed(29)),
            ("RFC 1812 5.2.4.1: two source routes", &[131, 3, 4, 137, 3, 4], malformed(23)),
            ("a source route without a pointer", &[1, 131, 2, 0], malformed(22)),
            ("a source route into its own header", &[131, 7, 3, 1, 2, 3, 4], malformed(22)),
            ("a length of nothing", &[1, 1, 99, 0], malformed(22)),
            ("a length that leaves out itself", &[99, 1, 1, 1], malformed(20)),
            ("a length beyond the header", &[99, 5, 1, 1], malformed(20)),
            ("an option without a length", &[1, 1, 1, 99], malformed(23)),
            ("a record route without a pointer", &[7, 2, 0, 0], malformed(21)),
            ("a record route into its own header", &[1, 7, 7, 3, 0, 0, 0, 0], malformed(23)),
            ("RFC 791: room for part of an address", &[7, 7, 5, 0, 0, 0, 0], malformed(22)),
            ("two record routes", &[7, 3, 4, 1, 7, 3, 4], malformed(24)),
            ("a timestamp without a flag", &[68, 3, 5, 0], malformed(21)),
            ("a timestamp into its own header", &[68, 8, 4, 0, 0, 0, 0, 0], malformed(22)),
            ("RFC 791: room for part of a time", &[68, 8, 6, 0, 0, 0, 0, 0], malformed(22)),
            ("RFC 791: room for the address alone", &[68, 8, 5, 1, 0, 0, 0, 0], malformed(22)),
            ("RFC 791: more than fifteen without room", &[68, 4, 5, 0xf0], malformed(23)),
            ("two timestamps", &[68, 4, 5, 0, 68, 4, 5, 0], malformed(24)),
            ("a router alert without its value", &[148, 2, 0, 0], malformed(21)),
        ];
        for (rule, came, refusal) in cases {
            assert_eq!(signed(came), Err(*refusal), "{rule}");
        }
    }

    #[test]
    fn the_high_bit_tells_the_time_of_day_from_another() {
        assert_eq!(Time::of_day_ms(86_399_999).0, 86_399_999);
        assert_eq!(Time::of_uptime_ms(u32::MAX >> 1), Time::of_uptime_ms(u32::MAX));
        assert_eq!(Time::of_uptime_ms(5).0, 0x8000_0005);
    }

    /// Options that are near to sense: random bytes alone are hardly ever read past the first.
    fn options() -> impl Strategy<Value = Vec<u8>> {
        let head = prop_oneof![
            Just(RECORD_ROUTE),
            Just(TIMESTAMP),
            Just(LOOSE_SOURCE_ROUTE),
            Just(ROUTER_ALERT),
            Just(NO_OPERATION),
            any::<u8>()
        ];
        let option = (head, 2..16u8, 3..14u8, 0..4u8, any::<[u8; 12]>()).prop_map(
            |(kind, len, pointer, flag, rest)| {
                let whole = [&[kind, len, pointer, flag][..], &rest].concat();
                whole[..if kind == NO_OPERATION { 1 } else { usize::from(len) }].to_vec()
            },
        );
        proptest::collection::vec(option, 0..5).prop_map(|options| {
            let mut options = options.concat();
            options.truncate(LEN_MAX);
            options
        })
    }

    proptest! {
        #[test]
        fn a_right_checksum_stays_right_and_all_else_in_place(options in options()) {
            let came = packet(&options);
            if let Ok(leaves) = signed(&options) {
                prop_assert!(Ipv4::new(&leaves).unwrap().checksum_verifies());
                prop_assert_eq!(&leaves[..10], &came[..10]);
                prop_assert_eq!(&leaves[12..20], &came[12..20]);
                prop_assert_eq!(leaves.last(), came.last());
                prop_assert_eq!(leaves.len(), came.len());
            }
        }

        #[test]
        fn a_pointer_is_into_the_options(options in options()) {
            if let Err(Refusal::Malformed { pointer }) = signed(&options) {
                prop_assert!((20..20 + options.len().next_multiple_of(4)).contains(&usize::from(pointer)));
            }
        }

        #[test]
        fn any_bytes_at_any_place(bytes in proptest::collection::vec(any::<u8>(), 0..90), ip_at in 0..100usize) {
            let mut frame = bytes.clone();
            let refused = sign(&mut frame, ip_at, signature()).is_err();
            prop_assert!(!refused || frame == bytes);
            let before = ip_at.min(bytes.len());
            prop_assert_eq!(&frame[..before], &bytes[..before]);
        }
    }
}
