//! Servers in virtual time.

mod promises;

use super::*;
use crate::config::services::{Check, Health};
use std::collections::BTreeMap;
use std::time::Duration;

const INTERVAL_MS: u64 = 2_000;

fn health() -> Health {
    Health {
        check: Some(Check::Tcp { port: 80 }),
        interval: Duration::from_millis(INTERVAL_MS),
        timeout: Duration::from_secs(1),
        rise: 2,
        fall: 3,
        passive_fall: None,
        panic_threshold_percent: 0,
    }
}

fn passive() -> Health {
    Health { check: None, passive_fall: Some(3), ..health() }
}

fn subject(n: usize) -> Subject {
    Subject {
        server: format!("s{n}").into(),
        address: Some(format!("10.0.0.{}", n + 1).parse().unwrap()),
        port: 80,
        device: Some("weir-lan".into()),
    }
}

fn group(health: &Health, servers: usize) -> Group {
    Group { service: "cache".into(), health: health.clone(), servers: (0..servers).map(subject).collect() }
}

fn board(health: &Health, servers: usize) -> Board {
    let mut board = Board::new(7);
    board.set(vec![group(health, servers)], 0);
    board.news();
    board
}

fn bad() -> Outcome {
    Outcome::Bad(Failure::Refused)
}

/// Who lives, as a word: `1` and `0`.
fn living(board: &Board) -> String {
    board.verdicts().iter().map(|verdict| if verdict.alive { '1' } else { '0' }).collect()
}

/// Asks whoever is due until `until_ms`, each answered at once by `answer` of the server's number and the time.
fn run(board: &mut Board, from_ms: u64, until_ms: u64, answer: impl Fn(usize, u64) -> Outcome) {
    let mut now_ms = from_ms;
    loop {
        board.look(now_ms);
        for job in board.due(now_ms, usize::MAX) {
            let n = job.subject.server[1..].parse().unwrap();
            board.answer(job.ticket, answer(n, now_ms), now_ms);
        }
        match board.next_ms() {
            Some(next_ms) if next_ms <= until_ms => now_ms = next_ms.max(now_ms),
            _ => return board.look(until_ms),
        }
    }
}

#[test]
fn so_many_answers_in_a_row_decide() {
    // Answers of one server, an interval between them, and whether it lives after each.
    for (answers, lives) in [
        ("bbb", "110"),
        ("bbgbbgbbg", "111111111"),
        ("bbbgg", "11001"),
        ("bbbgbgbgg", "110000001"),
        ("ubbubugg", "11110001"),
        ("bbuuub", "111110"),
    ] {
        let mut board = board(&health(), 1);
        let mut seen = String::new();
        for answer in answers.chars() {
            let now_ms = board.next_ms().unwrap();
            let job = board.due(now_ms, 1).remove(0);
            let outcome = match answer {
                'g' => Outcome::Good,
                'b' => bad(),
                _ => Outcome::Unable("no device".to_owned()),
            };
            board.answer(job.ticket, outcome, now_ms);
            seen += &living(&board);
        }
        assert_eq!(seen, lives, "{answers}");
    }
}

#[test]
fn a_new_server_lives_until_it_is_known_not_to() {
    let board = board(&health(), 2);
    assert_eq!(living(&board), "11");
    assert_eq!(board.verdicts()[0].reason, Reason::New);
}

#[test]
fn nobody_is_asked_twice_at_once_and_who_hangs_delays_nobody() {
    let mut board = board(&health(), 3);
    let mut asked = BTreeMap::<String, u32>::new();
    for now_ms in (0..20 * INTERVAL_MS).step_by(10) {
        for job in board.due(now_ms, 8) {
            *asked.entry(job.subject.server.to_string()).or_default() += 1;
            // The first never answers.
            if &*job.subject.server != "s0" {
                board.answer(job.ticket, Outcome::Good, now_ms);
            }
        }
    }
    assert_eq!(asked["s0"], 1);
    for other in ["s1", "s2"] {
        assert!((18..=22).contains(&asked[other]), "{asked:?}");
    }
}

#[test]
fn there_are_no_more_checks_than_there_is_room_and_the_longest_waiting_comes_first() {
    let mut board = board(&health(), 5);
    let first: Vec<_> = board.due(1_000, 2);
    assert_eq!(first.len(), 2);
    assert_eq!(board.due(1_000, 0), []);
    for job in &first {
        board.answer(job.ticket, Outcome::Good, 1_000);
    }
    let rest = board.due(60_000, 3);
    assert!(rest.iter().all(|job| first.iter().all(|done| done.ticket != job.ticket)), "those had waited");
}

#[test]
fn who_comes_back_and_does_not_last_is_kept_out_for_twice_as_long() {
    let mut board = board(&Health { rise: 1, fall: 1, ..health() }, 1);
    // Good when it has been dead, bad when it lives: the worst that a server can do.
    let mut outs = Vec::new();
    let (mut now_ms, mut died_ms) = (0, None);
    while outs.len() < 10 {
        board.look(now_ms);
        if let (Some(at_ms), "1") = (died_ms, living(&board).as_str()) {
            outs.push(now_ms - at_ms);
            died_ms = None;
        }
        for job in board.due(now_ms, 1) {
            let lives = living(&board) == "1";
            board.answer(job.ticket, if lives { bad() } else { Outcome::Good }, now_ms);
            died_ms = lives.then_some(now_ms).or(died_ms);
        }
        now_ms = board.next_ms().unwrap();
    }
    for (out_ms, held_ms) in outs.iter().zip([2, 4, 8, 16, 32, 64, 128, 256, 300, 300]) {
        let held_ms = held_ms * 1_000;
        assert!((held_ms..=held_ms + INTERVAL_MS * 11 / 10).contains(out_ms), "{outs:?}");
    }
}

#[test]
fn who_has_lasted_is_kept_out_no_longer_than_the_first_time() {
    let mut board = board(&Health { rise: 1, fall: 1, ..health() }, 1);
    // Bad for a moment each minute.
    run(&mut board, 0, 600_000, |_, now_ms| if now_ms % 60_000 < 2_500 { bad() } else { Outcome::Good });
    let view = board.view(600_000).remove(0).servers.remove(0);
    let changes: Vec<u64> = view.history.iter().map(|change| 600_000 - change.ago_ms).collect();
    let outs = view.history.iter().zip(&changes).filter(|(change, _)| change.alive);
    let lengths: Vec<u64> =
        outs.map(|(_, at_ms)| at_ms - changes.iter().rfind(|earlier| *earlier < at_ms).unwrap()).collect();
    assert!(lengths.len() >= 5 && lengths.iter().all(|length| *length <= 3 * INTERVAL_MS), "{lengths:?}");
}

#[test]
fn connections_in_a_row_without_an_answer_make_a_server_dead_for_a_while() {
    let mut board = board(&passive(), 1);
    let mut tally = Tally { answered: 100, unanswered: 50, refused: 50 };
    let tell = |board: &mut Board, tally, now_ms| board.traffic("cache", "s0", tally, now_ms);
    tell(&mut board, tally, 0);
    assert_eq!(living(&board), "1", "what was before is not counted");
    tally.unanswered += 2;
    tell(&mut board, tally, 100);
    tally.answered += 1;
    tally.refused += 5;
    tell(&mut board, tally, 200);
    assert_eq!(living(&board), "1", "an answer breaks the row");
    tally.unanswered += 1;
    tell(&mut board, tally, 300);
    tally.refused += 2;
    tell(&mut board, tally, 400);
    assert_eq!(living(&board), "0");
    assert_eq!(board.verdicts()[0].reason, Reason::Connections { unanswered: 1, refused: 2 });
    assert_eq!(board.next_ms(), Some(5_400));
    // What comes of its last connections while it is dead does not count.
    tally.refused += 10;
    tell(&mut board, tally, 5_000);
    board.look(5_399);
    assert_eq!(living(&board), "0");
    board.look(5_400);
    assert_eq!((living(&board).as_str(), &board.verdicts()[0].reason), ("1", &Reason::TriedAgain));
    tally.unanswered += 3;
    tell(&mut board, tally, 5_500);
    assert_eq!(board.next_ms(), Some(15_500), "twice as long");
}

#[test]
fn tallies_that_begin_anew_are_no_failures() {
    let mut board = board(&passive(), 1);
    board.traffic("cache", "s0", Tally { answered: 9, unanswered: 9, refused: 9 }, 0);
    board.traffic("cache", "s0", Tally { answered: 0, unanswered: 2, refused: 0 }, 100);
    assert_eq!(living(&board), "1");
}

#[test]
fn where_there_is_a_check_failed_connections_hasten_it_and_it_decides() {
    let mut board = board(&Health { passive_fall: Some(2), ..health() }, 1);
    run(&mut board, 0, 10_000, |_, _| Outcome::Good);
    let mut tally = Tally::default();
    board.traffic("cache", "s0", tally, 10_000);
    let was_due_ms = board.next_ms().unwrap();
    let fail = |board: &mut Board, tally: &mut Tally, now_ms| {
        tally.unanswered += 2;
        board.traffic("cache", "s0", *tally, now_ms);
    };
    // Whoever forges SYNs makes no server dead that answers.
    let mut checks = 0;
    for now_ms in (10_000..20_000).step_by(100) {
        fail(&mut board, &mut tally, now_ms);
        for job in board.due(now_ms, 1) {
            checks += 1;
            board.answer(job.ticket, Outcome::Good, now_ms);
        }
        assert_eq!(living(&board), "1");
    }
    assert!((18..=21).contains(&checks), "{checks} in five intervals, instead of 5 or 6");
    let at_ms = was_due_ms + 20_000;
    run(&mut board, 20_000, at_ms, |_, _| Outcome::Good);
    fail(&mut board, &mut tally, at_ms);
    let hastened_ms = board.next_ms().unwrap();
    assert!(hastened_ms <= at_ms + INTERVAL_MS / 4, "{hastened_ms} after {at_ms}");
    run(&mut board, at_ms, at_ms + 3 * INTERVAL_MS, |_, _| bad());
    assert!(living(&board) == "0" && matches!(board.verdicts()[0].reason, Reason::Checks(..)));
}

#[test]
fn a_server_without_an_address_or_a_device_comes_back_by_time_alone() {
    for (address, device) in [(false, true), (true, false)] {
        let mut group = group(&Health { passive_fall: Some(1), ..health() }, 1);
        group.servers[0].address.take_if(|_| !address);
        group.servers[0].device.take_if(|_| !device);
        let mut board = Board::new(1);
        board.set(vec![group], 0);
        board.traffic("cache", "s0", Tally::default(), 0);
        board.traffic("cache", "s0", Tally { refused: 1, ..Tally::default() }, 0);
        assert_eq!(living(&board), "0");
        assert!(board.view(5)[0].servers[0].unchecked.is_some(), "and that is seen before anybody has tried");
        assert_eq!(board.due(1_000, 8).len(), usize::from(address), "who has no address is not asked");
        board.look(5_000);
        assert_eq!(living(&board), "1");
    }
}

#[test]
fn with_too_few_alive_all_count_as_alive_and_it_is_said() {
    // Of four servers so many are dead; the threshold is met with half of them.
    for (dead, living_then) in [(1, "0111"), (2, "0011"), (3, "1111"), (4, "1111")] {
        let mut board = board(&Health { panic_threshold_percent: 50, ..health() }, 4);
        run(&mut board, 0, 20_000, |n, _| if n < dead { bad() } else { Outcome::Good });
        assert_eq!(living(&board), living_then, "{dead} dead");
        let is_panic = dead > 2;
        let view = board.view(20_000).remove(0);
        assert_eq!((view.alive, view.panic), (4 - dead, is_panic));
        let panics = board.verdicts().iter().filter(|one| matches!(one.reason, Reason::Panic { .. })).count();
        assert_eq!(panics, if is_panic { dead } else { 0 });
        let shown = view.servers.iter().filter(|server| server.reason.contains("panic: ")).count();
        assert_eq!(shown, panics, "the reason says so");
    }
}

#[test]
fn what_changes_together_is_told_together() {
    let mut board = board(&Health { fall: 1, ..health() }, 3);
    for job in board.due(1_000, 8) {
        board.answer(job.ticket, bad(), 1_000);
    }
    let news = board.news().expect("they died");
    assert_eq!(news.iter().filter(|verdict| !verdict.alive).count(), 3);
    assert_eq!(board.news(), None, "and nothing since");
}

#[test]
fn another_configuration_forgets_only_what_it_changes() {
    let mut board = board(&health(), 3);
    run(&mut board, 0, 20_000, |_, _| bad());
    assert_eq!(living(&board), "000");
    // The second moves, the third stays, the first goes, and there is a new one.
    let mut changed = group(&Health { interval: Duration::from_secs(1), ..health() }, 4);
    changed.servers[1].port = 81;
    changed.servers.remove(0);
    board.set(vec![changed, Group { service: "other".into(), ..group(&health(), 1) }], 20_000);
    assert_eq!(living(&board), "1011");
    let third = &board.view(20_000)[0].servers[1];
    assert_eq!((third.falls, third.history.len()), (1, 1));
}

#[test]
fn answers_to_another_question_do_not_count() {
    let mut board = board(&Health { fall: 2, ..health() }, 1);
    let job = board.due(1_000, 1).remove(0);
    board.answer(job.ticket, bad(), 1_000);
    let under_way = board.due(10_000, 1).remove(0);
    let other = Health { check: Some(Check::Icmp), fall: 2, ..health() };
    board.set(vec![group(&other, 1)], 10_000);
    board.answer(under_way.ticket, bad(), 10_100);
    assert_eq!(living(&board), "1");
    let job = board.due(20_000, 1).remove(0);
    assert_eq!(job.check, Check::Icmp);
    board.answer(job.ticket, bad(), 20_000);
    assert_eq!(living(&board), "1", "the first bad answer to this question");
}
