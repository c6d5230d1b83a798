//! What a gateway tells of itself: one model, shown as tables, JSON and metrics.
//!
//! Control reads the workers' cells and the ports' statistics when somebody asks.

mod catalogue;
pub mod cluster_tables;
pub mod collect;
pub mod conntrack_text;
pub mod explanation;
mod exporter;
mod flow;
pub mod flow_tables;
pub mod ipvsadm_text;
mod model;
mod neighbour;
pub mod neighbour_tables;
mod pressure;
pub mod protocol;
pub mod routes;
mod service;
mod service_metrics;
pub mod service_tables;
pub mod tables;
pub mod trace;
pub mod trace_text;
mod vip;
pub mod vip_tables;

pub use catalogue::{Kind, METRICS, Metric, reference};
pub use explanation::{Explanation, Opened, Taker, VipPart};
pub use exporter::render;
pub use flow::{Deleted, Detail, ExpectationRow, Expectations, FlowEvent, FlowRow, Flows, Tuple};
pub use model::{
    AgreedStatus, AlarmRow, BucketStatus, ClusterStatus, Counters, FlowClassCount, FlowCounts, HistoryRow,
    MemberRow, Occupancy, PortStatistics, PortStatus, PublishedRow, RssStatus, SpreadBy, Status, TapStatus,
    WorkerCounts, WorkerPortCounts, WorkerStatus,
};
pub use neighbour::{
    Flushed, NeighbourAlarm, NeighbourCounts, NeighbourRow, Neighbours, StationCounts, StationStatus,
};
pub use pressure::Pressure;
pub use routes::{NextHopRow, Origin, RouteRow, Routes};
pub use service::{
    CacheRow, CacheServer, ConnectionRow, Connections, DrainRow, PersistenceRow, PoolRow, Pools, SelectorRow,
    ServerRow, ServiceCache, ServiceRow, Services, SlicesRow, TrafficCounts, TrafficRates, UnservedCounts,
};
pub use trace::{TraceEnd, TraceEvent};
pub use vip::{VipRow, Vips};
