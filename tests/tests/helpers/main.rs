//! Dialogues of the protocols that helpers read, frame by frame: what Weir calls each, and that this machine's Linux
//! calls it the same.
//!
//! Linux needs root, and a kernel with bridge netfilter, conntrack, its helpers and NFLOG.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test stops at the first surprise, and writes numbers into the fields of small frames"
)]

mod dialogue;
mod h323;
mod pptp;
mod small;

use dialogue::{C, Dialogue, S};
use std::net::{IpAddr, Ipv4Addr};
use weir_dataplane::counters::Verdict;
use weir_tests::conformance::{LinuxAnswer, Mode};
use weir_tests::conversation::{Fate, Passage, Side};
use weir_tests::netns;
use weir_tests::node::{Node, bridge};
use weir_tests::oracle::{EVERY_HELPER, Oracle, Rules};

/// Its name, and what is said.
type Named = (&'static str, fn(&mut Dialogue));

const DIALOGUES: [Named; 32] = [
    ("tftp", small::tftp),
    ("irc", small::irc),
    ("irc_reads_4095_bytes", small::irc_reads_4095_bytes),
    ("irc_offers_eight_at_a_time", small::irc_offers_eight_at_a_time),
    ("irc_offers_of_two_clash", small::irc_offers_of_two_clash),
    ("amanda", small::amanda),
    ("amanda_ports_of_two_clash", small::amanda_ports_of_two_clash),
    ("sane", small::sane),
    ("questions_by_broadcast", small::questions_by_broadcast),
    ("pptp_the_client_calls", pptp::the_client_calls),
    ("pptp_the_server_calls", pptp::the_server_calls),
    ("pptp_call_ids_of_zero", pptp::call_ids_of_zero),
    ("pptp_one_call_at_a_time", pptp::one_call_at_a_time),
    ("pptp_the_same_server_id_again", pptp::the_same_server_id_again),
    ("pptp_an_answer_twice", pptp::an_answer_twice),
    ("pptp_two_connections_with_one_server_id", pptp::two_connections_with_one_server_id),
    ("pptp_two_connections_with_one_call", pptp::two_connections_with_one_call),
    ("pptp_a_notice_ends_any_tunnel_of_these_ids", pptp::a_notice_ends_any_tunnel_of_these_ids),
    ("pptp_the_connection_takes_its_call_along", pptp::the_connection_takes_its_call_along),
    (
        "pptp_a_stale_flow_does_not_speak_for_its_successor",
        pptp::a_stale_flow_does_not_speak_for_its_successor,
    ),
    ("pptp_the_session_comes_first", pptp::the_session_comes_first),
    ("pptp_stopped_and_started", pptp::stopped_and_started),
    ("pptp_messages_that_are_cut", pptp::messages_that_are_cut),
    ("gre_versions", pptp::gre_versions),
    ("an_error_quotes_a_call", pptp::an_error_quotes_a_call),
    ("h323_a_setup_names_the_control_channel", h323::a_setup_names_the_control_channel),
    ("h323_channels_are_proposed_at_once", h323::channels_are_proposed_at_once),
    ("h323_control_messages_within_signalling", h323::control_messages_within_signalling),
    ("h323_media_are_opened_on_the_control_channel", h323::media_are_opened_on_the_control_channel),
    ("h323_messages_and_segments", h323::messages_and_segments),
    ("h323_a_call_is_forwarded", h323::a_call_is_forwarded),
    ("h323_an_endpoint_registers", h323::an_endpoint_registers),
];

/// Each of its own client.
fn dialogues() -> impl Iterator<Item = (&'static str, Dialogue)> {
    (1..).zip(DIALOGUES).map(|(number, (name, say))| {
        let mut dialogue = Dialogue::new(number);
        say(&mut dialogue);
        (name, dialogue)
    })
}

/// State, `/r` in the reply direction, and whether it was let through.
fn word(state: &str, reply: bool, passed: bool) -> String {
    match (state, passed) {
        // Linux lets these pass unless told otherwise.
        ("INVALID", _) => state.into(),
        _ => format!("{state}{}{}", if reply { "/r" } else { "" }, if passed { "" } else { " dropped" }),
    }
}

/// A passage's client, which nobody asks for here.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

fn weir_says(node: &mut Node, at_s: u64, side: Side, frame: &[u8]) -> String {
    let passage =
        Passage { client: NOBODY, fate: Fate::Flow, at_us: at_s * 1_000_000, side, bytes: frame.to_vec() };
    let sight = node.take([&passage])[0];
    let state = sight.state.map_or_else(|| "-".into(), |state| state.to_string());
    word(&state, sight.reply, matches!(sight.verdict, Verdict::Forward(_)))
}

fn linux_says(answer: &LinuxAnswer) -> String {
    match answer.verdicts.first() {
        Some(verdict) => word(&verdict.state, verdict.reply, answer.out > 0),
        None => "-".into(),
    }
}

#[test]
fn weir_calls_each_frame_what_it_is() {
    let mut node = Node::new(&bridge());
    for (name, dialogue) in dialogues() {
        for (n, (side, frame, called)) in dialogue.steps.iter().enumerate() {
            assert_eq!(weir_says(&mut node, 0, *side, frame), *called, "{name} step {n}");
        }
    }
}

#[test]
fn linux_calls_each_frame_the_same() {
    if !netns::available("dialogues of helpers beside Linux") {
        return;
    }
    let rules = Rules { helpers: EVERY_HELPER.to_vec(), ..Rules::new(Mode::All) };
    let mut oracle = Oracle::new(&rules).unwrap();
    let mut wrong = String::new();
    for (name, dialogue) in dialogues() {
        let answers = oracle.answers(dialogue.steps.iter().map(|(_, frame, _)| frame.as_slice())).unwrap();
        for (answer, (_, _, called)) in answers.iter().zip(&dialogue.steps) {
            let said = linux_says(answer);
            if said != *called {
                wrong += &format!("{name} step {}: Linux says {said}, not {called}\n", answer.frame - 1);
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn broken_h323_messages_announce_the_same_to_both() {
    if !netns::available("broken H.323 beside Linux") {
        return;
    }
    let rules = Rules { helpers: EVERY_HELPER.to_vec(), ..Rules::new(Mode::All) };
    let mut oracle = Oracle::new(&rules).unwrap();
    let mut node = Node::new(&bridge());
    let mut wrong = String::new();
    for number in 100..120 {
        let mut dialogue = Dialogue::new(number);
        h323::broken_messages(&mut dialogue, u64::from(number));
        let answers = oracle.answers(dialogue.steps.iter().map(|(_, frame, _)| frame.as_slice())).unwrap();
        for (answer, (side, frame, _)) in answers.iter().zip(&dialogue.steps) {
            let (linux, weir) = (linux_says(answer), weir_says(&mut node, 0, *side, frame));
            if linux != weir {
                wrong += &format!("{number} step {}: Linux says {linux}, Weir {weir}\n", answer.frame - 1);
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn an_answer_of_amanda_keeps_its_flow_for_five_minutes() {
    for (late_s, called) in [(299, "ESTABLISHED"), (301, "NEW")] {
        let mut dialogue = Dialogue::new(1);
        dialogue.udp(C, [4000, 10_080], b"sendbackup", "NEW");
        dialogue.udp(S, [4000, 10_080], b"wait", "ESTABLISHED/r");
        dialogue.udp(C, [4000, 10_080], b"sendbackup", called);
        let mut node = Node::new(&bridge());
        for ((side, frame, called), at_s) in dialogue.steps.iter().zip([0, 0, late_s]) {
            assert_eq!(weir_says(&mut node, at_s, *side, frame), *called);
        }
    }
}

#[test]
fn an_answer_of_amanda_is_taken_up_within_three_minutes() {
    for (late_s, called) in [(179, "RELATED"), (181, "NEW")] {
        let mut dialogue = Dialogue::new(1);
        dialogue.udp(C, [4000, 10_080], b"sendbackup", "NEW");
        dialogue.udp(S, [4000, 10_080], b"CONNECT DATA 1025\n", "ESTABLISHED/r");
        dialogue.syn(C, [3000, 1025], called);
        let mut node = Node::new(&bridge());
        for ((side, frame, called), at_s) in dialogue.steps.iter().zip([0, 0, late_s]) {
            assert_eq!(weir_says(&mut node, at_s, *side, frame), *called);
        }
    }
}
