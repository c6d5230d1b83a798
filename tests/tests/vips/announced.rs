//! Flows that others announce, to a VIP: they go where their master goes, of whatever kind its nodes are.

use super::three::{Client, Three, all};
use super::{LEFT, TAKEN};
use weir_dataplane::config::vip::HashMode;
use weir_dataplane::counters::{DropReason, Verdict};
use weir_dataplane::track::record::Flags;

const KINDS: [fn(HashMode) -> Three; 2] =
    [|mode| Three::of_cluster(mode, &[0, 1, 2, 0, 1, 2, 0, 1]), Three::by_numbers];

/// A control connection in which the client has said its first line: whose it is.
fn session(three: &mut Three, client: &mut Client) -> usize {
    let taker = three.taker(&client.syn());
    assert_eq!(three.taker(&client.ack()), taker);
    assert_eq!(three.taker(&client.say("USER anonymous\r\n")), taker);
    taker
}

fn port(from: u16) -> String {
    format!("PORT 192,0,2,7,{},{}\r\n", from >> 8, from & 0xff)
}

#[test]
fn the_data_connections_of_ftp_go_where_their_control_connection_goes() {
    for kind in KINDS {
        for mode in HashMode::ALL {
            let mut by_hash = 0;
            for n in 0..12u16 {
                let mut three = kind(*mode);
                let mut control = Client::new(7, 30_000 + n, 21);
                let owner = session(&mut three, &mut control);
                // The client listens, and answers what the server opens.
                assert_eq!(three.taker(&control.say(&port(50_000 + n))), owner);
                let active = Client::new(7, 50_000 + n, 20);
                for frame in [active.syn_ack(), active.ack(), active.fin()] {
                    assert_eq!(three.taker(&frame), owner, "{mode}");
                }
                // The server listens, at a port that the others have not heard.
                assert_eq!(three.taker(&control.say("EPSV\r\n")), owner);
                let [passive, next] = [50_000, 50_001].map(|from| Client::new(7, from + n, 60_000));
                for frame in [passive.syn(), passive.ack(), passive.syn()] {
                    assert_eq!(three.taker(&frame), owner, "{mode}");
                }
                // One has been announced and no more.
                by_hash += usize::from(three.taker(&next.syn()) == owner);
            }
            assert!(*mode == HashMode::Source || by_hash < 12, "{mode}: {by_hash} of 12");
        }
    }
}

#[test]
fn with_numbers_nothing_else_is_followed() {
    let mut three = Three::by_numbers(HashMode::SourcePort);
    let mut control = Client::new(7, 30_000, 21);
    session(&mut three, &mut control);
    three.taker(&Client::new(7, 30_000, 80).syn());
    three.taker(&Client::new(7, 30_000, 53).datagram(b"x"));
    assert_eq!(three.flows(0).len(), 1, "the control connection");
    let mut three = Three::by_numbers(HashMode::Source);
    session(&mut three, &mut control);
    assert_eq!(three.flows(0).len(), 0, "a client has one node, so has what it announces");
}

#[test]
fn what_is_announced_stays_with_its_master_when_buckets_move() {
    let mut three = Three::of_cluster(HashMode::Source, &all(0));
    let mut control = Client::new(7, 30_000, 21);
    session(&mut three, &mut control);
    three.agree(&all(1));
    assert_eq!(three.taker(&control.say("PASV\r\n")), 0);
    let data = Client::new(7, 50_000, 60_000);
    assert_eq!([three.taker(&data.syn()), three.taker(&data.ack())], [0, 0]);
    three.agree(&all(2));
    assert_eq!(three.taker(&data.ack()), 0);
    assert_eq!(three.taker(&Client::new(7, 50_001, 60_000).syn()), 2);
    let flows = three.flows(1);
    assert_eq!(flows.iter().filter(|flow| flow.flags.has(Flags::EXPECTED)).count(), 1);
}

#[test]
fn a_port_that_was_not_heard_is_no_known_one_and_not_for_long() {
    let mut three = Three::of_cluster(HashMode::SourcePort, &all(0));
    let mut control = Client::new(7, 30_000, 21);
    session(&mut three, &mut control);
    three.taker(&control.say("PASV\r\n"));
    three.agree(&all(1));
    for to in [80, 443, 21, 5060] {
        assert_eq!(three.taker(&Client::new(7, 50_000, to).syn()), 1, "port {to}");
    }
    assert_eq!(three.taker(&Client::new(8, 50_000, 60_000).syn()), 1, "another client's");
    three.wait(11);
    assert_eq!(three.taker(&Client::new(7, 50_000, 60_000).syn()), 1, "too late");
}

#[test]
fn of_two_questions_of_one_client_the_second_waits_for_the_first_ones_connection() {
    let mut three = Three::of_cluster(HashMode::SourcePort, &all(0));
    let (mut first, mut second) = (Client::new(7, 30_000, 21), Client::new(7, 30_001, 21));
    session(&mut three, &mut first);
    three.agree(&all(1));
    session(&mut three, &mut second);
    assert_eq!(three.taker(&first.say("PASV\r\n")), 0);
    let waits = [LEFT, Verdict::Drop(DropReason::Helper), LEFT];
    assert_eq!(three.verdicts(&second.repeat("PASV\r\n")), waits, "it will be said again");
    assert_eq!(three.taker(&Client::new(7, 50_000, 60_000).syn()), 0);
    assert_eq!(three.verdicts(&second.repeat("PASV\r\n")), [LEFT, TAKEN, LEFT]);
    assert_eq!(three.taker(&Client::new(7, 50_001, 60_001).syn()), 1);
}

#[test]
fn a_transfer_by_tftp_goes_where_it_was_asked_for() {
    for kind in KINDS {
        let mut three = kind(HashMode::SourceDestinationPort);
        for n in 0..12 {
            let request = Client::new(7, 30_000 + n, 69);
            let owner = three.taker(&request.datagram(b"\0\x01boot\0octet\0"));
            let transfer = Client { to: 50_000 + n, ..request };
            for _ in 0..3 {
                assert_eq!(three.taker(&transfer.datagram(b"\0\x04\0\x01")), owner);
            }
        }
    }
}
