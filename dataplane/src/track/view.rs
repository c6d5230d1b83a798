//! Flows and expectations for show: copied, so that nobody outside has to look into a worker's tables.

use super::ConnState;
use super::expect::Waiting;
use super::record::{Extra, Flags, Hot, Origin, Steering};
use crate::config::HelperKind;
use crate::counters::FlowClass;
use crate::helper::{Expected, Helper};
use crate::key::{Endpoint, FlowKey, Side};
use crate::units::{BucketId, Mark, MemberId, ServerId, Span, Tick};

/// A flow at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowView {
    /// Its name.
    pub key: FlowKey,
    /// The side of the name that it comes from.
    pub origin: Side,
    /// Its protocol and state.
    pub class: FlowClass,
    /// Time until it ends without another packet.
    pub remaining: Span,
    /// An answer has been seen.
    pub seen_reply: bool,
    /// It has proven itself.
    pub assured: bool,
    /// Its mark.
    pub mark: Mark,
    /// Its part of the cluster's hash space.
    pub bucket: BucketId,
    /// Who forwarded its last packet, where nodes have names; `None`: nobody, or a node of which nothing is known.
    pub owner: Option<MemberId>,
    /// The helper that looks into it.
    pub helper: Option<HelperKind>,
    /// The flow that announced it.
    pub master: Option<Origin>,
    /// Live flows that it announced.
    pub children: u16,
    /// The server that this node has given it to.
    pub server: Option<ServerId>,
    /// The server that has opened it from an address that others have as well, if this node forwards it.
    pub opener: Option<ServerId>,
}

impl FlowView {
    pub(super) fn new(hot: &Hot, steering: Steering, extra: Option<&Extra>, now: Tick) -> Self {
        Self {
            key: hot.key,
            origin: hot.origin(),
            class: hot.class,
            remaining: now.until(hot.deadline),
            seen_reply: hot.flags.has(Flags::SEEN_REPLY),
            assured: hot.flags.has(Flags::ASSURED),
            mark: hot.mark,
            bucket: hot.bucket,
            owner: hot.owner,
            helper: extra.and_then(|extra| extra.helper.as_ref()).map(Helper::kind),
            master: extra.and_then(|extra| extra.master),
            children: extra.map_or(0, |extra| extra.children),
            server: steering.given(),
            opener: steering.opened(),
        }
    }

    /// What conntrack would call the opener's next packet.
    pub fn conn_state(&self) -> ConnState {
        match (self.seen_reply, self.master) {
            (true, _) => ConnState::Established,
            (false, Some(_)) => ConnState::Related,
            (false, None) => ConnState::New,
        }
    }

    /// Source of the original direction.
    pub fn source(&self) -> Endpoint {
        self.key.endpoint(self.origin)
    }

    /// Destination of the original direction.
    pub fn destination(&self) -> Endpoint {
        self.key.endpoint(self.origin.opposite())
    }
}

/// An expectation at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectationView {
    /// What is expected.
    pub expected: Expected,
    /// The flow that announced it.
    pub master: Origin,
    /// That flow's helper.
    pub helper: HelperKind,
    /// Time until it is given up.
    pub remaining: Span,
}

impl ExpectationView {
    pub(super) fn new(waiting: &Waiting, now: Tick) -> Self {
        let Waiting { expected, master, helper, deadline } = *waiting;
        Self { expected, master, helper, remaining: now.until(deadline) }
    }
}
