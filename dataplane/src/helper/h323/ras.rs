//! RAS: registration, admission and status between endpoints and gatekeepers.

use super::h225_types::{ACF, GCF, LCF, RAS_MESSAGE, RCF, RRQ, URQ};
use super::per::{Mark, Picks, Value, pick};
use super::{RAS, from_receiver, is_own, q931};
use crate::helper::{Book, Expected, Helper, Outcome, Refused, Segment};
use crate::units::Span;
use crate::wire::IpProtocol;
use core::net::SocketAddr;

/// How long a registration is good for that does not say so: `default_rrq_ttl`.
const REGISTRATION_S: u32 = 300;
/// An end of registration waits so long for its answer.
const UNREGISTRATION_S: u32 = 30;

/// What is remembered of one flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// How long the latest registration asked to be good for, in seconds.
    registration_s: u32,
}

/// Looks into one datagram.
pub fn inspect<B: Book>(state: &mut State, segment: &Segment<'_>, book: &mut B) -> Outcome {
    let Some(picks) = pick(segment.payload, RAS_MESSAGE) else { return Outcome::Pass };
    let Some((Mark::RasMessage, Value::Number(message))) = picks.first() else { return Outcome::Pass };
    Outcome::of(read(*message, &picks, state, segment, book))
}

fn read<B: Book>(
    message: u32,
    picks: &Picks,
    state: &mut State,
    segment: &Segment<'_>,
    book: &mut B,
) -> Result<(), Refused> {
    match message {
        GCF => {
            // The registration port is the discovery port, as a rule. A confirmation is never expected itself.
            let gatekeeper = address(picks, Mark::RasAddress, segment);
            if let Some(gatekeeper) = gatekeeper.filter(|it| *it != segment.source && !segment.expected) {
                let helper = Some(Helper::Ras(State::default()));
                let flow = from_receiver(segment, IpProtocol::UDP, gatekeeper, &RAS);
                book.expect(&Expected { helper, ..flow })?;
            }
        }
        RRQ => {
            let own = addresses(picks, Mark::CallSignalAddress).find(|address| is_own(segment, *address));
            if let Some(own) = own {
                expect_calls(own, segment, book)?;
            }
            state.registration_s = time_to_live(picks).unwrap_or(REGISTRATION_S);
        }
        RCF => {
            // Linux would let the expected calls wait as long, but does not find them with calls from the
            // gatekeeper only: they wait as long as their class says.
            state.registration_s = time_to_live(picks).unwrap_or(state.registration_s);
            if state.registration_s > 0 {
                book.refresh(Span::from_s(state.registration_s).unwrap_or(Span::MAX));
            }
        }
        URQ => {
            book.withdraw_where(|_| true);
            book.refresh(Span::from_s(UNREGISTRATION_S).unwrap_or(Span::MAX));
        }
        ACF => {
            // An endpoint that is admitted to answer is told its own address.
            let called = address(picks, Mark::CallSignalAddress, segment);
            if let Some(called) = called.filter(|called| called.ip() != segment.destination.ip()) {
                expect_calls(called, segment, book)?;
            }
        }
        LCF => {
            if let Some(called) = address(picks, Mark::CallSignalAddress, segment) {
                expect_calls(called, segment, book)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Calls from the receiver of this message, as many as come.
fn expect_calls<B: Book>(to: SocketAddr, segment: &Segment<'_>, book: &mut B) -> Result<(), Refused> {
    let helper = Some(Helper::Q931(q931::State::default()));
    let calls = from_receiver(segment, IpProtocol::TCP, to, &RAS);
    book.expect(&Expected { helper, permanent: true, ..calls }).map(drop)
}

fn addresses(picks: &Picks, wanted: Mark) -> impl Iterator<Item = SocketAddr> + '_ {
    picks.iter().filter_map(move |(mark, value)| match value {
        Value::Address(address) if *mark == wanted => Some(*address),
        _ => None,
    })
}

/// The first such address, if it is of the flow's family.
fn address(picks: &Picks, wanted: Mark, segment: &Segment<'_>) -> Option<SocketAddr> {
    addresses(picks, wanted).next().filter(|address| address.is_ipv4() == segment.source.is_ipv4())
}

fn time_to_live(picks: &Picks) -> Option<u32> {
    picks.iter().find_map(|(mark, value)| match (mark, value) {
        (Mark::TimeToLive, Value::Number(seconds)) => Some(*seconds),
        _ => None,
    })
}
