//! A packet of a flow: one that is there, or one that it opens.

use super::answer::{answer, class_of_tcp, timeout_of};
use super::record::{Cold, Detail, Extra, Flags, Hot};
use super::table::RecordId;
use super::tcp::{Connection, Effect, Segment, Standing};
use super::{ConnState, Context, End, Origin, Owners, Tracked, Tracker};
use crate::config::Conntrack;
use crate::counters::{DropReason, FlowClass};
use crate::helper::{self, Helper, Outcome};
use crate::parse::{Parsed, Transport};
use crate::units::{Direction, Mark, Span, Tick};
use crate::wire::Tcp;

/// From this age on an answered UDP flow is a stream.
const UDP_STREAM_AGE: Span = match Span::from_s(2) {
    Some(span) => span,
    None => Span::MAX,
};

/// What a packet does to the flow it belongs to.
enum Touch {
    /// The flow lives this long from now; `true`: it has proven itself.
    Refresh(Span, bool),
    /// The flow's time runs on.
    Keep,
    /// The flow ends with this packet.
    Delete,
}

impl Tracker {
    pub(super) fn flow<O: Owners>(
        &mut self,
        frame: &[u8],
        parsed: &Parsed,
        transport: Transport,
        hash: u64,
        record: Option<RecordId>,
        context: &Context<'_, O>,
    ) -> Tracked {
        let Some(record) = record else { return self.open(frame, parsed, transport, hash, context) };
        let direction = parsed.side.direction(self.table.hot(record).origin());
        let touch = match transport {
            Transport::Tcp => match self.see_segment(frame, parsed, record, direction, context) {
                Ok(touch) => touch,
                Err(Some(reason)) => return Tracked::invalid(reason),
                // The old connection is over: what was found was not this packet's flow.
                Err(None) => return self.open(frame, parsed, transport, hash, context),
            },
            _ => self.see_datagram(record, context),
        };
        let state = answer(direction, self.table.hot(record).flags);
        let bucket = self.bucket(record, context.owners);
        self.touch(record, direction, touch, context.now);
        let mut tracked = Tracked {
            state: Some(state),
            reply: direction == Direction::Reply,
            bucket: Some(bucket),
            drop: None,
        };
        // A helper sees what is let through, and only once both sides have spoken.
        if state == ConnState::Established
            && self.table.hot(record).extra != Hot::NO_EXTRA
            && context.owners.tracks(bucket)
        {
            tracked.drop = self.help(frame, parsed, transport, record, direction, context.now);
        }
        tracked
    }

    /// `Err(Some(_))`: INVALID. `Err(None)`: the flow is gone, look again.
    #[inline]
    fn see_segment<O>(
        &mut self,
        frame: &[u8],
        parsed: &Parsed,
        record: RecordId,
        direction: Direction,
        context: &Context<'_, O>,
    ) -> Result<Touch, Option<DropReason>> {
        let Some(segment) = segment(frame, parsed) else { return Err(Some(DropReason::InvalidHeader)) };
        let (hot, cold) = self.table.lines_mut(record);
        let Detail::Tcp(connection) = &mut cold.detail else { return Err(Some(DropReason::InvalidTcpState)) };
        let standing = Standing {
            seen_reply: hot.flags.has(Flags::SEEN_REPLY),
            assured: hot.flags.has(Flags::ASSURED),
            remaining: context.now.until(hot.deadline),
        };
        let effect = connection.see(direction, &segment, &standing, &context.config.tcp);
        let class = class_of_tcp(connection.state());
        if class != hot.class {
            self.counters.flows[hot.class.index()].sub(1);
            self.counters.flows[class.index()].add(1);
            hot.class = class;
        }
        match effect {
            Effect::Refresh { timeout, assured } => Ok(Touch::Refresh(timeout, assured)),
            Effect::Keep => Ok(Touch::Keep),
            Effect::Delete => Ok(Touch::Delete),
            Effect::Invalid { reason, remaining_max } => {
                if let Some(span) = remaining_max {
                    self.table.hasten(record, context.now.after(span));
                }
                Err(Some(reason))
            }
            Effect::Reopen => {
                self.end(record, End::Closed);
                Err(None)
            }
        }
    }

    /// UDP, ICMP and everything else: each packet renews the flow.
    #[inline]
    fn see_datagram<O>(&mut self, record: RecordId, context: &Context<'_, O>) -> Touch {
        let (hot, cold) = self.table.lines_mut(record);
        let usual = timeout_of(hot.class, context.config);
        match cold.detail {
            Detail::Udp { stream_from }
                if hot.flags.has(Flags::SEEN_REPLY) && context.now.reached(stream_from) =>
            {
                Touch::Refresh(context.config.udp_timeout_stream, true)
            }
            _ => Touch::Refresh(usual, false),
        }
    }

    #[inline]
    fn touch(&mut self, record: RecordId, direction: Direction, touch: Touch, now: Tick) {
        let hot = self.table.hot_mut(record);
        if direction == Direction::Reply {
            hot.flags.set(Flags::SEEN_REPLY);
        }
        match touch {
            Touch::Refresh(timeout, assured) => {
                if assured {
                    hot.flags.set(Flags::ASSURED);
                }
                let deadline = now.after(timeout);
                if deadline.reached(hot.deadline) {
                    hot.deadline = deadline;
                } else {
                    self.table.hasten(record, deadline);
                }
            }
            Touch::Keep => {}
            Touch::Delete => self.end(record, End::Closed),
        }
    }

    /// A packet without a flow: the flow it opens, if it may.
    fn open<O: Owners>(
        &mut self,
        frame: &[u8],
        parsed: &Parsed,
        transport: Transport,
        hash: u64,
        context: &Context<'_, O>,
    ) -> Tracked {
        let own = Origin { key: parsed.key, side: parsed.side };
        let source = parsed.key.endpoint(parsed.side);
        let destination = parsed.key.endpoint(parsed.side.opposite());
        let protocol = parsed.key.protocol();
        let family = parsed.family();
        // As in Linux, the first packet that comes uses an expectation up, even one that cannot open a flow.
        let master = self.expectations.take(family, protocol, source.address, destination, context.now);
        let master = master.map(|(_, origin)| origin);
        let (class, cold, timeout) = match first_packet(frame, parsed, transport, context) {
            Ok(first) => first,
            Err(reason) => return Tracked::invalid(reason),
        };
        let bucket = context.owners.bucket(master.as_ref().unwrap_or(&own));
        let state = if master.is_some() { ConnState::Related } else { ConnState::New };
        let mut tracked = Tracked { state: Some(state), reply: false, bucket: Some(bucket), drop: None };
        if !context.owners.tracks(bucket) {
            return tracked;
        }
        let helper = helper_for(context.config, protocol, destination.port);
        let extra = (helper.is_some() || master.is_some()).then_some(Extra { helper, master });
        let mut flags =
            if parsed.side == crate::key::Side::Second { Flags::FROM_SECOND } else { Flags::default() };
        if master.is_some() {
            flags.set(Flags::EXPECTED);
        }
        let hot = Hot {
            key: parsed.key,
            deadline: context.now.after(timeout),
            epoch: Some(context.owners.epoch()),
            mark: Mark::default(),
            extra: Hot::NO_EXTRA,
            bucket,
            flags,
            class,
        };
        if self.insert(hash, hot, cold, extra) {
            self.counters.flows_related.add(u64::from(master.is_some()));
        } else {
            tracked.drop = Some(DropReason::TableFull);
        }
        tracked
    }

    /// Adds a flow, at the cost of one that has not proven itself if need be.
    fn insert(&mut self, hash: u64, hot: Hot, cold: Cold, extra: Option<Extra>) -> bool {
        let mut record = self.table.insert(hash, hot, cold, extra);
        if record.is_none()
            && let Some(victim) = self.table.victim()
        {
            self.end(victim, End::Evicted);
            record = self.table.insert(hash, hot, cold, extra);
        }
        if record.is_some() {
            self.counters.flows[hot.class.index()].add(1);
            self.counters.flows_created.add(1);
        }
        record.is_some()
    }

    /// Shows the packet to the flow's helper, if it has one.
    fn help(
        &mut self,
        frame: &[u8],
        parsed: &Parsed,
        transport: Transport,
        record: RecordId,
        direction: Direction,
        now: Tick,
    ) -> Option<DropReason> {
        let bytes = parsed.transport(frame);
        let (seq, payload) = match transport {
            Transport::Tcp => Tcp::new(bytes).map(|tcp| (tcp.seq(), tcp.payload()))?,
            _ => (0, bytes.get(crate::wire::udp::HEADER_LEN..)?),
        };
        let family = parsed.family();
        let source = parsed.key.endpoint(parsed.side).address;
        let destination = parsed.key.endpoint(parsed.side.opposite()).address;
        let origin = self.itself(record);
        let helper = self.table.extra_mut(record)?.helper.as_mut()?;
        let (source, destination) = (source.ip(family), destination.ip(family));
        let seen = helper::Segment { direction, seq, payload, source, destination };
        let expected = match helper.inspect(&seen) {
            Outcome::Pass => return None,
            Outcome::Drop => return Some(DropReason::Helper),
            Outcome::Expect(expected) => expected,
        };
        self.table.hot_mut(record).flags.set(Flags::EXPECTING);
        let added = self.expectations.add(&expected, record, origin, now);
        self.counters.expectations_created.add(u64::from(added.is_ok()));
        self.counters.expectations.set(self.expectations.len() as u64);
        added.err().map(|_| DropReason::Helper)
    }
}

/// The helper that the configuration attaches to flows to this port.
fn helper_for(config: &Conntrack, protocol: u8, port: u16) -> Option<Helper> {
    let rule =
        config.helpers.iter().find(|rule| rule.port == port && rule.transport.protocol().0 == protocol)?;
    Some(Helper::new(rule.kind))
}

fn segment<'a>(frame: &'a [u8], parsed: &Parsed) -> Option<Segment<'a>> {
    let bytes = parsed.transport(frame);
    let header = Tcp::new(bytes)?;
    Some(Segment::new(&header, u32::try_from(bytes.len()).unwrap_or(0)))
}

/// What the first packet of a flow makes of it, or why it may not be the first.
fn first_packet<O>(
    frame: &[u8],
    parsed: &Parsed,
    transport: Transport,
    context: &Context<'_, O>,
) -> Result<(FlowClass, Cold, Span), DropReason> {
    let class = match transport {
        Transport::Tcp => return first_segment(frame, parsed, context),
        Transport::Udp => FlowClass::Udp,
        Transport::Icmp { query: true } => FlowClass::Icmp,
        Transport::Icmpv6 { query: true } => FlowClass::Icmpv6,
        Transport::Icmp { query: false } | Transport::Icmpv6 { query: false } => {
            return Err(DropReason::InvalidNoFlow);
        }
        Transport::Generic => FlowClass::Generic,
    };
    let detail = match class {
        FlowClass::Udp => Detail::Udp { stream_from: context.now.after(UDP_STREAM_AGE) },
        _ => Detail::None,
    };
    Ok((class, Cold { detail }, timeout_of(class, context.config)))
}

fn first_segment<O>(
    frame: &[u8],
    parsed: &Parsed,
    context: &Context<'_, O>,
) -> Result<(FlowClass, Cold, Span), DropReason> {
    let config = &context.config.tcp;
    let segment = segment(frame, parsed).ok_or(DropReason::InvalidHeader)?;
    let mut connection = Connection::open(&segment, config.loose).ok_or(DropReason::InvalidNoFlow)?;
    let standing = Standing { seen_reply: false, assured: false, remaining: Span::default() };
    match connection.see(Direction::Original, &segment, &standing, config) {
        Effect::Refresh { timeout, .. } => {
            Ok((class_of_tcp(connection.state()), Cold { detail: Detail::Tcp(connection) }, timeout))
        }
        Effect::Invalid { reason, .. } => Err(reason),
        Effect::Keep | Effect::Delete | Effect::Reopen => Err(DropReason::InvalidNoFlow),
    }
}
