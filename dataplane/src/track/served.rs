//! TCP as far as a director sees it: the states of a connection that a server was given, as in Linux's IPVS.
//!
//! With direct routing the server answers its client without passing here. So a connection is followed by what the
//! client says alone, without windows, until an answer is seen after all.

use super::tcp::Class;
use crate::counters::named_enum;
use crate::units::Span;

named_enum! {
    /// Where a connection stands; IPVS's words.
    pub enum State {
        /// Nothing seen.
        None = "NONE",
        /// Open.
        Established = "ESTABLISHED",
        /// The server has asked.
        SynSent = "SYN_SENT",
        /// The client has asked.
        SynRecv = "SYN_RECV",
        /// The client has ended its half, or the server its.
        FinWait = "FIN_WAIT",
        /// Both have.
        TimeWait = "TIME_WAIT",
        /// Reset.
        Close = "CLOSE",
        /// The client has ended its half, and the server has not.
        CloseWait = "CLOSE_WAIT",
        /// The last half has ended.
        LastAck = "LAST_ACK",
        /// Waiting for somebody.
        Listen = "LISTEN",
        /// Asked and answered.
        SynAck = "SYNACK",
    }
}

/// What has been seen of a connection, the packet at hand included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The packet is the client's, and the server's have been seen too.
    Client,
    /// The packet is the server's.
    Server,
    /// The packet is the client's, as all have been.
    ClientAlone,
}

type Row = [State; State::COUNT];

impl State {
    /// What a segment makes of it.
    pub fn after(self, class: Class, sight: Sight) -> Self {
        let event = match class {
            Class::Syn | Class::SynAck => 0,
            Class::Fin => 1,
            Class::Ack => 2,
            Class::Rst => 3,
            Class::None => return Self::Close,
        };
        let table = match sight {
            Sight::Client => &CLIENT,
            Sight::Server => &SERVER,
            Sight::ClientAlone => &CLIENT_ALONE,
        };
        table[event][self.index()]
    }

    /// Whether it counts as active; else it is over and not yet forgotten.
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Established | Self::SynSent | Self::SynRecv | Self::SynAck)
    }

    /// How long it stands without another segment.
    pub const fn timeout(self) -> Span {
        let s = match self {
            Self::Established => 900,
            Self::SynSent | Self::FinWait | Self::TimeWait | Self::Listen | Self::SynAck => 120,
            Self::SynRecv | Self::CloseWait => 60,
            Self::LastAck => 30,
            Self::Close => 10,
            Self::None => 2,
        };
        match Span::from_s(s) {
            Some(span) => span,
            None => Span::MAX,
        }
    }
}

use State::{
    Close as CL, CloseWait as CW, Established as ES, FinWait as FW, LastAck as LA, Listen as LI, None as NO,
    SynAck as SA, SynRecv as SR, SynSent as SS, TimeWait as TW,
};

/// SYN, FIN, ACK, RST; by the state before: NO ES SS SR FW TW CL CW LA LI SA.
const CLIENT: [Row; 4] = [
    [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR],
    [CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, TW],
    [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES],
    [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, SR],
];
const SERVER: [Row; 4] = [
    [SS, ES, SS, SR, SS, SS, SS, SS, SS, LI, SR],
    [TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW],
    [ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES],
    [CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL],
];
const CLIENT_ALONE: [Row; 4] = [
    [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR],
    [CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW],
    [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES],
    [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL],
];

const _: () = assert!(NO as usize == 0 && SA as usize == State::COUNT - 1);

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(segments: &[(Class, Sight)]) -> Vec<State> {
        let mut state = State::None;
        segments
            .iter()
            .map(|(class, sight)| {
                state = state.after(*class, *sight);
                state
            })
            .collect()
    }

    #[test]
    fn a_connection_is_followed_by_the_clients_half_alone() {
        let half = [Class::Syn, Class::Ack, Class::Ack, Class::Fin, Class::Ack, Class::Syn];
        assert_eq!(walk(&half.map(|class| (class, Sight::ClientAlone))), [SR, ES, ES, FW, FW, SR]);
        assert_eq!(walk(&[(Class::Syn, Sight::ClientAlone), (Class::Rst, Sight::ClientAlone)]), [SR, SR]);
    }

    #[test]
    fn with_both_halves_it_closes_as_they_do() {
        use Sight::{Client, ClientAlone, Server};
        let both = [
            (Class::Syn, ClientAlone),
            (Class::SynAck, Server),
            (Class::Ack, Client),
            (Class::Fin, Client),
            (Class::Ack, Server),
            (Class::Fin, Server),
            (Class::Ack, Client),
        ];
        assert_eq!(walk(&both), [SR, SR, ES, CW, CW, TW, TW]);
    }

    #[test]
    fn what_is_open_or_opening_is_active() {
        let active: Vec<_> = State::ALL.iter().filter(|state| state.is_active()).collect();
        assert_eq!(active, [&ES, &SS, &SR, &SA]);
        assert_eq!(ES.timeout().as_s(), 900);
        assert_eq!(ES.after(Class::None, Sight::Client), CL);
    }
}
