//! Whatever happens, the promises of the board hold.

use super::*;
use proptest::prelude::*;

/// What can happen to a board.
#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Ask(usize),
    Answer { which: usize, outcome: Outcome },
    Traffic { server: usize, answered: u64, unanswered: u64, refused: u64 },
    Set(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        Just(Outcome::Good),
        Just(Outcome::Bad(Failure::Refused)),
        Just(Outcome::Unable("no device".to_owned()))
    ];
    prop_oneof![
        (0..10_000_u64).prop_map(Step::Pass),
        (0..6_usize).prop_map(Step::Ask),
        (any::<usize>(), outcome.clone()).prop_map(|(which, outcome)| Step::Answer { which, outcome }),
        (any::<usize>(), outcome).prop_map(|(which, outcome)| Step::Answer { which, outcome }),
        (0..6_usize, 0..2_u64, 0..3_u64, 0..3_u64).prop_map(|(server, answered, unanswered, refused)| {
            Step::Traffic { server, answered, unanswered, refused }
        }),
        (1..6_usize).prop_map(Step::Set),
    ]
}

/// A board, and what a naive observer keeps of it.
struct Observed {
    board: Board,
    health: Health,
    now_ms: u64,
    asked: Vec<Job>,
    bad_row: BTreeMap<String, u32>,
    tallies: BTreeMap<usize, Tally>,
    told: Vec<Verdict>,
}

impl Observed {
    fn new(health: Health) -> Self {
        let board = board(&health, 3);
        let told = board.verdicts();
        let (asked, bad_row, tallies) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Self { board, health, now_ms: 0, asked, bad_row, tallies, told }
    }

    fn take(&mut self, step: Step) {
        let Self { board, now_ms, asked, .. } = self;
        match step {
            Step::Pass(ms) => {
                *now_ms += ms;
                board.look(*now_ms);
            }
            Step::Ask(room) => {
                let jobs = board.due(*now_ms, room);
                assert!(jobs.len() <= room);
                for job in jobs {
                    assert!(asked.iter().all(|other| other.ticket != job.ticket), "asked twice at once");
                    asked.push(job);
                }
            }
            Step::Answer { which, outcome } => self.answer(which, outcome),
            Step::Traffic { server, answered, unanswered, refused } => {
                let tally = self.tallies.entry(server).or_default();
                tally.answered += answered;
                tally.unanswered += unanswered;
                tally.refused += refused;
                board.traffic("cache", &format!("s{server}"), *tally, *now_ms);
            }
            Step::Set(servers) => {
                board.set(vec![group(&self.health, servers)], *now_ms);
                let stays = |server: &str| server[1..].parse().is_ok_and(|n: usize| n < servers);
                asked.retain(|job| stays(&job.subject.server));
                self.bad_row.retain(|server, _| stays(server));
            }
        }
    }

    fn answer(&mut self, which: usize, outcome: Outcome) {
        if self.asked.is_empty() {
            return;
        }
        let job = self.asked.swap_remove(which % self.asked.len());
        let row = self.bad_row.entry(job.subject.server.to_string()).or_default();
        match &outcome {
            Outcome::Good => *row = 0,
            Outcome::Bad(_) => *row += 1,
            Outcome::Unable(_) => {}
        }
        let was = falls(&self.board);
        self.board.answer(job.ticket, outcome, self.now_ms);
        assert!(falls(&self.board) == was || *row >= self.health.fall, "died after {row} bad answers");
    }

    fn judge(&mut self) {
        let verdicts = self.board.verdicts();
        let view = self.board.view(self.now_ms).remove(0);
        let alive = view.servers.iter().filter(|server| server.alive).count();
        assert_eq!(view.alive, alive);
        let panic = alive * 100 < view.servers.len() * usize::from(self.health.panic_threshold_percent);
        assert_eq!(view.panic, panic);
        for (verdict, server) in verdicts.iter().zip(&view.servers) {
            assert_eq!(verdict.alive, server.alive || panic);
            assert!(server.held_for_ms.is_none_or(|held_ms| held_ms <= hold::LONGEST_MS));
            let by_answers = |change: &Change| change.alive || change.reason.contains("bad answer");
            assert!(server.history.iter().all(by_answers), "where there is a check that decides");
        }
        match self.board.news() {
            Some(news) => assert_eq!(news, verdicts),
            None => assert_eq!(living_of(&self.told), living_of(&verdicts), "a change is news"),
        }
        self.told = verdicts;
    }

    /// With good answers alone from now on, all live after the longest hold and so many intervals.
    fn recover(mut self) {
        for job in self.asked {
            self.board.answer(job.ticket, Outcome::Good, self.now_ms);
        }
        let end_ms = self.now_ms + hold::LONGEST_MS + (u64::from(self.health.rise) + 2) * INTERVAL_MS * 2;
        run(&mut self.board, self.now_ms, end_ms, |_, _| Outcome::Good);
        assert!(self.board.view(end_ms)[0].servers.iter().all(|server| server.alive));
    }
}

fn falls(board: &Board) -> u64 {
    board.view(0)[0].servers.iter().map(|server| server.falls).sum()
}

fn living_of(verdicts: &[Verdict]) -> Vec<(&str, bool)> {
    verdicts.iter().map(|verdict| (&*verdict.server, verdict.alive)).collect()
}

proptest! {
    /// Nobody is asked twice at once, room is kept, nobody dies without `fall` bad answers in a row, nobody is kept out for longer than the longest hold, and changes are news.
    #[test]
    fn whatever_happens_the_promises_hold(
        steps in proptest::collection::vec(any_step(), 1..200),
        (fall, rise) in (1..4_u32, 1..4_u32),
        passive_fall in proptest::option::of(1..4_u32),
        panic_threshold_percent in 0..=100_u8,
    ) {
        let mut observed =
            Observed::new(Health { fall, rise, passive_fall, panic_threshold_percent, ..health() });
        for step in steps {
            observed.take(step);
            observed.judge();
        }
        observed.recover();
    }
}
