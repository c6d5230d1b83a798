//! What a gateway tells of itself: one model, shown as tables, JSON and metrics.
//!
//! Control reads the workers' cells and the ports' statistics when somebody asks.

mod catalogue;
pub mod collect;
pub mod conntrack_text;
mod exporter;
mod flow;
pub mod flow_tables;
mod model;
mod pressure;
pub mod protocol;
pub mod routes;
pub mod tables;

pub use catalogue::{Kind, METRICS, Metric, reference};
pub use exporter::render;
pub use flow::{Deleted, Detail, ExpectationRow, Expectations, FlowEvent, FlowRow, Flows, Tuple};
pub use model::{
    AgreedStatus, BucketStatus, ClusterStatus, Counters, Explanation, FlowClassCount, FlowCounts, HistoryRow,
    MemberRow, Occupancy, PortStatistics, PortStatus, RssStatus, SpreadBy, Status, TapStatus, WorkerCounts,
    WorkerPortCounts, WorkerStatus,
};
pub use pressure::Pressure;
pub use routes::{NextHopRow, Origin, RouteRow, Routes};
