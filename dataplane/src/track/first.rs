//! What the first packet of a flow makes of it, or why it may not be the first.

use super::answer::{class_of_sctp, class_of_tcp, timeout_of};
use super::record::Detail;
use super::sctp::{self, Association};
use super::tcp::{Class, Connection, Effect, Segment, Standing};
use super::{Context, Owners, Packet};
use crate::counters::{DropReason, FlowClass};
use crate::parse::Transport;
use crate::units::{Direction, Span};
use crate::wire::{Sctp, Tcp};

/// From this age on an answered UDP flow is a stream.
pub(super) const UDP_STREAM_AGE: Span = match Span::from_s(2) {
    Some(span) => span,
    None => Span::MAX,
};

/// What the flow is counted as, and how long it lives without another packet.
type First = (FlowClass, Span);

/// Whether a packet without a flow may open one, as far as a glance tells; `None`: only [`first_packet`] knows.
#[inline(always)]
pub(super) fn opens<O: Owners>(
    packet: &Packet<'_>,
    transport: Transport,
    context: &Context<'_, O>,
) -> Option<bool> {
    match transport {
        Transport::Tcp => {
            let header = Tcp::new(packet.bytes.get(usize::from(packet.parsed.at)..)?)?;
            match Class::of(header.flags()) {
                Class::Syn => Some(true),
                Class::Ack if is_loose(context) => None,
                _ => Some(false),
            }
        }
        Transport::Udp => Some(true),
        _ => None,
    }
}

/// Whether a connection may be picked up in mid-stream. A node that is learning has no other way to know those that
/// it may inherit, and forwards none of them.
fn is_loose<O: Owners>(context: &Context<'_, O>) -> bool {
    context.config.tcp.loose || context.owners.is_learning()
}

/// Writes what its protocol remembers of the flow to where it is to stand: to hand it on would cost as much as to work it
/// out.
pub(super) fn first_packet<O: Owners>(
    packet: &Packet<'_>,
    transport: Transport,
    context: &Context<'_, O>,
    detail: &mut Detail,
) -> Result<First, DropReason> {
    let now = context.now;
    let class;
    (class, *detail) = match transport {
        Transport::Tcp => return first_segment(packet, context, detail),
        Transport::Sctp => return first_chunks(packet, context, detail),
        Transport::Udp => (FlowClass::Udp, Detail::Stream { from: now.after(UDP_STREAM_AGE) }),
        Transport::UdpLite => (FlowClass::UdpLite, Detail::Stream { from: now }),
        Transport::Gre => (FlowClass::Gre, Detail::Stream { from: now }),
        Transport::Icmp { query: true } => (FlowClass::Icmp, Detail::None),
        Transport::Icmpv6 { query: true } => (FlowClass::Icmpv6, Detail::None),
        Transport::Icmp { query: false } | Transport::Icmpv6 { query: false } => {
            return Err(DropReason::InvalidNoFlow);
        }
        Transport::Generic => (FlowClass::Generic, Detail::None),
    };
    Ok((class, timeout_of(class, context.config)))
}

fn first_segment<O: Owners>(
    packet: &Packet<'_>,
    context: &Context<'_, O>,
    detail: &mut Detail,
) -> Result<First, DropReason> {
    let config = &context.config.tcp;
    let Some(segment) = segment(packet) else { return Err(DropReason::InvalidHeader) };
    if Class::of(segment.flags) == Class::Syn {
        let (connection, timeout) = Connection::begin(&segment, config);
        *detail = Detail::Tcp(connection);
        return Ok((FlowClass::TcpSynSent, timeout));
    }
    let mut connection = Connection::open(&segment, is_loose(context)).ok_or(DropReason::InvalidNoFlow)?;
    match connection.see(Direction::Original, &segment, &Standing::default(), config) {
        Effect::Refresh { timeout, .. } => {
            *detail = Detail::Tcp(connection);
            Ok((class_of_tcp(connection.state()), timeout))
        }
        Effect::Invalid { reason, .. } => Err(reason),
        Effect::Keep | Effect::Delete | Effect::Reopen => Err(DropReason::InvalidNoFlow),
    }
}

fn first_chunks<O>(
    packet: &Packet<'_>,
    context: &Context<'_, O>,
    detail: &mut Detail,
) -> Result<First, DropReason> {
    let header = Sctp::new(packet.parsed.transport(packet.bytes)).ok_or(DropReason::InvalidHeader)?;
    let mut association = Association::open(&header)?;
    match association.see(Direction::Original, &header, &context.config.sctp) {
        sctp::Effect::Refresh(timeout) => {
            *detail = Detail::Sctp(association);
            Ok((class_of_sctp(association.state()), timeout))
        }
        sctp::Effect::Keep => Err(DropReason::InvalidNoFlow),
        sctp::Effect::Invalid(reason) => Err(reason),
    }
}

/// The segment that a packet of TCP carries.
#[inline]
pub(super) fn segment<'a>(packet: &Packet<'a>) -> Option<Segment<'a>> {
    let bytes = packet.parsed.transport(packet.bytes);
    let header = Tcp::new(bytes)?;
    Some(Segment::new(&header, u32::try_from(bytes.len()).unwrap_or(0)))
}
