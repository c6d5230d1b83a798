//! The first of a list of rules that a packet agrees with.
//!
//! Each property of a packet comes to a class: the values for which the same rules hold. Properties with few classes
//! together have a table, which gives a bit for each rule that holds for all of them; the others, addresses above all, a
//! table each. The rules that hold for all properties are those whose bit all have, and the first is the lowest. So the
//! time hardly grows with the number of rules, and what no rule in question is about is not looked at.
//!
//! Lakshman and Stiliadis, "High-Speed Policy-based Packet Forwarding Using Efficient Multi-dimensional Range Matching";
//! the summaries are Baboescu's and Varghese's "aggregated bit vectors", the tables the first step of Gupta's and
//! McKeown's "recursive flow classification".

mod answers;
mod axis;
mod factor;
mod sets;

pub use sets::RULES_MAX;

use crate::config::Rule;
use crate::key::{Address, Family};
use crate::subnet::Subnet;
use crate::units::{Mark, PortId, VlanId};
use crate::wire::IpProtocol;
use answers::Answers;
use arrayvec::ArrayVec;
use axis::{Cells, Stretches, Table};
use core::net::IpAddr;
use core::ops::RangeInclusive;
use factor::{FACTORS_MAX, Factor, SUMS_MAX};
use sets::{BLOCK, Block, Set, Sets, WORD};

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

/// A property of a packet. The first [`SMALL`] are small numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Property {
    Protocol,
    SourcePort,
    DestinationPort,
    Port,
    Vlan,
    Source,
    Destination,
    Mark,
}

const SMALL: usize = Property::Source as usize;

impl Property {
    const ALL: [Self; 8] = [
        Self::Protocol,
        Self::SourcePort,
        Self::DestinationPort,
        Self::Port,
        Self::Vlan,
        Self::Source,
        Self::Destination,
        Self::Mark,
    ];
    const COUNT: usize = Self::ALL.len();

    const fn is_address(self) -> bool {
        matches!(self, Self::Source | Self::Destination)
    }

    /// Whether a rule says something about it.
    const fn is_in(self, rule: &Rule) -> bool {
        match self {
            Self::Source => rule.source.is_some(),
            Self::Destination => rule.destination.is_some(),
            Self::Protocol => rule.protocol.is_some(),
            Self::SourcePort => rule.source_port.is_some(),
            Self::DestinationPort => rule.destination_port.is_some(),
            Self::Port => rule.port.is_some(),
            Self::Vlan => rule.vlan.is_some(),
            Self::Mark => rule.mark.is_some(),
        }
    }
}

/// A list of rules, compiled.
#[derive(Clone, Debug)]
pub struct Classifier {
    axes: Axes,
    /// The first is the one that is asked first.
    factors: Vec<Factor>,
    answers: Answers,
}

impl Classifier {
    /// Of the first [`RULES_MAX`] of these, in order.
    pub fn compile(rules: &[Rule]) -> Self {
        let rules = &rules[..rules.len().min(RULES_MAX)];
        let mut sets = Property::ALL.map(|_| Sets::new(rules.len()));
        let mut tables = compile_tables(rules, &mut sets);
        let mut axes = Axes::compile(rules, &mut sets);
        let mut order = Property::ALL.to_vec();
        order.retain(|property| rules.iter().any(|rule| property.is_in(rule)));
        // Addresses last: they have many classes, and cost most.
        order.sort_by_key(|property| (property.is_address(), sets[*property as usize].len()));
        // What fits together is one factor.
        let mut groups = vec![Vec::new()];
        let mut sums = 1;
        for property in order {
            let classes = sets[property as usize].len();
            if sums * classes > SUMS_MAX && sums > 1 {
                groups.push(Vec::new());
                sums = 1;
            }
            #[expect(clippy::cast_possible_truncation, reason = "no more than SUMS_MAX")]
            match tables.get_mut(property as usize) {
                Some(table) => table.scale(sums as u16),
                None => axes.scale(property, sums as u16),
            }
            groups.last_mut().into_iter().for_each(|group| group.push((property, &sets[property as usize])));
            sums *= classes;
        }
        let about = |rule: &Rule| {
            let has = |group: &Vec<(Property, _)>| group.iter().any(|(property, _)| property.is_in(rule));
            let others = groups.iter().enumerate().skip(1).filter(|(_, group)| has(group));
            others.fold(0, |about, (number, _)| about | 1 << number)
        };
        let about: Vec<u8> = rules.iter().map(about).collect();
        let mut all = Set::new(rules.len());
        (0..rules.len()).for_each(|rule| all.add(rule));
        let mut only = Sets::new(rules.len());
        only.number(all);
        let factors = groups.iter().map(|group| Factor::compile(group, &tables, only.clone(), &about));
        let mut factors: Vec<Factor> = factors.collect();
        let answers = Answers::compile(&mut factors);
        Self { axes, factors, answers }
    }

    /// Which rule, counted from 0, is the first that holds.
    #[inline]
    pub fn first(&self, facts: &Facts) -> Option<usize> {
        let factor = self.factors.first()?;
        let small = facts.small();
        let number = self.number(factor, &small, facts);
        let head = factor.head(number);
        if head.asks == 0 {
            return head.first();
        }
        match head.answers() {
            Some(answers) => {
                let other = self.factors.get(head.asks.trailing_zeros() as usize)?;
                self.answers.get(answers + self.number(other, &small, facts))
            }
            None => self.first_of_all(factor, number, facts),
        }
    }

    /// The same where it is not worked out beforehand. The first factor's set is that of this `number`.
    #[inline(never)]
    fn first_of_all(&self, first: &Factor, number: usize, facts: &Facts) -> Option<usize> {
        let (head, blocks) = first.get(number);
        let (mut summary, mut asks, small) = (head.summary, head.asks, facts.small());
        let mut others = ArrayVec::<_, FACTORS_MAX>::new_const();
        while asks != 0 {
            let factor = self.factors.get(asks.trailing_zeros() as usize)?;
            let (head, blocks) = factor.get(self.number(factor, &small, facts));
            summary &= head.summary;
            others.push(blocks);
            asks &= asks - 1;
        }
        lowest(summary, blocks, &others)
    }

    /// Which rules hold, as far as these properties go: the number of the set.
    #[inline(always)]
    fn number(&self, factor: &Factor, small: &[u16; SMALL], facts: &Facts) -> usize {
        let mut sum = 0;
        for (property, table) in &factor.small {
            sum += table.class(small[*property]);
        }
        for property in &factor.large {
            sum += self.axes.class(*property, facts);
        }
        factor.number(sum)
    }
}

impl Facts {
    /// The small ones of its properties, in their order.
    #[inline(always)]
    fn small(&self) -> [u16; SMALL] {
        let vlan = self.vlan.map_or(NO_VLAN, VlanId::number);
        [self.protocol.0.into(), self.ports.0, self.ports.1, number(self.port), vlan]
    }
}

/// The lowest bit that all have. A word that is 0 in one of them has none in `summary`.
#[inline]
fn lowest(mut summary: u64, blocks: &[Block], others: &[&[Block]]) -> Option<usize> {
    while summary != 0 {
        let at = summary.trailing_zeros() as usize / BLOCK;
        let Block(mut words) = *blocks.get(at)?;
        for other in others {
            let Block(other) = other.get(at)?;
            words.iter_mut().zip(other).for_each(|(word, of)| *word &= of);
        }
        if words.iter().fold(0, |any, word| any | word) != 0 {
            let i = words.iter().position(|word| *word != 0)?;
            return Some((at * BLOCK + i) * WORD + words[i].trailing_zeros() as usize);
        }
        summary &= !(0xff << (at * BLOCK));
    }
    None
}

/// The classes of the small properties.
fn compile_tables(rules: &[Rule], sets: &mut [Sets; Property::COUNT]) -> [Table; SMALL] {
    let [protocols, source_ports, destination_ports, ports, vlans, ..] = sets;
    let port = |rule: &Rule| rule.port.map(|port| only(number(port)));
    [
        table(rules, |rule| rule.protocol.map(|IpProtocol(of)| only(of.into())), protocols),
        table(rules, |rule| rule.source_port.clone(), source_ports),
        table(rules, |rule| rule.destination_port.clone(), destination_ports),
        table(rules, port, ports),
        table(rules, |rule| rule.vlan.map(|vlan| only(vlan.number())), vlans),
    ]
}

/// The classes of the others. As with these, a class is counted as often as those before it in its factor have values.
#[derive(Clone, Debug)]
struct Axes {
    sources: Ends,
    destinations: Ends,
    marks: Cells<u32>,
}

/// No VLAN has this number.
const NO_VLAN: u16 = u16::MAX;

impl Axes {
    fn compile(rules: &[Rule], sets: &mut [Sets; Property::COUNT]) -> Self {
        let [.., sources, destinations, marks] = sets;
        Self {
            sources: Ends::compile(rules, |rule| rule.source, sources),
            destinations: Ends::compile(rules, |rule| rule.destination, destinations),
            marks: Cells::compile(stretches(rules, |rule| rule.mark.map(|mark| only(mark.0)), marks)),
        }
    }

    fn scale(&mut self, property: Property, by: u16) {
        match property {
            Property::Source => self.sources.scale(by),
            Property::Destination => self.destinations.scale(by),
            _ => self.marks.scale(by),
        }
    }

    /// Kept apart: what a search needs in registers tables need not save.
    #[inline(never)]
    fn class(&self, property: Property, facts: &Facts) -> usize {
        match property {
            Property::Source => self.sources.class(facts.family, facts.source),
            Property::Destination => self.destinations.class(facts.family, facts.destination),
            _ => self.marks.class(facts.mark.0),
        }
    }
}

/// Addresses of either kind.
#[derive(Clone, Debug)]
struct Ends {
    v4: Cells<u32>,
    v6: Cells<u128>,
}

impl Ends {
    fn compile(rules: &[Rule], end: impl Fn(&Rule) -> Option<Subnet>, sets: &mut Sets) -> Self {
        // A rule for one kind of addresses holds for none of the other.
        let v4 = |rule: &Rule| {
            end(rule).map(|subnet| match subnet.address {
                IpAddr::V4(address) => {
                    let rest = u32::MAX.checked_shr(subnet.prefix_len.into()).unwrap_or(0);
                    address.to_bits() & !rest..=address.to_bits() | rest
                }
                IpAddr::V6(_) => none(u32::MAX),
            })
        };
        let v6 = |rule: &Rule| {
            end(rule).map(|subnet| match subnet.address {
                IpAddr::V6(address) => {
                    let rest = u128::MAX.checked_shr(subnet.prefix_len.into()).unwrap_or(0);
                    address.to_bits() & !rest..=address.to_bits() | rest
                }
                IpAddr::V4(_) => none(u128::MAX),
            })
        };
        Self {
            v4: Cells::compile(stretches(rules, v4, sets)),
            v6: Cells::compile(stretches(rules, v6, sets)),
        }
    }

    fn scale(&mut self, by: u16) {
        self.v4.scale(by);
        self.v6.scale(by);
    }

    #[inline(always)]
    fn class(&self, family: Family, address: Address) -> usize {
        match family {
            Family::V4 => self.v4.class(address.ipv4_bits()),
            Family::V6 => {
                let [high, low] = address.ipv6_bits();
                self.v6.class(u128::from(high) << 64 | u128::from(low))
            }
        }
    }
}

fn stretches<T: axis::Step>(
    rules: &[Rule],
    values: impl Fn(&Rule) -> Option<RangeInclusive<T>>,
    sets: &mut Sets,
) -> Stretches<T> {
    Stretches::compile(rules.iter().map(values), sets)
}

fn table(rules: &[Rule], values: impl Fn(&Rule) -> Option<RangeInclusive<u16>>, sets: &mut Sets) -> Table {
    Table::compile(&stretches(rules, values, sets))
}

const fn only<T: Copy>(value: T) -> RangeInclusive<T> {
    value..=value
}

/// A range without values: it ends before it begins.
fn none<T: From<u8>>(value: T) -> RangeInclusive<T> {
    value..=T::from(0)
}

#[expect(clippy::cast_possible_truncation, reason = "there are fewer than 256 ports")]
const fn number(port: PortId) -> u16 {
    port.index() as u16
}

#[cfg(test)]
mod tests;
