//! The control socket: HTTP and JSON over a unix socket, whose file permissions are the access control.
//!
//! The server turns each request into a [`Call`] and hands it to the control loop, which alone owns the gateway.

mod client;
mod events;
mod explain;
mod neighbours;
mod selection;
mod server;
mod services;
mod socket;
mod trace;
pub mod words;

pub use client::{Client, ClientError};
pub use explain::ExplainRequest;
pub use neighbours::{NeighbourName, NeighbourSelection, interface};
pub use selection::Selection;
pub use server::{metrics_router, router};
pub use services::{CacheOrder, CacheQuery, Endpoint, GroupQuery, NotAnEndpoint, QueryError, ServerQuery};
pub use socket::{ControlSocket, SocketError};
pub use trace::TraceRequest;

use crate::cluster::Order;
use crate::observe::{
    ClusterStatus, Connections, Counters, Deleted, Expectations, Explanation, FlowEvent, Flows, Flushed,
    Neighbours, Pools, Routes, ServiceCache, Services, Status, TraceEvent, VipRow, Vips,
};
use crate::service::Change;
use core::net::IpAddr;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use weir_dataplane::units::NodeNumber;

/// Where a gateway listens unless its configuration says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/weir/weir.sock";

/// Flows that one dump lists at most, whatever was asked.
pub const FLOWS_LIMIT_MAX: usize = 100_000;

/// Where the answer to a call goes.
pub type Answer<T> = oneshot::Sender<T>;

/// What a client asks of the control loop.
#[derive(Debug)]
pub enum Call {
    /// The gateway at this moment.
    Status(Answer<Status>),
    /// Everything the workers count.
    Counters(Answer<Counters>),
    /// Live flows.
    Flows(Selection, Answer<Result<Flows, Refusal>>),
    /// Ends flows.
    DeleteFlows(Selection, Answer<Result<Deleted, Refusal>>),
    /// What happens to flows from now on, until the answer's receiver is dropped.
    FollowFlows(Selection, Answer<Result<mpsc::Receiver<FlowEvent>, Refusal>>),
    /// Frames on their way through the stages, until the trace ends or the answer's receiver is dropped.
    Trace(TraceRequest, Answer<Result<mpsc::Receiver<TraceEvent>, Refusal>>),
    /// Live expectations.
    Expectations(Answer<Result<Expectations, Refusal>>),
    /// The neighbours of a gateway that routes.
    Neighbours(NeighbourSelection, Answer<Result<Neighbours, Refusal>>),
    /// Forgets a neighbour.
    FlushNeighbour(NeighbourName, Answer<Result<Flushed, Refusal>>),
    /// This node's part of its cluster.
    Cluster(Answer<Result<ClusterStatus, Refusal>>),
    /// The addresses that it shares with other nodes.
    Vips(Answer<Result<Vips, Refusal>>),
    /// One of them.
    Vip(IpAddr, Answer<Result<VipRow, Refusal>>),
    /// Makes a node of a VIP this gateway's, or no longer.
    SetVipNode {
        /// The VIP.
        address: IpAddr,
        /// The node's number, as the operator writes it.
        node: String,
        /// Whether it is to be this gateway's.
        local: bool,
        /// How it ended.
        answer: Answer<Result<VipRow, Refusal>>,
    },
    /// The routes in force.
    Routes(Answer<Result<Routes, Refusal>>),
    /// Whose the flows from an address are, and where those to it go.
    Explain(IpAddr, ExplainRequest, Answer<Result<Explanation, Refusal>>),
    /// An order about a cluster whose nodes have names.
    Order(Order, Answer<Result<ClusterStatus, Refusal>>),
    /// Makes the flows of a bucket this node's, or no longer.
    SetLocal {
        /// The node number that stands for it.
        node: NodeNumber,
        /// Whether they are to be this node's.
        local: bool,
        /// How it ended.
        answer: Answer<Result<ClusterStatus, Refusal>>,
    },
    /// Services, or the one of this name.
    Services(Option<String>, Answer<Result<Services, Refusal>>),
    /// Pools, or the one of this name.
    Pools(Option<String>, Answer<Result<Pools, Refusal>>),
    /// The connections that servers of services and pools have, or of the one of this name.
    Connections(Option<String>, Answer<Result<Connections, Refusal>>),
    /// What the `lblc` or `lblcr` of a service knows: of all addresses, or of one.
    Cache(String, Option<IpAddr>, Answer<Result<ServiceCache, Refusal>>),
    /// Says what is to be held of an address there; what is known of it then.
    HoldCache(String, IpAddr, CacheOrder, Answer<Result<ServiceCache, Refusal>>),
    /// Changes a server of a service; how the service is then.
    ChangeService(ServerOrder, Answer<Result<Services, Refusal>>),
    /// Changes a node of a pool; how the pool is then.
    ChangePool(ServerOrder, Answer<Result<Pools, Refusal>>),
    /// Reads the configuration again.
    Reload(Answer<Result<Reloaded, Refusal>>),
    /// The metrics page.
    Metrics(Answer<String>),
}

/// What is to become of a server of a service, or of a node of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerOrder {
    /// The service or pool.
    pub group: String,
    /// The server or node.
    pub server: String,
    /// What.
    pub change: Change,
}

/// A reload that was taken over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Epoch of the configuration now in force.
    pub epoch: u32,
    /// What is allowed in it but probably not meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What kind of reason a [`Refusal`] has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// The configuration, or the request, is wrong.
    Configuration,
    /// The gateway's state does not allow it.
    Conflict,
    /// The gateway did not get it done.
    Failed,
}

/// Why a call changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind of reason.
    pub kind: RefusalKind,
    /// The sentence for the operator.
    pub message: String,
}

impl Refusal {
    /// The configuration, or the request, is wrong.
    pub fn configuration(message: impl ToString) -> Self {
        Self { kind: RefusalKind::Configuration, message: message.to_string() }
    }

    /// The gateway's state does not allow it.
    pub fn conflict(message: impl ToString) -> Self {
        Self { kind: RefusalKind::Conflict, message: message.to_string() }
    }

    /// The gateway did not get it done.
    pub fn failed(message: impl ToString) -> Self {
        Self { kind: RefusalKind::Failed, message: message.to_string() }
    }
}
