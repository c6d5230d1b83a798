//! The first of a list of rules that a packet agrees with.
//!
//! Each property of a packet is looked up by itself: that gives a bit for each rule that holds for it. The rules that
//! hold for all properties are those whose bit all have, and the first is the lowest. So the time hardly grows with the
//! number of rules. Lakshman and Stiliadis, "High-Speed Policy-based Packet Forwarding Using Efficient
//! Multi-dimensional Range Matching"; the summaries are Baboescu's and Varghese's "aggregated bit vectors".

mod axis;

pub use axis::RULES_MAX;

use crate::config::Rule;
use crate::key::{Address, Family};
use crate::subnet::Subnet;
use crate::units::{Mark, PortId, VlanId};
use crate::wire::IpProtocol;
use axis::{Axis, BLOCK, Row, Step};
use core::net::IpAddr;
use core::ops::RangeInclusive;

/// What of a packet rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// What kind of addresses it has.
    pub family: Family,
    /// Where it comes from.
    pub source: Address,
    /// Where it goes.
    pub destination: Address,
    /// Its protocol.
    pub protocol: IpProtocol,
    /// Its ports as (source, destination), which are 0 if it has none.
    pub ports: (u16, u16),
    /// By which port it came in.
    pub port: PortId,
    /// Its VLAN, if it has one.
    pub vlan: Option<VlanId>,
    /// Its mark.
    pub mark: Mark,
}

/// Properties of a packet.
const PROPERTIES: usize = 8;

/// A list of rules, compiled.
#[derive(Clone, Debug)]
pub struct Classifier {
    sources: Ends,
    destinations: Ends,
    protocols: Axis<u8>,
    source_ports: Axis<u16>,
    destination_ports: Axis<u16>,
    ports: Axis<u8>,
    vlans: Axis<u16>,
    marks: Axis<u32>,
}

/// Addresses of either kind.
#[derive(Clone, Debug)]
struct Ends {
    v4: Axis<u32>,
    v6: Axis<u128>,
}

impl Classifier {
    /// Of the first [`RULES_MAX`] of these, in order.
    pub fn compile(rules: &[Rule]) -> Self {
        let rules = &rules[..rules.len().min(RULES_MAX)];
        Self {
            sources: Ends::compile(rules, |rule| rule.source),
            destinations: Ends::compile(rules, |rule| rule.destination),
            protocols: axis(rules, |rule| rule.protocol.map(|protocol| only(protocol.0))),
            source_ports: axis(rules, |rule| rule.source_port.clone()),
            destination_ports: axis(rules, |rule| rule.destination_port.clone()),
            ports: axis(rules, |rule| rule.port.map(|port| only(number(port)))),
            vlans: axis(rules, |rule| rule.vlan.map(|vlan| only(vlan.number()))),
            marks: axis(rules, |rule| rule.mark.map(|mark| only(mark.0))),
        }
    }

    /// Which rule, counted from 0, is the first that holds.
    #[inline]
    pub fn first(&self, facts: &Facts) -> Option<usize> {
        let rows = [
            self.sources.row(facts.family, facts.source),
            self.destinations.row(facts.family, facts.destination),
            self.protocols.row(facts.protocol.0),
            self.source_ports.row(facts.ports.0),
            self.destination_ports.row(facts.ports.1),
            self.ports.row(number(facts.port)),
            // No VLAN has this number.
            self.vlans.row(facts.vlan.map_or(u16::MAX, VlanId::number)),
            self.marks.row(facts.mark.0),
        ];
        let mut summary = rows.iter().fold(u64::MAX, |all, row| all & row.summary);
        // Properties that no rule is about need not be looked at.
        let (mut blocks, mut count) = ([[].as_slice(); PROPERTIES], 0);
        for row in rows.iter().filter(|row| !row.is_open) {
            (blocks[count], count) = (row.words.as_chunks::<BLOCK>().0, count + 1);
        }
        if count == 0 {
            return (summary != 0).then_some(0);
        }
        while summary != 0 {
            let at = summary.trailing_zeros() as usize / BLOCK;
            let mut words = [u64::MAX; BLOCK];
            for row in &blocks[..count] {
                let block = row.get(at)?;
                words.iter_mut().zip(block).for_each(|(word, of)| *word &= of);
            }
            if let Some(i) = words.iter().position(|word| *word != 0) {
                return Some((at * BLOCK + i) * 64 + words[i].trailing_zeros() as usize);
            }
            summary &= !(0xff << (at * BLOCK));
        }
        None
    }
}

impl Ends {
    fn compile(rules: &[Rule], end: impl Fn(&Rule) -> Option<Subnet>) -> Self {
        // A rule for one kind of addresses holds for none of the other.
        let v4 = axis(rules, |rule| {
            end(rule).map(|subnet| match subnet.address {
                IpAddr::V4(address) => {
                    let rest = u32::MAX.checked_shr(subnet.prefix_len.into()).unwrap_or(0);
                    address.to_bits() & !rest..=address.to_bits() | rest
                }
                IpAddr::V6(_) => none(u32::MAX),
            })
        });
        let v6 = axis(rules, |rule| {
            end(rule).map(|subnet| match subnet.address {
                IpAddr::V6(address) => {
                    let rest = u128::MAX.checked_shr(subnet.prefix_len.into()).unwrap_or(0);
                    address.to_bits() & !rest..=address.to_bits() | rest
                }
                IpAddr::V4(_) => none(u128::MAX),
            })
        });
        Self { v4, v6 }
    }

    #[inline]
    fn row(&self, family: Family, address: Address) -> Row<'_> {
        match family {
            Family::V4 => self.v4.row(address.ipv4_bits()),
            Family::V6 => {
                let [high, low] = address.ipv6_bits();
                self.v6.row(u128::from(high) << 64 | u128::from(low))
            }
        }
    }
}

fn axis<T: Step>(rules: &[Rule], values: impl Fn(&Rule) -> Option<RangeInclusive<T>>) -> Axis<T> {
    Axis::compile(rules.iter().map(values))
}

const fn only<T: Copy>(value: T) -> RangeInclusive<T> {
    value..=value
}

/// A range without values: it ends before it begins.
fn none<T: From<u8>>(value: T) -> RangeInclusive<T> {
    value..=T::from(0)
}

#[expect(clippy::cast_possible_truncation, reason = "there are fewer than 256 ports")]
const fn number(port: PortId) -> u8 {
    port.index() as u8
}

#[cfg(test)]
mod tests;
