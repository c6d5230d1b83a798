//! GRE of PPTP calls (RFC 2637): its packets are named by both ids of their call.
//!
//! A packet holds its receiver's id only, so the two directions of a call would be two flows. The control connection
//! tells both ids, and for as long as they are known each packet of the call gets its sender's id too: Linux's keymap.
//! As there, the id is forgotten with the call, with its control connection, and with its GRE flow.
//!
//! Linux means an expected GRE flow to live 600 s, and 18000 s once it is answered, but its tracker overrides that
//! with the first packet: such a flow lives as long as any other of GRE, and so it does here.

use super::expect::Master;
use super::record::Origin;
use super::table::RecordId;
use super::{ConnState, Context, End, Lookup, Owners, Packet, Tracked, Tracker};
use crate::helper::pptp::Call;
use crate::helper::{Helper, Refused};
use crate::key::{Endpoint, FlowKey};
use crate::parse::{Parsed, Transport};
use crate::units::Tick;
use crate::wire::{Gre, IpProtocol};
use core::net::SocketAddr;
use hashbrown::{HashMap, HashTable};

/// One direction of a call.
#[derive(Clone, Copy, Debug)]
struct Leg {
    /// From the sender, key 0, to the receiver: what a packet says.
    name: FlowKey,
    sender: u16,
    master: RecordId,
    /// Of two calls that a packet may be of, it is of the one that was named first.
    serial: u64,
}

/// A control connection that has had a call named.
#[derive(Clone, Copy, Debug)]
struct Control {
    /// Tells it from a later one in the same record.
    serial: u64,
    call: Option<(Call, [FlowKey; 2])>,
}

/// The calls of one worker whose ids are known, in bounded memory that is allocated at the start.
#[derive(Debug)]
pub struct Calls {
    legs: HashTable<Leg>,
    controls: HashMap<RecordId, Control>,
    /// The GRE flows of calls, with their control connections.
    flows: HashMap<RecordId, (RecordId, u64)>,
    max: usize,
    secret: u64,
    serial: u64,
}

impl Calls {
    /// Room for `max` of them.
    pub fn new(max: usize, secret: u64) -> Self {
        // A table that is never more than half full clears what was removed in place.
        Self {
            legs: HashTable::with_capacity(4 * max),
            controls: HashMap::with_capacity(2 * max),
            flows: HashMap::with_capacity(2 * max),
            max,
            secret,
            serial: 0,
        }
    }

    /// Names the packets of a call between the ends of `master`. It may have one call named; another one is refused,
    /// and one with the same id of the server, but another of the client, undoes the first besides, as in Linux.
    pub fn map(&mut self, master: &Master, call: Call) -> Result<(), Refused> {
        let full = self.controls.len() >= self.max;
        let control = match self.controls.get(&master.record) {
            Some(Control { call: Some((named, _)), .. }) if *named == call => return Ok(()),
            Some(Control { call: Some((named, _)), .. }) => {
                if named.server == call.server {
                    self.unmap(master.record);
                }
                return Err(Refused::Taken);
            }
            Some(control) => *control,
            None if full => return Err(Refused::Full),
            None => Control { serial: self.serial, call: None },
        };
        let Origin { key, side } = master.heritage.origin;
        let [client, server] = [side, side.opposite()].map(|side| key.endpoint(side).address);
        let leg = |sender, receiver, id| {
            let (from, to) = (Endpoint::new(sender, 0), Endpoint::new(receiver, id));
            FlowKey::oriented(key.family(), IpProtocol::GRE.0, from, to)
        };
        let legs = [leg(client, server, call.server), leg(server, client, call.client)];
        for (name, sender) in legs.into_iter().zip([call.client, call.server]) {
            let leg = Leg { name, sender, master: master.record, serial: self.serial };
            let secret = self.secret;
            self.legs.insert_unique(name.hash(secret), leg, |held| held.name.hash(secret));
        }
        self.controls.insert(master.record, Control { call: Some((call, legs)), ..control });
        self.serial += 1;
        Ok(())
    }

    /// Forgets the call of this master.
    fn unmap(&mut self, master: RecordId) {
        let Some((_, legs)) = self.controls.get_mut(&master).and_then(|control| control.call.take()) else {
            return;
        };
        for name in legs {
            let its = |leg: &Leg| leg.name == name && leg.master == master;
            if let Ok(leg) = self.legs.find_entry(name.hash(self.secret), its) {
                leg.remove();
            }
        }
    }

    /// Forgets this master.
    fn forget(&mut self, master: RecordId) {
        self.unmap(master);
        self.controls.remove(&master);
    }

    /// The flow of a call has begun. One that there is no room for leaves its name behind.
    fn begin(&mut self, flow: RecordId, master: RecordId) {
        if let Some(control) = self.controls.get(&master).filter(|_| self.flows.len() < self.max) {
            self.flows.insert(flow, (master, control.serial));
        }
    }

    /// The flow of a call has ended.
    fn end(&mut self, flow: RecordId) {
        let Some((master, serial)) = self.flows.remove(&flow) else { return };
        if self.controls.get(&master).is_some_and(|control| control.serial == serial) {
            self.unmap(master);
        }
    }

    /// The packet with the id of its sender, if its call is known.
    pub(super) fn name(&self, parsed: &Parsed) -> Option<Parsed> {
        if self.legs.is_empty() {
            return None;
        }
        let (source, destination) =
            (parsed.key.endpoint(parsed.side), parsed.key.endpoint(parsed.side.opposite()));
        let name = FlowKey::oriented(parsed.family(), IpProtocol::GRE.0, source, destination);
        let legs = self.legs.iter_hash(name.hash(self.secret)).filter(|leg| leg.name == name);
        let sender = legs.min_by_key(|leg| leg.serial)?.sender;
        let source = Endpoint { port: sender, ..source };
        let (key, side) = FlowKey::sorted(parsed.family(), IpProtocol::GRE.0, source, destination);
        Some(Parsed { key, side, ..*parsed })
    }
}

impl Tracker {
    /// A GRE packet. One of a known call is looked up anew, by its full name.
    pub(super) fn gre<O: Owners>(
        &mut self,
        packet: &Packet<'_>,
        lookup: &Lookup,
        changes: u64,
        context: &Context<'_, O>,
    ) -> Tracked {
        let header = Gre::new(packet.parsed.transport(packet.bytes));
        let of_a_call = header.is_some_and(|header| header.call_id().is_some());
        let named = if of_a_call { self.calls.name(packet.parsed) } else { None };
        let (parsed, hash, record) = match &named {
            Some(named) => {
                let hash = self.table.prepare(&named.key);
                let record = self.table.find(&named.key, hash);
                (named, hash, record.and_then(|record| self.alive(record, context.now)))
            }
            None => {
                let record = self.find(packet.parsed, lookup, changes, context.now);
                (packet.parsed, lookup.hash, record)
            }
        };
        let tracked = self.flow(&Packet { parsed, ..*packet }, Transport::Gre, hash, record, context);
        if record.is_none() && tracked.state == Some(ConnState::Related) {
            self.begin_call(parsed);
        }
        tracked
    }

    /// The first packet of a call has been let in. Both ends were expected to speak first; one has.
    fn begin_call(&mut self, parsed: &Parsed) {
        let (from, to) = (parsed.key.endpoint(parsed.side), parsed.key.endpoint(parsed.side.opposite()));
        self.withdraw_expected(to, from, parsed.key);
        let Some(flow) = self.table.find_key(&parsed.key) else { return };
        let master = self.table.extra(flow).and_then(|extra| extra.master);
        if let Some(master) = master.and_then(|master| self.table.find_key(&master.key)) {
            self.calls.begin(flow, master);
        }
    }

    /// The flow of a GRE packet that an ICMP error quotes; `record` is the one that it names by itself.
    pub(super) fn quoted_gre(
        &mut self,
        parsed: &Parsed,
        record: Option<RecordId>,
        now: Tick,
    ) -> Option<RecordId> {
        let Some(named) = self.calls.name(parsed) else { return record };
        self.table.find_key(&named.key).and_then(|record| self.alive(record, now))
    }

    /// Ends the call of a control connection, as [`Book::end_gre`](crate::helper::Book::end_gre) says.
    pub(super) fn end_call(&mut self, master: RecordId, call: Call, now: Tick) {
        self.calls.unmap(master);
        let Origin { key, side } = self.itself(master);
        let client = Endpoint::new(key.endpoint(side).address, call.client);
        let server = Endpoint::new(key.endpoint(side.opposite()).address, call.server);
        for (source, destination) in [(client, server), (server, client)] {
            let (name, _) = FlowKey::sorted(key.family(), IpProtocol::GRE.0, source, destination);
            match self.table.find_key(&name) {
                Some(record) => self.end(record, End::Closed, now),
                None => self.withdraw_expected(source, destination, key),
            }
        }
    }

    /// What goes with a flow of PPTP: with a control connection its latest call, with the GRE flow of a call its name.
    pub(super) fn close_pptp(&mut self, record: RecordId, now: Tick) {
        match self.table.extra(record).and_then(|extra| extra.helper) {
            Some(Helper::Pptp(state)) => {
                self.end_call(record, state.call(), now);
                self.calls.forget(record);
            }
            _ if self.table.hot(record).key.protocol() == IpProtocol::GRE.0 => self.calls.end(record),
            _ => {}
        }
    }

    /// Waits no longer for GRE from one end to the other.
    fn withdraw_expected(&mut self, source: Endpoint, destination: Endpoint, key: FlowKey) {
        let [source, destination] =
            [source, destination].map(|end| SocketAddr::new(end.address.ip(key.family()), end.port));
        self.expectations.withdraw(IpProtocol::GRE, source, destination);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HelperKind;
    use crate::key::{Address, Family, Side};
    use crate::track::record::{Decided, Heritage};
    use crate::units::Mark;
    use proptest::prelude::*;

    const CLIENT: Address = Address::v4([10, 0, 0, 1]);
    const SERVER: Address = Address::v4([192, 0, 2, 9]);

    fn master(record: RecordId) -> Master {
        let (client, server) = (Endpoint::new(CLIENT, 4000), Endpoint::new(SERVER, 1723));
        let (key, side) = FlowKey::sorted(Family::V4, 6, client, server);
        let origin = Origin { key, side };
        let heritage = Heritage { origin, decided: Decided::default(), mark: Mark::default() };
        Master { record, heritage, helper: HelperKind::Pptp }
    }

    const fn call(client: u16, server: u16) -> Call {
        Call { client, server }
    }

    /// The sender's id of a packet to the call `id`.
    fn sender(calls: &Calls, from: Address, to: Address, id: u16) -> Option<u16> {
        let (key, side) =
            FlowKey::sorted(Family::V4, IpProtocol::GRE.0, Endpoint::new(from, 0), Endpoint::new(to, id));
        let named = calls.name(&Parsed { key, side, ..Parsed::default() })?;
        assert_eq!(named.key.endpoint(named.side.opposite()), Endpoint::new(to, id));
        Some(named.key.endpoint(named.side).port)
    }

    #[test]
    fn a_packet_gets_the_id_of_its_sender() {
        let mut calls = Calls::new(4, 7);
        assert_eq!(sender(&calls, CLIENT, SERVER, 22), None);
        calls.map(&master(1), call(11, 22)).unwrap();
        assert_eq!(sender(&calls, CLIENT, SERVER, 22), Some(11));
        assert_eq!(sender(&calls, SERVER, CLIENT, 11), Some(22));
        assert_eq!(sender(&calls, SERVER, CLIENT, 22), None);
        calls.forget(1);
        assert_eq!(sender(&calls, CLIENT, SERVER, 22), None);
        assert!(calls.legs.is_empty() && calls.controls.is_empty());
    }

    #[test]
    fn a_connection_has_one_call() {
        let mut calls = Calls::new(4, 7);
        calls.map(&master(1), call(11, 22)).unwrap();
        assert_eq!(calls.map(&master(1), call(11, 22)), Ok(()));
        assert_eq!(calls.map(&master(1), call(12, 23)), Err(Refused::Taken));
        assert_eq!(sender(&calls, CLIENT, SERVER, 22), Some(11));
        assert_eq!(calls.map(&master(1), call(12, 22)), Err(Refused::Taken));
        assert_eq!(sender(&calls, CLIENT, SERVER, 22), None, "the first is undone");
        assert_eq!(calls.map(&master(1), call(12, 23)), Ok(()));
    }

    #[test]
    fn of_two_calls_the_first_counts() {
        let mut calls = Calls::new(4, 7);
        for (record, client) in [(1, 11), (2, 12)] {
            calls.map(&master(record), call(client, 22)).unwrap();
        }
        assert_eq!(sender(&calls, CLIENT, SERVER, 22), Some(11));
        calls.unmap(1);
        assert_eq!(sender(&calls, CLIENT, SERVER, 22), Some(12));
    }

    #[test]
    fn the_end_of_a_flow_undoes_what_its_own_connection_names() {
        let mut calls = Calls::new(4, 7);
        calls.map(&master(1), call(11, 22)).unwrap();
        calls.begin(90, 1);
        calls.forget(1);
        calls.map(&master(1), call(13, 22)).unwrap();
        calls.begin(91, 1);
        calls.end(90);
        assert_eq!(sender(&calls, CLIENT, SERVER, 22), Some(13), "that was another connection's");
        calls.end(91);
        assert_eq!(sender(&calls, CLIENT, SERVER, 22), None);
        assert!(calls.flows.is_empty());
    }

    /// Bytes of memory.
    fn sizes(calls: &Calls) -> [usize; 3] {
        [calls.legs.allocation_size(), calls.controls.allocation_size(), calls.flows.allocation_size()]
    }

    #[derive(Clone, Copy, Debug)]
    enum Act {
        Map(RecordId, u16, u16),
        Unmap(RecordId),
        Forget(RecordId),
        Begin(RecordId, RecordId),
        End(RecordId),
    }

    fn act() -> impl Strategy<Value = Act> {
        let record = 0u32..6;
        prop_oneof![
            (record.clone(), 0u16..3, 0u16..3).prop_map(|(r, c, s)| Act::Map(r, c, s)),
            record.clone().prop_map(Act::Unmap),
            record.clone().prop_map(Act::Forget),
            (100u32..108, record).prop_map(|(f, r)| Act::Begin(f, r)),
            (100u32..108).prop_map(Act::End),
        ]
    }

    proptest! {
        #[test]
        fn memory_is_bounded_and_every_name_has_its_connection(acts in proptest::collection::vec(act(), 0..200)) {
            let mut calls = Calls::new(4, 7);
            let room = sizes(&calls);
            for act in acts {
                match act {
                    Act::Map(record, client, server) => drop(calls.map(&master(record), call(client, server))),
                    Act::Unmap(record) => calls.unmap(record),
                    Act::Forget(record) => calls.forget(record),
                    Act::Begin(flow, record) => calls.begin(flow, record),
                    Act::End(flow) => calls.end(flow),
                }
                let named = calls.controls.values().filter(|control| control.call.is_some()).count();
                prop_assert_eq!(calls.legs.len(), 2 * named);
                prop_assert!(calls.controls.len() <= 4 && calls.flows.len() <= 4);
            }
            prop_assert_eq!(room, sizes(&calls));
        }
    }

    #[test]
    fn the_side_of_the_client_does_not_matter() {
        let mut calls = Calls::new(4, 7);
        let (client, server) = (Endpoint::new(SERVER, 4000), Endpoint::new(CLIENT, 1723));
        let (key, side) = FlowKey::sorted(Family::V4, 6, client, server);
        assert_eq!(side, Side::Second);
        let heritage = Heritage { origin: Origin { key, side }, ..master(1).heritage };
        calls.map(&Master { heritage, ..master(1) }, call(11, 22)).unwrap();
        assert_eq!(sender(&calls, SERVER, CLIENT, 22), Some(11));
    }
}
