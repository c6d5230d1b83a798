//! What a gateway tells of itself: one model, shown as tables, JSON and metrics.
//!
//! Control reads the workers' cells and the ports' statistics when somebody asks.

mod catalogue;
pub mod collect;
mod exporter;
mod model;
mod pressure;
pub mod tables;

pub use catalogue::{Kind, METRICS, Metric, reference};
pub use exporter::render;
pub use model::{
    BucketStatus, ClusterStatus, Counters, FlowClassCount, FlowCounts, FlowRow, Flows, Occupancy,
    PortStatistics, PortStatus, Status, WorkerCounts, WorkerPortCounts, WorkerStatus,
};
pub use pressure::Pressure;
