//! What both ends of a PPTP control connection say (RFC 2637).

/// The server's port.
pub const PORT: u16 = 1723;

/// Kinds of control messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the RFC's name for its number")]
pub enum Kind {
    StartRequest = 1,
    StartReply,
    StopRequest,
    StopReply,
    EchoRequest,
    EchoReply,
    OutgoingCallRequest,
    OutgoingCallReply,
    IncomingCallRequest,
    IncomingCallReply,
    IncomingCallConnected,
    CallClearRequest,
    CallDisconnectNotify,
    WanErrorNotify,
    SetLinkInfo,
}

impl Kind {
    /// All of them, in the RFC's order.
    pub const ALL: [Self; 15] = [
        Self::StartRequest,
        Self::StartReply,
        Self::StopRequest,
        Self::StopReply,
        Self::EchoRequest,
        Self::EchoReply,
        Self::OutgoingCallRequest,
        Self::OutgoingCallReply,
        Self::IncomingCallRequest,
        Self::IncomingCallReply,
        Self::IncomingCallConnected,
        Self::CallClearRequest,
        Self::CallDisconnectNotify,
        Self::WanErrorNotify,
        Self::SetLinkInfo,
    ];

    /// Bytes of the whole message.
    pub const fn length(self) -> usize {
        match self {
            Self::StartRequest | Self::StartReply => 156,
            Self::StopRequest | Self::StopReply | Self::EchoRequest | Self::CallClearRequest => 16,
            Self::EchoReply => 20,
            Self::OutgoingCallRequest => 168,
            Self::OutgoingCallReply => 32,
            Self::IncomingCallRequest => 220,
            Self::IncomingCallReply | Self::SetLinkInfo => 24,
            Self::IncomingCallConnected => 28,
            Self::CallDisconnectNotify => 148,
            Self::WanErrorNotify => 40,
        }
    }

    /// A message whose body begins so; what follows is zero.
    pub fn message(self, begins: &[u8]) -> Vec<u8> {
        let mut bytes = (self.length() as u16).to_be_bytes().to_vec();
        bytes.extend([0, 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, self as u8, 0, 0]);
        bytes.extend(begins);
        bytes.resize(self.length(), 0);
        bytes
    }

    /// A message that begins with one or two call ids, and the result code behind them.
    pub fn of_call(self, ids: &[u16], result: u8) -> Vec<u8> {
        let begins: Vec<u8> = ids.iter().flat_map(|id| id.to_be_bytes()).chain([result]).collect();
        self.message(&begins)
    }

    /// A reply about the control connection itself.
    pub fn answer(self, result: u8) -> Vec<u8> {
        // A start reply has the protocol's version first.
        match self {
            Self::StartReply => self.message(&[1, 0, result]),
            _ => self.message(&[result]),
        }
    }
}
