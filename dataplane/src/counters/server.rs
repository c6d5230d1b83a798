//! What is counted of servers and of services.

use super::Cell;

/// What one worker did for one server.
#[derive(Debug, Default)]
pub struct ServerCells {
    /// Connections that are established or about to be: a gauge.
    pub active: Cell,
    /// Connections that are over and not yet forgotten, and flows of what has no connections, such as UDP: a gauge.
    pub inactive: Cell,
    /// Of the inactive ones, flows of what has no connections: a gauge.
    pub datagrams: Cell,
    /// Flows that it has opened itself, from an address that others have as well, and that this node forwards: a gauge.
    pub opened: Cell,
    /// Flows that it has by other nodes, given or opened, and that this one may inherit: a gauge.
    pub shadows: Cell,
    /// Connections that it was given.
    pub connections: Cell,
    /// Of TCP's, those whose client has gone on after its SYN: the server has answered.
    pub answered: Cell,
    /// Of TCP's, those whose client has sent its SYN again before that.
    pub unanswered: Cell,
    /// Of TCP's, those whose SYN it has answered with a reset, as far as its answers pass here.
    pub refused: Cell,
    /// Packets that it was sent.
    pub packets: Cell,
    /// Their bytes, from the IP header on.
    pub bytes: Cell,
    /// Packets of its to its clients, as far as they pass here.
    pub reply_packets: Cell,
    /// Their bytes.
    pub reply_bytes: Cell,
}

/// What one worker did for one service.
#[derive(Debug, Default)]
pub struct ServiceCells {
    /// New connections that no server could take and that were refused.
    pub refused: Cell,
    /// Those that went on without the service.
    pub bypassed: Cell,
    /// Those that ended here without a word.
    pub dropped: Cell,
}
