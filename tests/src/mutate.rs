//! Breaks frames at random, in the ways that find parsers out.

use crate::packet::checksum::{fold, sum};
use crate::rng::Rng;

const ETHERNET_HEADER: usize = 14;
const FRAME_MAX: usize = 1514;

/// Values that lie at the edges of fields.
const EDGES: [u8; 10] = [0, 1, 4, 5, 0x0f, 0x40, 0x45, 0x7f, 0x80, 0xff];

/// Changes a frame in one to four places; half of the time an IPv4 header's checksum is right afterwards, so that
/// the change gets past it.
pub fn mutate(frame: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..=rng.below(4) {
        mutate_once(frame, rng);
    }
    frame.truncate(FRAME_MAX);
    if rng.chance(50) {
        repair_ipv4_checksum(frame);
    }
}

fn mutate_once(frame: &mut Vec<u8>, rng: &mut Rng) {
    if frame.is_empty() {
        frame.push(rng.next() as u8);
        return;
    }
    // Headers stand in front: most changes hit the first hundred bytes.
    let end = if rng.chance(80) { frame.len().min(100) } else { frame.len() };
    let at = rng.index(end);
    match rng.below(7) {
        0 => frame[at] ^= 1 << rng.below(8),
        1 => frame[at] = *rng.pick(&EDGES),
        2 => frame[at] = rng.next() as u8,
        3 => frame.truncate(at),
        4 => frame.extend(std::iter::repeat_n(*rng.pick(&EDGES), at)),
        5 => frame.insert(at, rng.next() as u8),
        _ => {
            let piece = frame[at..].to_vec();
            let to = rng.index(end);
            frame.truncate(to);
            frame.extend(piece);
        }
    }
}

fn repair_ipv4_checksum(frame: &mut [u8]) {
    let Some(&[0x08, 0x00, version, ..]) = frame.get(12..ETHERNET_HEADER + 1) else { return };
    let length = usize::from(version & 0x0f) * 4;
    let Some(header) = frame.get_mut(ETHERNET_HEADER..ETHERNET_HEADER + length) else { return };
    if length < 20 {
        return;
    }
    header[10..12].fill(0);
    let checksum = fold(sum(header));
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Mac, eth, packet_of};
    use std::net::Ipv4Addr;

    #[test]
    fn a_repaired_header_adds_up() {
        let c = Ipv4Addr::LOCALHOST;
        let good = eth(Mac::host(1), Mac::host(2)).ip(c, c).udp(1, 2).build();
        let mut frame = good.clone();
        frame[20] ^= 0x40;
        repair_ipv4_checksum(&mut frame);
        assert_eq!(fold(sum(&packet_of(&frame)[..20])), 0);
        for seed in 0..1000 {
            mutate(&mut frame, &mut Rng::new(seed));
        }
        assert_ne!(frame, good);
    }
}
