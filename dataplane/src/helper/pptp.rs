//! PPTP (RFC 2637): the GRE flows of a call, whose keys are the ids that both ends gave it.
//!
//! Follows the control connection as Linux's helper does: the client, who opened it, is the network server of the
//! RFC (PNS), the other end the access concentrator (PAC). One message is read a segment, at its start. A message
//! that comes out of order, is cut, or names another call is passed over; none is ever dropped. Of several calls
//! on one connection only the latest is followed. IPv4 only.

use super::{Book, Class, Expected, Outcome, Refused, Segment, Source};
use crate::units::Direction;
use crate::wire::IpProtocol;
use core::net::{IpAddr, SocketAddr};

/// Both directions of a call; five minutes for its first packet.
static CALL: Class = Class::new(0, 2, 300);

/// The ids of a call: the key field of a GRE packet holds its receiver's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The id that the client gave it (PNS).
    pub client: u16,
    /// The id that the server gave it (PAC).
    pub server: u16,
}

/// Where the control connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Session {
    #[default]
    None,
    Refused,
    StopRequested,
    StartRequested,
    Open,
}

/// Where the latest call is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Progress {
    #[default]
    None,
    /// The client calls.
    Outgoing,
    OutgoingConnected,
    /// The server calls.
    Incoming,
    IncomingAccepted,
    IncomingConnected,
    ClearRequested,
}

/// What is remembered of one control connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    session: Session,
    progress: Progress,
    call: Call,
}

impl State {
    /// The latest call, whatever became of it; ids that nobody has given are 0.
    pub const fn call(&self) -> Call {
        self.call
    }
}

/// Looks into one segment.
pub fn inspect<B: Book>(state: &mut State, segment: &Segment<'_>, book: &mut B) -> Outcome {
    if segment.established
        && segment.source.is_ipv4()
        && let Some(message) = Message::read(segment.payload)
    {
        match segment.direction {
            Direction::Original => state.hear_client(&message),
            Direction::Reply => state.hear_server(&message, segment, book),
        }
    }
    Outcome::Pass
}

impl State {
    fn hear_client(&mut self, message: &Message) {
        let open = self.session == Session::Open;
        match *message {
            Message::StartRequest if self.session == Session::None => self.session = Session::StartRequested,
            Message::StopRequest => self.session = Session::StopRequested,
            Message::OutgoingRequest { id } if open => {
                self.progress = Progress::Outgoing;
                self.call.client = id;
            }
            Message::IncomingReply { id, peer_id, accepted }
                if matches!(self.progress, Progress::Incoming | Progress::IncomingAccepted)
                    && peer_id == self.call.server =>
            {
                if accepted {
                    self.progress = Progress::IncomingAccepted;
                    self.call.client = id;
                } else {
                    self.progress = Progress::None;
                }
            }
            Message::ClearRequest if open => self.progress = Progress::ClearRequested,
            _ => {}
        }
    }

    fn hear_server<B: Book>(&mut self, message: &Message, segment: &Segment<'_>, book: &mut B) {
        let open = self.session == Session::Open;
        match *message {
            Message::StartReply { accepted } if self.session >= Session::StartRequested => {
                self.session = if accepted { Session::Open } else { Session::Refused };
            }
            Message::StopReply { accepted } if self.session <= Session::StopRequested => {
                self.session = if accepted { Session::None } else { Session::Refused };
            }
            Message::OutgoingReply { id, peer_id, connected }
                if open
                    && matches!(self.progress, Progress::Outgoing | Progress::OutgoingConnected)
                    && peer_id == self.call.client =>
            {
                if connected {
                    self.progress = Progress::OutgoingConnected;
                    self.call.server = id;
                    self.expect(segment, book);
                } else {
                    self.progress = Progress::None;
                }
            }
            Message::IncomingRequest { id } if open => {
                self.progress = Progress::Incoming;
                self.call.server = id;
            }
            Message::IncomingConnected { peer_id }
                if open
                    && matches!(self.progress, Progress::IncomingAccepted | Progress::IncomingConnected)
                    && peer_id == self.call.client =>
            {
                self.progress = Progress::IncomingConnected;
                self.expect(segment, book);
            }
            Message::DisconnectNotify => {
                self.progress = Progress::None;
                book.end_gre(self.call);
            }
            _ => {}
        }
    }

    /// Expects the call from either end, and has its packets named. All of it or nothing; the message passes anyway.
    fn expect<B: Book>(&self, reply: &Segment<'_>, book: &mut B) {
        let Call { client: client_id, server: server_id } = self.call;
        let (client, server) = (reply.destination.ip(), reply.source.ip());
        let both =
            [gre((client, client_id), (server, server_id)), gre((server, server_id), (client, client_id))];
        let Ok(from_client) = book.expect(&both[0]) else { return };
        let named: Result<(), Refused> = book
            .expect(&both[1])
            .and_then(|from_server| book.map_gre(self.call).inspect_err(|_| book.withdraw(from_server)));
        if named.is_err() {
            book.withdraw(from_client);
        }
    }
}

/// One end's packets to the other, by address and call id.
fn gre((source, source_id): (IpAddr, u16), (destination, destination_id): (IpAddr, u16)) -> Expected {
    let place = SocketAddr::new(destination, destination_id);
    let expected = Expected::once(IpProtocol::GRE, Source::Host(source), place, &CALL);
    Expected { source_port: Some(source_id), ..expected }
}

/// The messages that matter, and what matters of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    StartRequest,
    StartReply { accepted: bool },
    StopRequest,
    StopReply { accepted: bool },
    OutgoingRequest { id: u16 },
    OutgoingReply { id: u16, peer_id: u16, connected: bool },
    IncomingRequest { id: u16 },
    IncomingReply { id: u16, peer_id: u16, accepted: bool },
    IncomingConnected { peer_id: u16 },
    ClearRequest,
    DisconnectNotify,
}

/// Message type 1, control, then the magic cookie; the length before them is not looked at.
const CONTROL: [u8; 6] = [0, 1, 0x1a, 0x2b, 0x3c, 0x4d];
/// Length, [`CONTROL`], the kind of control message, two reserved bytes.
const HEADER_LEN: usize = 12;

/// A result code that says yes.
const OK: u8 = 1;

impl Message {
    /// The message at the start of a segment; `None` for one that is cut, is of no control message or of none that
    /// matters.
    fn read(payload: &[u8]) -> Option<Self> {
        let (header, body) = payload.split_first_chunk::<HEADER_LEN>()?;
        let [_, _, control @ .., kind_high, kind_low, _, _] = *header;
        if control != CONTROL {
            return None;
        }
        let kind = u16::from_be_bytes([kind_high, kind_low]);
        if body.len() < body_len(kind)? {
            return None;
        }
        let id = |at: usize| Some(u16::from_be_bytes(*body.get(at..)?.first_chunk()?));
        let ok = |at: usize| body.get(at) == Some(&OK);
        Some(match kind {
            1 => Self::StartRequest,
            2 => Self::StartReply { accepted: ok(2) },
            3 => Self::StopRequest,
            4 => Self::StopReply { accepted: ok(0) },
            7 => Self::OutgoingRequest { id: id(0)? },
            8 => Self::OutgoingReply { id: id(0)?, peer_id: id(2)?, connected: ok(4) },
            9 => Self::IncomingRequest { id: id(0)? },
            10 => Self::IncomingReply { id: id(0)?, peer_id: id(2)?, accepted: ok(4) },
            11 => Self::IncomingConnected { peer_id: id(0)? },
            12 => Self::ClearRequest,
            13 => Self::DisconnectNotify,
            _ => return None,
        })
    }
}

/// Bytes behind the header, at the least. `None` for what changes nothing: echoes, WAN errors, link settings.
const fn body_len(kind: u16) -> Option<usize> {
    Some(match kind {
        1 | 2 => 144,
        3 | 4 | 12 => 4,
        7 => 156,
        8 => 20,
        9 => 208,
        10 => 12,
        11 => 16,
        13 => 136,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::book::Notes;
    use super::super::tests::{CLIENT, SERVER, segment};
    use super::*;
    use crate::config::HelperKind;
    use Direction::{Original, Reply};
    use proptest::prelude::*;

    /// A message of this kind that begins so and is as long as it must be.
    fn message(kind: u16, begins: &[u8]) -> Vec<u8> {
        let body_len = body_len(kind).unwrap_or(4);
        let mut bytes = u16::try_from(HEADER_LEN + body_len).unwrap().to_be_bytes().to_vec();
        bytes.extend(CONTROL);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(begins);
        bytes.resize(HEADER_LEN + body_len, 0);
        bytes
    }

    /// A message that begins with ids and a result code.
    fn ids(kind: u16, ids: &[u16], result: u8) -> Vec<u8> {
        let mut begins: Vec<u8> = ids.iter().flat_map(|id| id.to_be_bytes()).collect();
        begins.push(result);
        message(kind, &begins)
    }

    fn open() -> Vec<(Direction, Vec<u8>)> {
        vec![(Original, message(1, &[])), (Reply, message(2, &[1, 0, 1]))]
    }

    /// The client calls: 11 to it, 22 to the server.
    fn outgoing() -> Vec<(Direction, Vec<u8>)> {
        vec![(Original, ids(7, &[11, 1], 0)), (Reply, ids(8, &[22, 11], 1))]
    }

    /// The server calls.
    fn incoming() -> Vec<(Direction, Vec<u8>)> {
        vec![(Reply, ids(9, &[22, 1], 0)), (Original, ids(10, &[11, 22], 1)), (Reply, ids(11, &[11, 0], 0))]
    }

    fn hear(said: &[Vec<(Direction, Vec<u8>)>]) -> Notes {
        let (mut book, mut state) = (Notes::of(HelperKind::Pptp), State::default());
        for (direction, payload) in said.iter().flatten() {
            let segment = segment(*direction, 1723, payload);
            assert_eq!(inspect(&mut state, &segment, &mut book), Outcome::Pass);
        }
        book
    }

    /// Whether the call of 11 and 22 is expected from both ends, and named.
    fn expects(said: &[Vec<(Direction, Vec<u8>)>]) -> bool {
        let book = hear(said);
        let (client, server) = ((CLIENT.into(), 11), (SERVER.into(), 22));
        match book.waiting()[..] {
            [] => false,
            [one, two] => {
                assert_eq!([one, two], [gre(client, server), gre(server, client)]);
                assert_eq!(book.mapped, Some(Call { client: 11, server: 22 }));
                true
            }
            _ => panic!("{book:?}"),
        }
    }

    #[test]
    fn a_call_is_expected_from_both_ends() {
        assert!(expects(&[open(), outgoing()]));
        assert!(expects(&[open(), incoming()]));
        // Sent again.
        assert!(expects(&[open(), outgoing(), vec![(Reply, ids(8, &[22, 11], 1))]]));
        assert!(expects(&[open(), vec![(Original, message(1, &[]))], outgoing()]));
        assert!(expects(&[
            open(),
            vec![(Original, [ids(7, &[11], 0), ids(7, &[12], 0)].concat())],
            outgoing()
        ]));
    }

    #[test]
    fn there_is_no_call_without_a_session() {
        let start = |result| vec![(Original, message(1, &[])), (Reply, message(2, &[1, 0, result]))];
        let stop = |result| vec![(Original, message(3, &[1])), (Reply, message(4, &[result]))];
        assert!(!expects(&[outgoing()]));
        assert!(!expects(&[incoming()]));
        assert!(!expects(&[open()[..1].to_vec(), outgoing()]));
        assert!(!expects(&[open()[1..].to_vec(), outgoing()]));
        assert!(!expects(&[start(2), outgoing()]));
        assert!(!expects(&[start(2), vec![(Reply, message(2, &[1, 0, 1]))], outgoing()]));
        assert!(!expects(&[open(), stop(1)[..1].to_vec(), outgoing()]));
        assert!(!expects(&[open(), stop(1)[..1].to_vec(), open()[1..].to_vec(), outgoing()]));
        assert!(expects(&[open(), stop(1), open(), outgoing()]));
        assert!(!expects(&[open(), stop(2), open(), outgoing()]));
    }

    #[test]
    fn both_ends_must_mean_the_same_call() {
        let call = |client, peer| vec![(Original, ids(7, &[client, 1], 0)), (Reply, ids(8, &[22, peer], 1))];
        assert!(!expects(&[open(), call(11, 12)]));
        assert!(expects(&[open(), call(11, 12), outgoing()[1..].to_vec()]));
        let [ring, accept, connect] = &incoming()[..] else { panic!() };
        let other_server = (Original, ids(10, &[11, 23], 1));
        let other_client = (Reply, ids(11, &[12, 0], 0));
        assert!(!expects(&[open(), vec![ring.clone(), other_server, connect.clone()]]));
        assert!(!expects(&[open(), vec![ring.clone(), accept.clone(), other_client]]));
        assert!(!expects(&[open(), vec![ring.clone(), connect.clone()]]));
    }

    #[test]
    fn a_call_that_is_refused_is_not_expected() {
        let refused = vec![outgoing()[0].clone(), (Reply, ids(8, &[22, 11], 2))];
        assert!(!expects(&[open(), refused, outgoing()[1..].to_vec()]));
        let mut refused = incoming();
        refused[1] = (Original, ids(10, &[11, 22], 2));
        assert!(!expects(&[open(), refused]));
    }

    #[test]
    fn only_the_servers_notice_ends_a_call() {
        let notice = |direction| vec![(direction, ids(13, &[99], 1))];
        let ended = |more| hear(&[open(), outgoing(), more]).ended;
        assert_eq!(ended(notice(Reply)), Some(Call { client: 11, server: 22 }));
        assert_eq!(ended(notice(Original)), None);
        let cleared = vec![(Original, ids(12, &[11], 0))];
        assert_eq!(ended(cleared), None);
        let stopped = vec![(Original, message(3, &[1])), (Reply, message(4, &[1]))];
        assert_eq!(ended(stopped), None);
    }

    #[test]
    fn a_message_that_is_cut_or_none_is_passed_over() {
        let whole = &outgoing()[1].1;
        for len in 0..whole.len() {
            assert!(
                !expects(&[open(), outgoing()[..1].to_vec(), vec![(Reply, whole[..len].to_vec())]]),
                "{len}"
            );
        }
        for at in 2..10 {
            let mut wrong = whole.clone();
            wrong[at] ^= 1;
            assert!(!expects(&[open(), outgoing()[..1].to_vec(), vec![(Reply, wrong)]]), "{at}");
        }
        for harmless in [5, 6, 14, 15, 16, 0] {
            let said = vec![(Original, message(harmless, &[])), (Reply, message(harmless, &[]))];
            assert!(expects(&[
                open(),
                said.clone(),
                outgoing()[..1].to_vec(),
                said,
                outgoing()[1..].to_vec()
            ]));
        }
    }

    #[test]
    fn the_call_is_expected_wholly_or_not_at_all() {
        for (refuse, refuse_map) in [(Some(Refused::Taken), None), (None, Some(Refused::Full))] {
            let (mut book, mut state) = (Notes::of(HelperKind::Pptp), State::default());
            (book.refuse, book.refuse_map) = (refuse, refuse_map);
            for (direction, payload) in [open(), outgoing()].concat() {
                inspect(&mut state, &segment(direction, 1723, &payload), &mut book);
            }
            assert_eq!(book.waiting(), []);
        }
    }

    #[test]
    fn nothing_is_read_before_the_answer_and_over_ipv6() {
        let (mut book, mut state) = (Notes::of(HelperKind::Pptp), State::default());
        let (message, v6) = (message(1, &[]), "[2001:db8::1]:4000".parse().unwrap());
        let said = segment(Original, 1723, &message);
        for ignored in [Segment { established: false, ..said }, Segment { source: v6, ..said }] {
            inspect(&mut state, &ignored, &mut book);
        }
        assert_eq!(state, State::default());
    }

    proptest! {
        #[test]
        fn whatever_is_said_at_most_one_call_is_expected(
            said in proptest::collection::vec((any::<bool>(), 0u16..17, proptest::collection::vec(0u8..3, 0..8), 0usize..240), 0..40),
        ) {
            let (mut book, mut state) = (Notes::of(HelperKind::Pptp), State::default());
            for (reply, kind, begins, cut) in said {
                let mut bytes = message(kind, &begins);
                bytes.truncate(cut);
                inspect(&mut state, &segment(if reply { Reply } else { Original }, 1723, &bytes), &mut book);
            }
            let between = |one: &Expected| {
                [one.source, Source::Host(one.destination)].map(|end| end == Source::Host(CLIENT.into())) != [true; 2]
            };
            prop_assert!(book.waiting().iter().all(between));
            prop_assert!(book.waiting().len() % 2 == 0);
        }

        #[test]
        fn any_bytes_are_survived(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
            let (mut book, mut state) = (Notes::of(HelperKind::Pptp), State::default());
            inspect(&mut state, &segment(Reply, 1723, &payload), &mut book);
            prop_assert_eq!(book.waiting(), vec![]);
        }
    }
}
