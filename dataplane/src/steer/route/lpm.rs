//! Longest-prefix match: of all networks that an address is in, what the smallest of them comes to.
//!
//! Plain numbers in, plain numbers out: a [`Prefix`] has a value, and a look-up gives the value. An address of either
//! family is digits, the first of 24 bits and four of 26; one of IPv4 has zeros behind its 32. The first has a table
//! with a cell for each number, as in DIR-24-8 (Gupta, Lin and McKeown, 1998). Where longer prefixes divide a cell a
//! search tree follows, over the ranges that they make of the next digit, a cache line a node; and so on.
//!
//! So most look-ups read one line, and no tree is deeper than the logarithm of the routes in it, however prefixes lie in
//! one another. The cells take 64 MiB of addresses, of which only those pages are ever touched that a route but the
//! default one covers. What is made once is never changed; a new one is made beside it.

use crate::prefetch::prefetch;

/// A network, and what its addresses come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefix {
    /// Its first address; one of IPv4 in the 32 high bits.
    pub(super) first: u128,
    /// Leading bits that are the network's.
    pub(super) len: u8,
    /// Below [`VALUES_MAX`].
    pub(super) value: u32,
}

/// Values are below this.
pub(super) const VALUES_MAX: u32 = 1 << DIGIT_SHIFT;

/// Set in an entry that is no value: the rest is a position among the nodes,
const NODE: u32 = 1 << 31;
/// and, from this bit on, which digit behind the first they divide.
const DIGIT_SHIFT: u32 = 29;

const FIRST_BITS: u8 = 24;
/// Numbers that the first digit has.
const CELLS: usize = 1 << FIRST_BITS;
const OTHER_BITS: u8 = 26;
/// Digits behind the first.
const OTHERS: u8 = 4;

const _: () = assert!(FIRST_BITS + OTHERS * OTHER_BITS == 128 && NODE >> DIGIT_SHIFT == OTHERS as u32);

/// All routes of one family.
#[derive(Debug)]
pub(super) struct Lpm {
    /// What a cell holds is its entry's difference from the default, so that memory which is zero is right.
    default: u32,
    cells: Box<[u32; CELLS]>,
    nodes: Vec<Node>,
}

impl Lpm {
    /// A table of these routes; of two for one network the last holds. `default` is for what none covers.
    pub(super) fn compile(default: u32, mut routes: Vec<Prefix>) -> Self {
        debug_assert!(routes.iter().all(|route| route.value < VALUES_MAX));
        routes.sort_by_key(|route| (route.first, route.len));
        let for_all = routes.partition_point(|route| (route.first, route.len) == (0, 0));
        let default = routes[..for_all].last().map_or(default, |route| route.value);
        let mut nodes = Vec::new();
        let row = Row::compile(Digit::FIRST, default, &routes[for_all..], &mut nodes);
        // Zeros, of which no page is touched.
        let cells = vec![0; CELLS].into_boxed_slice().try_into();
        let Ok(mut cells): Result<Box<[u32; CELLS]>, _> = cells else {
            unreachable!("it is as long as that")
        };
        let mut next = 0;
        for Range { last, entry } in row.ranges {
            let last = last as usize;
            if entry != default {
                cells[next..=last].fill(entry ^ default);
            }
            next = last + 1;
        }
        nodes.shrink_to_fit();
        Self { default, cells, nodes }
    }

    /// Asks for the line that [`Self::find_ipv4`] reads first.
    #[inline]
    pub(super) fn prefetch_ipv4(&self, address: u32) {
        prefetch(&self.cells[(address >> 8) as usize]);
    }

    /// The same for [`Self::find_ipv6`].
    #[inline]
    pub(super) fn prefetch_ipv6(&self, [high, _]: [u64; 2]) {
        prefetch(&self.cells[(high >> 40) as usize]);
    }

    /// The value of the longest prefix that this address begins with.
    #[inline]
    pub(super) fn find_ipv4(&self, address: u32) -> u32 {
        self.find((address >> 8) as usize, || [(address & 0xff) << (OTHER_BITS - 8), 0, 0, 0])
    }

    /// The same for IPv6, whose address is two numbers.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a digit has 26 bits")]
    pub(super) fn find_ipv6(&self, [high, low]: [u64; 2]) -> u32 {
        self.find((high >> 40) as usize, || {
            let digits = [high >> 14, high << 12 | low >> 52, low >> 26, low];
            digits.map(|digit| digit as u32 & Digit::OTHER_MAX)
        })
    }

    /// Asks for the other digits where a tree follows.
    #[inline(always)]
    fn find(&self, cell: usize, digits: impl FnOnce() -> [u32; OTHERS as usize]) -> u32 {
        let entry = self.cells[cell] ^ self.default;
        if entry & NODE == 0 { entry } else { self.descend(entry, digits()) }
    }

    #[inline]
    fn descend(&self, mut entry: u32, digits: [u32; OTHERS as usize]) -> u32 {
        while entry & NODE != 0 {
            let node = &self.nodes[(entry & (VALUES_MAX - 1)) as usize];
            entry = node.child(digits[(entry >> DIGIT_SHIFT) as usize % digits.len()]);
        }
        entry
    }
}

/// A digit of an address: the bits before it, and before its end.
#[derive(Clone, Copy, Debug)]
struct Digit {
    start: u8,
    end: u8,
}

impl Digit {
    const FIRST: Self = Self { start: 0, end: FIRST_BITS };
    const OTHER_MAX: u32 = Self::FIRST.next().max();

    const fn next(self) -> Self {
        Self { start: self.end, end: self.end + OTHER_BITS }
    }

    /// Its highest number.
    const fn max(self) -> u32 {
        (1 << (self.end - self.start)) - 1
    }

    #[expect(clippy::cast_possible_truncation, reason = "a digit has 26 bits at most")]
    const fn of(self, address: u128) -> u32 {
        (address >> (128 - self.end)) as u32 & self.max()
    }

    /// What an entry is marked with that is a node over this digit's ranges.
    const fn mark(self) -> u32 {
        NODE | (((self.start - FIRST_BITS) / OTHER_BITS) as u32 * VALUES_MAX)
    }
}

/// Children of a node, at most.
const CHILDREN: usize = 8;

/// Some ranges of a digit, or nodes over them, in order.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Node {
    /// The children's last numbers. That of the last child, and of those that are not there, is the highest.
    lasts: [u32; CHILDREN],
    entries: [u32; CHILDREN],
}

const _: () = assert!(size_of::<Node>() == 64);

impl Node {
    /// Of [`CHILDREN`] at most.
    fn new(children: &[Range]) -> Self {
        let mut node = Self { lasts: [Digit::OTHER_MAX; CHILDREN], entries: [0; CHILDREN] };
        node.lasts[..CHILDREN - 1].iter_mut().zip(children).for_each(|(last, child)| *last = child.last);
        node.entries.iter_mut().zip(children).for_each(|(entry, child)| *entry = child.entry);
        node
    }

    /// The entry of the child that the number falls to: the first that does not end below it. A difference's sign says
    /// which do, for digits have less than 32 bits; so all are compared at once, and nothing is guessed.
    #[inline(always)]
    fn child(&self, number: u32) -> u32 {
        let below: u32 = self.lasts.iter().map(|last| last.wrapping_sub(number) >> 31).sum();
        self.entries[below as usize % CHILDREN]
    }
}

/// Numbers of a digit, from behind the range before them to their last, and what they come to.
#[derive(Clone, Copy, Debug)]
struct Range {
    last: u32,
    entry: u32,
}

/// Ranges in order, which cover a digit's numbers.
struct Row {
    ranges: Vec<Range>,
}

impl Row {
    /// What these routes make of a digit's numbers. They stand in the order of their first addresses, the shorter before
    /// the longer, are alike in the digits before, and longer than these. `default` is for what none covers.
    fn compile(digit: Digit, default: u32, mut routes: &[Prefix], nodes: &mut Vec<Node>) -> Self {
        let mut row = Self { ranges: Vec::new() };
        // The routes that the sweep is in, the smallest last.
        let mut open = vec![Range { last: digit.max(), entry: default }];
        while let Some(route) = routes.first() {
            let first = digit.of(route.first);
            while let Some(ended) = open.pop_if(|range| range.last < first) {
                row.push(ended);
            }
            let around = open.last().map_or(default, |range| range.entry);
            if let Some(last) = first.checked_sub(1) {
                row.push(Range { last, entry: around });
            }
            let divides = |route: &&Prefix| route.len > digit.end && digit.of(route.first) == first;
            let dividing = routes.iter().take_while(divides).count();
            open.push(match dividing {
                0 => Range { last: first | digit.max() >> (route.len - digit.start), entry: route.value },
                _ => {
                    let part = Self::compile(digit.next(), around, &routes[..dividing], nodes);
                    Range { last: first, entry: part.into_tree(digit.next(), nodes) }
                }
            });
            routes = &routes[dividing.max(1)..];
        }
        while let Some(ended) = open.pop() {
            row.push(ended);
        }
        row
    }

    /// The next range: none if nothing is left of it, and part of the one before if that comes to the same.
    fn push(&mut self, range: Range) {
        match self.ranges.last_mut() {
            Some(before) if before.last >= range.last => {}
            Some(before) if before.entry == range.entry => before.last = range.last,
            _ => self.ranges.push(range),
        }
    }

    /// Builds a tree over the ranges from its leaves up, and gives its root: no node but a value if there is one range.
    fn into_tree(mut self, digit: Digit, nodes: &mut Vec<Node>) -> u32 {
        while self.ranges.len() > 1 {
            let parents = self.ranges.len().div_ceil(CHILDREN);
            for parent in 0..parents {
                let rest = &self.ranges[parent * CHILDREN..];
                let children = &rest[..rest.len().min(CHILDREN)];
                let last = children[children.len() - 1].last;
                let entry = match children {
                    [child] => child.entry,
                    _ => digit.mark() | add(Node::new(children), nodes),
                };
                self.ranges[parent] = Range { last, entry };
            }
            self.ranges.truncate(parents);
        }
        self.ranges[0].entry
    }
}

/// Adds a node and gives its position.
#[expect(clippy::cast_possible_truncation, reason = "2^29 nodes would take 32 GiB")]
fn add(node: Node, nodes: &mut Vec<Node>) -> u32 {
    nodes.push(node);
    (nodes.len() - 1) as u32
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "parts of random numbers are meant")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONE: u32 = 77;

    fn prefix(first: u128, len: u8, value: u32) -> Prefix {
        let hosts = u128::MAX.checked_shr(len.into()).unwrap_or(0);
        Prefix { first: first & !hosts, len, value }
    }

    fn last(prefix: &Prefix) -> u128 {
        prefix.first | u128::MAX.checked_shr(prefix.len.into()).unwrap_or(0)
    }

    /// Reads all routes for each address.
    fn linear(routes: &[Prefix], address: u128) -> u32 {
        let around = routes.iter().filter(|route| (route.first..=last(route)).contains(&address));
        around.max_by_key(|route| route.len).map_or(NONE, |route| route.value)
    }

    /// Routes that often lie in one another, or are for one network: few first bits differ. Few are very short, because
    /// those fill many cells.
    fn routes(bits: u8) -> impl Strategy<Value = Vec<Prefix>> {
        let len = prop_oneof![1 => 0..=bits, 40 => 12..=bits, 8 => bits - 4..=bits, 1 => Just(0)];
        let sparse = |n: u128| n & 0x4800_0103_0000_0081_0000_4003_8000_0005;
        let first = prop_oneof![
            any::<u32>().prop_map(|n| u128::from(n & 0x4800_0103) << 96),
            any::<u128>().prop_map(sparse),
            any::<u128>(),
        ];
        let first = first.prop_map(move |first| first & !u128::MAX.checked_shr(bits.into()).unwrap_or(0));
        let route = (first, len, 0..64u32).prop_map(|(first, len, value)| prefix(first, len, value));
        proptest::collection::vec(route, 0..40)
    }

    /// Where an answer may change, and anywhere.
    fn addresses(routes: &[Prefix], random: &[u128]) -> Vec<u128> {
        let edges = routes.iter().flat_map(|route| {
            let (first, last) = (route.first, last(route));
            [first, last, first.wrapping_sub(1), last.wrapping_add(1)]
        });
        edges.chain(random.iter().copied()).chain([0, u128::MAX]).collect()
    }

    proptest! {
        #[test]
        fn the_longest_ipv4_prefix_is_found(routes in routes(32), random: [u128; 8]) {
            let table = Lpm::compile(NONE, routes.clone());
            for address in addresses(&routes, &random) {
                let address = (address >> 96) as u32;
                prop_assert_eq!(table.find_ipv4(address), linear(&routes, u128::from(address) << 96), "{:08x}", address);
            }
        }

        #[test]
        fn the_longest_ipv6_prefix_is_found(routes in routes(128), random: [u128; 8]) {
            let table = Lpm::compile(NONE, routes.clone());
            for address in addresses(&routes, &random) {
                let halves = [(address >> 64) as u64, address as u64];
                prop_assert_eq!(table.find_ipv6(halves), linear(&routes, address), "{:032x}", address);
            }
        }
    }

    #[test]
    fn without_routes_there_is_the_default() {
        let table = Lpm::compile(NONE, Vec::new());
        assert_eq!((table.find_ipv4(0), table.find_ipv4(u32::MAX)), (NONE, NONE));
        assert_eq!((table.find_ipv6([0; 2]), table.find_ipv6([u64::MAX; 2])), (NONE, NONE));
    }

    #[test]
    fn a_cell_full_of_hosts_has_a_tree_over_all_of_them() {
        let hosts = (0..256u32).map(|host| prefix(u128::from(0xc000_0200 | host) << 96, 32, host));
        let table = Lpm::compile(NONE, hosts.collect());
        (0..256).for_each(|host| assert_eq!(table.find_ipv4(0xc000_0200 | host), host));
        assert_eq!((table.find_ipv4(0xc000_01ff), table.find_ipv4(0xc000_0300)), (NONE, NONE));
        // 32 leaves, 4 nodes over them, a root.
        assert_eq!(table.nodes.len(), 37);
    }

    #[test]
    fn neighbours_with_one_value_take_no_memory() {
        let hosts = (0..256u32).map(|host| prefix(u128::from(0xc000_0200 | host) << 96, 32, 5));
        let table = Lpm::compile(NONE, hosts.collect());
        assert!(table.nodes.is_empty());
        assert_eq!((table.find_ipv4(0xc000_0200), table.find_ipv4(0xc000_02ff)), (5, 5));
    }
}
