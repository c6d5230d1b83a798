//! What conntrack calls a packet of a known flow, and how long flows live.

use super::ConnState;
use super::record::Flags;
use super::{sctp, served, tcp};
use crate::config::Conntrack;
use crate::counters::FlowClass;
use crate::units::{Direction, Span};

/// A reply is ESTABLISHED, and so is what comes after one; before, a flow is NEW, or RELATED when it was expected.
#[inline]
pub(super) fn answer(direction: Direction, flags: Flags) -> ConnState {
    if direction == Direction::Reply || flags.has(Flags::SEEN_REPLY) {
        ConnState::Established
    } else if flags.has(Flags::EXPECTED) {
        ConnState::Related
    } else {
        ConnState::New
    }
}

/// What a TCP flow in this state is counted as.
#[inline]
pub(super) fn class_of_tcp(state: tcp::State) -> FlowClass {
    use tcp::State;
    match state {
        State::None | State::SynSent => FlowClass::TcpSynSent,
        State::SynRecv => FlowClass::TcpSynRecv,
        State::Established => FlowClass::TcpEstablished,
        State::FinWait => FlowClass::TcpFinWait,
        State::CloseWait => FlowClass::TcpCloseWait,
        State::LastAck => FlowClass::TcpLastAck,
        State::TimeWait => FlowClass::TcpTimeWait,
        State::Close => FlowClass::TcpClose,
        State::SynSent2 => FlowClass::TcpSynSent2,
    }
}

/// What a TCP flow to a server in this state is counted as.
#[inline]
pub(super) fn class_of_served(state: served::State) -> FlowClass {
    use served::State;
    match state {
        State::None | State::SynSent | State::Listen => FlowClass::TcpSynSent,
        State::SynRecv | State::SynAck => FlowClass::TcpSynRecv,
        State::Established => FlowClass::TcpEstablished,
        State::FinWait => FlowClass::TcpFinWait,
        State::CloseWait => FlowClass::TcpCloseWait,
        State::LastAck => FlowClass::TcpLastAck,
        State::TimeWait => FlowClass::TcpTimeWait,
        State::Close => FlowClass::TcpClose,
    }
}

/// What an SCTP flow in this state is counted as.
#[inline]
pub(super) fn class_of_sctp(state: sctp::State) -> FlowClass {
    use sctp::State;
    match state {
        State::None | State::Closed => FlowClass::SctpClosed,
        State::CookieWait => FlowClass::SctpCookieWait,
        State::CookieEchoed => FlowClass::SctpCookieEchoed,
        State::Established => FlowClass::SctpEstablished,
        State::ShutdownSent => FlowClass::SctpShutdownSent,
        State::ShutdownRecd => FlowClass::SctpShutdownRecd,
        State::ShutdownAckSent => FlowClass::SctpShutdownAckSent,
        State::HeartbeatSent => FlowClass::SctpHeartbeatSent,
    }
}

/// How long a flow without states lives without another packet.
#[inline]
pub(super) fn timeout_of(class: FlowClass, config: &Conntrack) -> Span {
    match class {
        FlowClass::Udp | FlowClass::UdpLite => config.udp_timeout,
        FlowClass::Icmp => config.icmp_timeout,
        FlowClass::Icmpv6 => config.icmpv6_timeout,
        FlowClass::Gre => config.gre_timeout,
        _ => config.generic_timeout,
    }
}

/// How long an answered flow lives without another packet, where the protocol makes a difference.
#[inline]
pub(super) fn stream_timeout_of(class: FlowClass, config: &Conntrack) -> Span {
    match class {
        FlowClass::Gre => config.gre_timeout_stream,
        _ => config.udp_timeout_stream,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Original, Reply};

    #[test]
    fn an_expected_flow_is_related_until_it_is_answered() {
        let expected = Flags::EXPECTED;
        assert_eq!(answer(Original, Flags::default()), ConnState::New);
        assert_eq!(answer(Original, expected), ConnState::Related);
        assert_eq!(answer(Reply, expected), ConnState::Established);
        assert_eq!(answer(Original, expected.with(Flags::SEEN_REPLY)), ConnState::Established);
    }
}
