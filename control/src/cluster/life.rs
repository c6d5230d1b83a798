//! A node's own life: join, learn, serve, drain, leave.
//!
//! A joiner first listens who is there, then **learns**: it tracks the flows of the others as shadows, for as long as
//! a flow may be silent that no handshake begins, so that it will take none of theirs for new. Where nobody serves
//! there is nothing to learn, and it serves at once. A node that **drains** has no part in the next map and keeps the
//! flows it has, until they have ended or the deadline has come; then it **leaves**: it stops owning, and says so, and
//! the others go on with what was left. Without a death nothing has to be detected.

use super::member::State;
use super::settings::Settings;

/// Where a node is in its life, and since when.
#[derive(Clone, Debug)]
pub(super) struct Life {
    state: State,
    since_ms: u64,
    /// While draining.
    deadline_ms: u64,
    stopping: bool,
    /// It has tracked everybody's flows for long enough.
    learned: bool,
}

/// What a node's life depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Around {
    /// Another node may own flows.
    pub(super) others_serve: bool,
    /// It may own: it has the lease or the majority that it needs, and nothing that lives has its name or cuts the hash
    /// space in another way.
    pub(super) welcome: bool,
    /// It has drained, and the others are ready to go on with what it has.
    pub(super) may_leave: bool,
}

impl Life {
    /// Born at `now_ms`; by hand a node does not join.
    pub(super) const fn new(state: State, now_ms: u64) -> Self {
        let learned = !matches!(state, State::Joining);
        Self { state, since_ms: now_ms, deadline_ms: 0, stopping: false, learned }
    }

    /// Where it is.
    pub(super) const fn state(&self) -> State {
        self.state
    }

    /// Since when.
    pub(super) const fn since_ms(&self) -> u64 {
        self.since_ms
    }

    /// By when it will have left, while it drains.
    pub(super) fn deadline_ms(&self) -> Option<u64> {
        (self.state == State::Draining).then_some(self.deadline_ms)
    }

    /// Whether it has left for good, and the others have had time to hear of it.
    pub(super) const fn may_stop(&self, settings: &Settings, now_ms: u64) -> bool {
        self.stopping
            && matches!(self.state, State::Leaving)
            && now_ms.saturating_sub(self.since_ms) >= settings.answer_ms
    }

    /// Whether it says whose each share is. A joiner does not know enough for that. One that has served, has what it
    /// needs to own again and waits for the end of its listening knows: it will not learn any more, so what is answered
    /// until then is to have its owner now.
    pub(super) const fn names_owners(&self, may_own: bool) -> bool {
        !matches!(self.state, State::Joining) || self.learned && may_own
    }

    /// Stops owning at once.
    pub(super) fn leave(&mut self, now_ms: u64) {
        self.enter(State::Leaving, now_ms);
    }

    /// Begins to drain, or moves the deadline. A node that owns nothing leaves at once.
    pub(super) fn drain(&mut self, deadline_ms: u64, stop: bool, now_ms: u64) {
        self.stopping |= stop;
        self.deadline_ms = deadline_ms;
        match self.state {
            State::Active => self.enter(State::Draining, now_ms),
            State::Joining | State::Learning => self.enter(State::Leaving, now_ms),
            State::Draining | State::Leaving => {}
        }
    }

    /// Owns nothing from now on and listens anew who is there, or leaves if it is about to stop. What it has learned it
    /// still knows.
    pub(super) fn rejoin(&mut self, now_ms: u64) {
        if self.state.serves() {
            self.enter(if self.stopping { State::Leaving } else { State::Joining }, now_ms);
        }
    }

    /// Takes a drain back. One that has left has tracked everything since, and serves again at once if it knew enough.
    pub(super) fn resume(&mut self, now_ms: u64) {
        let back = match self.state {
            State::Leaving if !self.learned => State::Joining,
            State::Draining | State::Leaving => State::Active,
            State::Joining | State::Learning | State::Active => return,
        };
        self.stopping = false;
        self.enter(back, now_ms);
    }

    /// Whether it drains and is done with that, or has no more time for it.
    pub(super) fn has_drained(&self, without_seat: bool, flows_left: Option<u64>, now_ms: u64) -> bool {
        let done = now_ms >= self.deadline_ms || without_seat && flows_left == Some(0);
        self.state == State::Draining && done
    }

    /// Goes on to the next state where it is time; returns whether it did.
    pub(super) fn advance(&mut self, around: Around, settings: &Settings, now_ms: u64) -> bool {
        let for_ms = now_ms.saturating_sub(self.since_ms);
        let next = match self.state {
            State::Joining | State::Learning if !around.welcome => return false,
            State::Joining if for_ms < settings.formation_ms => return false,
            State::Joining if around.others_serve && !self.learned => State::Learning,
            State::Joining => State::Active,
            State::Learning if for_ms >= settings.learning_ms || !around.others_serve => State::Active,
            State::Draining if around.may_leave => State::Leaving,
            State::Learning | State::Active | State::Draining | State::Leaving => return false,
        };
        self.enter(next, now_ms);
        true
    }

    fn enter(&mut self, state: State, now_ms: u64) {
        self.learned |= state.serves();
        (self.state, self.since_ms) = (state, now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMONG_OTHERS: Around = Around { others_serve: true, welcome: true, may_leave: false };

    fn settings() -> Settings {
        Settings { formation_ms: 100, learning_ms: 1000, answer_ms: 50, ..Settings::default() }
    }

    #[test]
    fn a_joiner_listens_then_learns_then_serves() {
        let mut life = Life::new(State::Joining, 0);
        assert!(!life.advance(AMONG_OTHERS, &settings(), 99));
        assert!(life.advance(AMONG_OTHERS, &settings(), 100) && life.state() == State::Learning);
        assert!(!life.advance(AMONG_OTHERS, &settings(), 1099));
        assert!(life.advance(AMONG_OTHERS, &settings(), 1100) && life.state() == State::Active);
    }

    #[test]
    fn where_nobody_serves_there_is_nothing_to_learn() {
        let alone = Around { others_serve: false, ..AMONG_OTHERS };
        let mut life = Life::new(State::Joining, 0);
        assert!(life.advance(alone, &settings(), 100) && life.state() == State::Active);
        let mut life = Life::new(State::Learning, 0);
        assert!(life.advance(alone, &settings(), 1) && life.state() == State::Active);
    }

    #[test]
    fn who_is_not_welcome_stays_outside() {
        let mut life = Life::new(State::Joining, 0);
        assert!(!life.advance(Around { welcome: false, ..AMONG_OTHERS }, &settings(), 10_000));
        let mut life = Life::new(State::Learning, 0);
        assert!(!life.advance(Around { welcome: false, ..AMONG_OTHERS }, &settings(), 10_000));
    }

    #[test]
    fn who_listens_names_owners_if_it_has_served_before() {
        let mut life = Life::new(State::Joining, 0);
        assert!(!life.names_owners(true), "it will learn");
        assert!(life.advance(AMONG_OTHERS, &settings(), 100) && life.names_owners(true));
        assert!(life.advance(AMONG_OTHERS, &settings(), 1100));
        life.rejoin(2000);
        assert!(life.state() == State::Joining && life.names_owners(true) && !life.names_owners(false));
    }

    #[test]
    fn a_leaver_waits_for_its_flows_or_the_deadline() {
        let alone = Around { others_serve: false, ..AMONG_OTHERS };
        let mut life = Life::new(State::Joining, 0);
        assert!(life.advance(alone, &Settings { formation_ms: 0, ..settings() }, 0));
        life.drain(500, true, 10);
        assert_eq!((life.state(), life.deadline_ms()), (State::Draining, Some(500)));
        assert!(!life.has_drained(true, Some(1), 20), "it has flows left");
        assert!(!life.has_drained(false, Some(0), 20), "it still gets new ones");
        assert!(life.has_drained(true, Some(0), 20) && life.has_drained(false, Some(1), 500));
        assert!(!life.advance(AMONG_OTHERS, &settings(), 500), "the others are not ready");
        let ready = Around { may_leave: true, ..AMONG_OTHERS };
        assert!(life.advance(ready, &settings(), 500) && life.state() == State::Leaving);
        assert!(!life.may_stop(&settings(), 549) && life.may_stop(&settings(), 550));
        life.resume(600);
        assert!(life.state() == State::Active && !life.may_stop(&settings(), 10_000));
    }

    #[test]
    fn who_left_before_it_knew_enough_learns_when_it_resumes() {
        let mut life = Life::new(State::Joining, 0);
        life.drain(500, false, 10);
        assert_eq!(life.state(), State::Leaving);
        life.resume(20);
        assert_eq!(life.state(), State::Joining);
    }
}
