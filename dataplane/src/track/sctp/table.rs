//! The SCTP state table: what a chunk, in a direction, makes of a state. As Linux's conntrack (6.18) behaves.

use crate::units::Direction;
use crate::wire::ChunkType;

/// Where an SCTP flow stands, as seen from the middle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Nothing seen.
    #[default]
    None,
    /// INIT seen, or the end.
    Closed,
    /// INIT ACK seen.
    CookieWait,
    /// COOKIE ECHO seen.
    CookieEchoed,
    /// Open: COOKIE ACK seen, or on a second path HEARTBEAT ACK.
    Established,
    /// SHUTDOWN seen from the original source.
    ShutdownSent,
    /// SHUTDOWN seen from the other end.
    ShutdownRecd,
    /// SHUTDOWN ACK seen.
    ShutdownAckSent,
    /// HEARTBEAT seen on a path that is new.
    HeartbeatSent,
}

/// The state that a chunk of this kind, going `direction`, leads to; `None` when it has no place there.
pub(super) fn next(direction: Direction, kind: ChunkType, state: State) -> Option<State> {
    if !changes_states(kind) {
        return Some(state);
    }
    match direction {
        Direction::Original => Some(next_original(kind, state)),
        Direction::Reply => next_reply(kind, state),
    }
}

fn next_original(kind: ChunkType, state: State) -> State {
    use State::*;
    match (kind, state) {
        (ChunkType::ABORT, _) => Closed,
        (ChunkType::INIT, HeartbeatSent) => CookieWait,
        (ChunkType::INIT, ShutdownSent | ShutdownRecd) => Closed,
        (ChunkType::COOKIE_ECHO, CookieWait) => CookieEchoed,
        (ChunkType::COOKIE_ACK, CookieEchoed) => Established,
        (ChunkType::SHUTDOWN, Established) => ShutdownSent,
        (ChunkType::SHUTDOWN_ACK, None | ShutdownSent | ShutdownRecd | HeartbeatSent) => ShutdownAckSent,
        (ChunkType::SHUTDOWN_COMPLETE, ShutdownAckSent) => Closed,
        (ChunkType::HEARTBEAT, None) => HeartbeatSent,
        (ChunkType::HEARTBEAT | ChunkType::HEARTBEAT_ACK, HeartbeatSent) => HeartbeatSent,
        (_, None | HeartbeatSent) => Closed,
        (_, state) => state,
    }
}

fn next_reply(kind: ChunkType, state: State) -> Option<State> {
    use State::*;
    Some(match (kind, state) {
        (ChunkType::HEARTBEAT, HeartbeatSent) => HeartbeatSent,
        (ChunkType::HEARTBEAT_ACK, HeartbeatSent) => Established,
        (_, None | HeartbeatSent) => return Option::None,
        (ChunkType::ABORT, _) => Closed,
        (ChunkType::INIT_ACK, Closed) => CookieWait,
        (ChunkType::COOKIE_ECHO, CookieWait) => CookieEchoed,
        (ChunkType::COOKIE_ACK, CookieEchoed) => Established,
        (ChunkType::ERROR, CookieEchoed) => Closed,
        (ChunkType::SHUTDOWN, Established) => ShutdownRecd,
        (ChunkType::SHUTDOWN_ACK, ShutdownSent | ShutdownRecd) => ShutdownAckSent,
        (ChunkType::SHUTDOWN_COMPLETE, ShutdownAckSent) => Closed,
        (_, state) => state,
    })
}

/// DATA, SACK and chunks of extensions never do.
fn changes_states(kind: ChunkType) -> bool {
    matches!(
        kind,
        ChunkType::INIT
            | ChunkType::INIT_ACK
            | ChunkType::HEARTBEAT
            | ChunkType::HEARTBEAT_ACK
            | ChunkType::ABORT
            | ChunkType::SHUTDOWN
            | ChunkType::SHUTDOWN_ACK
            | ChunkType::ERROR
            | ChunkType::COOKIE_ECHO
            | ChunkType::COOKIE_ACK
            | ChunkType::SHUTDOWN_COMPLETE
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Original, Reply};

    #[test]
    fn an_association_opens_and_closes() {
        let mut state = State::None;
        for (direction, kind, expected) in [
            (Original, ChunkType::INIT, State::Closed),
            (Reply, ChunkType::INIT_ACK, State::CookieWait),
            (Original, ChunkType::COOKIE_ECHO, State::CookieEchoed),
            (Reply, ChunkType::COOKIE_ACK, State::Established),
            (Original, ChunkType::DATA, State::Established),
            (Reply, ChunkType::SHUTDOWN, State::ShutdownRecd),
            (Original, ChunkType::SHUTDOWN_ACK, State::ShutdownAckSent),
            (Reply, ChunkType::SHUTDOWN_COMPLETE, State::Closed),
        ] {
            assert_eq!(next(direction, kind, state), Some(expected));
            state = expected;
        }
    }

    #[test]
    fn only_heartbeats_may_answer_a_heartbeat() {
        for kind in (0..=u8::MAX).map(ChunkType) {
            let expected = match kind {
                ChunkType::HEARTBEAT_ACK => Some(State::Established),
                ChunkType::HEARTBEAT => Some(State::HeartbeatSent),
                kind if changes_states(kind) => None,
                _ => Some(State::HeartbeatSent),
            };
            assert_eq!(next(Reply, kind, State::HeartbeatSent), expected, "{kind:?}");
        }
    }
}
