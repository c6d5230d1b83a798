//! The tracker's side of helpers: shows them packets, and books what they expect.

use super::expect::{Expectations, Master};
use super::gre::Calls;
use super::record::Flags;
use super::table::RecordId;
use super::{ConnState, Packet, Tracker};
use crate::counters::DropReason;
use crate::helper::pptp::Call;
use crate::helper::{Book, Booked, Expected, Found, Outcome, Refused, Segment};
use crate::parse::Transport;
use crate::units::{Direction, Span, Tick};
use crate::wire::{IpProtocol, Tcp, udp};
use core::net::{IpAddr, SocketAddr};

/// A [`Book`] for one flow.
struct Desk<'a> {
    expectations: &'a mut Expectations,
    calls: &'a mut Calls,
    master: Master,
    now: Tick,
    booked: u32,
    refresh: Option<Span>,
    ended: Option<Call>,
}

impl Book for Desk<'_> {
    fn expect(&mut self, expected: &Expected) -> Result<Booked, Refused> {
        let number = self.expectations.add(expected, &self.master, self.now)?;
        self.booked += 1;
        Ok(Booked(number))
    }

    fn withdraw(&mut self, booked: Booked) {
        self.expectations.remove(booked.0);
    }

    fn find(&self, protocol: IpProtocol, source: Option<IpAddr>, destination: SocketAddr) -> Option<Found> {
        let (number, waiting, master) = self.expectations.find(protocol, source, destination, self.now)?;
        Some(Found {
            booked: Booked(number),
            own: master == Some(self.master.record),
            helper: waiting.helper,
            class: waiting.expected.class.index,
        })
    }

    fn own(&self) -> impl Iterator<Item = (Booked, Expected)> {
        self.expectations.own(self.master.record).map(|(number, expected)| (Booked(number), *expected))
    }

    fn activate(&mut self, booked: Booked, timeout: Span) {
        self.expectations.activate(booked.0, self.now, timeout);
    }

    fn refresh(&mut self, timeout: Span) {
        self.refresh = Some(timeout);
    }

    fn map_gre(&mut self, call: Call) -> Result<(), Refused> {
        self.calls.map(&self.master, call)
    }

    fn end_gre(&mut self, call: Call) {
        self.ended = Some(call);
    }
}

impl Tracker {
    /// Shows a packet to its flow's helper, if it has one: the reason to drop it, if there is one.
    pub(super) fn help(
        &mut self,
        packet: &Packet<'_>,
        transport: Transport,
        record: RecordId,
        (state, direction): (ConnState, Direction),
        now: Tick,
    ) -> Option<DropReason> {
        let mut helper = self.table.extra(record)?.helper?;
        let segment = segment(packet, transport)?;
        let hot = self.table.hot(record);
        let segment = Segment {
            direction,
            established: state == ConnState::Established,
            expected: hot.flags.has(Flags::EXPECTED),
            alone: self.is_shared(record),
            ..segment
        };
        let master = Master { record, heritage: self.heritage(record), helper: helper.kind() };
        let mut desk = Desk {
            expectations: &mut self.expectations,
            calls: &mut self.calls,
            master,
            now,
            booked: 0,
            refresh: None,
            ended: None,
        };
        let outcome = helper.inspect(&segment, &mut desk);
        let Desk { booked, refresh, ended, .. } = desk;
        if let Some(extra) = self.table.extra_mut(record) {
            extra.helper = Some(helper);
        }
        if booked > 0 {
            self.table.hot_mut(record).flags.set(Flags::EXPECTING);
            self.counters.expectations_created.add(u64::from(booked));
            self.counters.expectations.set(self.expectations.len() as u64);
        }
        if let Some(timeout) = refresh {
            self.table.set_deadline(record, now.after(timeout));
        }
        if let Some(call) = ended {
            self.end_call(record, call, now);
        }
        (outcome == Outcome::Drop).then_some(DropReason::Helper)
    }
}

/// What a helper is shown of a packet, but for what the flow knows.
fn segment<'a>(packet: &Packet<'a>, transport: Transport) -> Option<Segment<'a>> {
    let parsed = packet.parsed;
    let bytes = parsed.transport(packet.bytes);
    let (seq, payload) = match transport {
        Transport::Tcp => Tcp::new(bytes).map(|tcp| (tcp.seq(), tcp.payload()))?,
        _ => (0, bytes.get(udp::HEADER_LEN..)?),
    };
    let family = parsed.family();
    let end = |side| {
        let endpoint = parsed.key.endpoint(side);
        SocketAddr::new(endpoint.address.ip(family), endpoint.port)
    };
    Some(Segment {
        direction: Direction::Original,
        protocol: IpProtocol(parsed.key.protocol()),
        established: false,
        expected: false,
        alone: false,
        seq,
        payload,
        source: end(parsed.side),
        destination: end(parsed.side.opposite()),
        local: None,
    })
}
