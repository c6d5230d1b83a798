//! Flows as they come, change and go, told to whoever listens: nothing for the packets in between.

use super::filter::Filter;
use super::view::FlowView;
use crate::counters::named_enum;
use crate::watch::{Watch, Watches};

named_enum! {
    /// What happened to a flow; the words of `conntrack -E`.
    pub enum Happening {
        /// It came.
        New = "NEW",
        /// Its state changed, it was answered, or it has proven itself.
        Update = "UPDATE",
        /// It went.
        Destroy = "DESTROY",
    }
}

/// Something happened to a flow, which is shown as it was then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowEvent {
    /// What.
    pub happening: Happening,
    /// To which.
    pub flow: FlowView,
}

/// Where flows that a filter means are told.
pub type FlowWatch = Watch<Filter, FlowEvent>;

/// All who listen to one worker's flows.
pub(super) type FlowWatches = Watches<Filter, FlowEvent>;

#[cold]
pub(super) fn tell(watches: &FlowWatches, event: FlowEvent) {
    for watch in watches.iter().filter(|watch| watch.filter().matches(&event.flow)) {
        watch.tell(event);
    }
}
