//! What SIP messages announce, and what they do not.
#![cfg(test)]

use super::*;
use crate::helper::book::Notes;
use crate::units::Direction;
use core::net::IpAddr;
use proptest::prelude::*;

const CALLER: &str = "192.0.2.10:5060";
const CALLEE: &str = "198.51.100.20:5060";
const CALLER6: &str = "[2001:db8::10]:5060";
const CALLEE6: &str = "[2001:db8:1::20]:5060";

fn segment<'a>(source: &str, destination: &str, text: &'a [u8]) -> Segment<'a> {
    Segment {
        direction: Direction::Original,
        protocol: IpProtocol::UDP,
        established: true,
        expected: false,
        alone: false,
        seq: 1,
        payload: text,
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        local: None,
    }
}

/// A flow, its helper and its book.
struct Flow {
    state: State,
    notes: Notes,
    protocol: IpProtocol,
}

impl Flow {
    fn over(protocol: IpProtocol) -> Self {
        Self { state: State::default(), notes: Notes::of(HelperKind::Sip), protocol }
    }

    fn say(&mut self, source: &str, destination: &str, text: &str) -> Outcome {
        let segment = Segment { protocol: self.protocol, ..segment(source, destination, text.as_bytes()) };
        inspect(&mut self.state, &segment, &mut self.notes)
    }

    fn call(&mut self, text: &str) -> Outcome {
        self.say(CALLER, CALLEE, text)
    }

    fn answer(&mut self, text: &str) -> Outcome {
        self.say(CALLEE, CALLER, text)
    }

    /// Ports that wait, oldest first.
    fn ports(&self) -> Vec<u16> {
        self.notes.waiting().iter().map(|expected| expected.destination_port).collect()
    }
}

fn udp() -> Flow {
    Flow::over(IpProtocol::UDP)
}

const SDP: &str = "v=0\r\no=a 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n";

fn invite(media: &str) -> String {
    let body = format!("{SDP}{media}");
    format!(
        "INVITE sip:b@198.51.100.20 SIP/2.0\r\nCSeq: 7 INVITE\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn register(contact: &str, expires: &str) -> String {
    format!(
        "REGISTER sip:r SIP/2.0\r\nCSeq: 3 REGISTER\r\nContact: {contact}\r\n{expires}Content-Length: 0\r\n\r\n"
    )
}

fn registered(code: u32, contacts: &str) -> String {
    format!("SIP/2.0 {code} x\r\nCSeq: 3 REGISTER\r\n{contacts}Content-Length: 0\r\n\r\n")
}

#[test]
fn an_invite_announces_rtp_and_rtcp_from_the_callee() {
    let mut flow = udp();
    assert_eq!(flow.call(&invite("m=audio 40000 RTP/AVP 0\r\nm=video 40003 RTP/AVP 31\r\n")), Outcome::Pass);
    assert_eq!(flow.ports(), [40_000, 40_001, 40_002, 40_003]);
    let first = flow.notes.waiting()[0];
    assert_eq!(first.source, Source::Host("198.51.100.20".parse::<IpAddr>().unwrap()));
    assert_eq!(first.destination, "192.0.2.10".parse::<IpAddr>().unwrap());
    assert_eq!((first.class.index, first.protocol, first.permanent), (1, IpProtocol::UDP, false));
    assert_eq!(flow.notes.refreshed, Some(SIGNALLING_TIMEOUT));
}

#[test]
fn what_is_said_of_media() {
    for (media, outcome, ports) in [
        ("m=audio 40000 RTP/AVP 0\r\n", Outcome::Pass, vec![40_000, 40_001]),
        ("m=image 40000 udptl t38\r\n", Outcome::Pass, vec![40_000, 40_001]),
        ("m=audio 0 RTP/AVP 0\r\n", Outcome::Pass, vec![]),
        ("m=text 40000 RTP/AVP 0\r\n", Outcome::Pass, vec![]),
        ("m=audio 1000 RTP/AVP 0\r\n", Outcome::Drop, vec![]),
        ("m=audio 70000 RTP/AVP 0\r\n", Outcome::Drop, vec![]),
        ("m=audio x\r\n", Outcome::Pass, vec![]),
        ("m=audio\r\n", Outcome::Pass, vec![]),
        ("m=audio 40000 RTP/AVP 0\r\nc=IN IP4 192.0.2.99\r\n", Outcome::Pass, vec![]),
        ("m=audio 40000 RTP/AVP 0\r\nc=IN IP4 x\r\n", Outcome::Pass, vec![40_000, 40_001]),
        ("m=text 1 x\r\nm=audio 40000 RTP/AVP 0", Outcome::Pass, vec![40_000, 40_001]),
        (
            "m=audio 40000 a\r\nm=audio 40002 a\r\nm=audio 40004 a\r\nm=audio 40006 a\r\n",
            Outcome::Pass,
            vec![40_000, 40_001, 40_002, 40_003, 40_004, 40_005],
        ),
    ] {
        let mut flow = udp();
        assert_eq!((flow.call(&invite(media)), flow.ports()), (outcome, ports), "{media}");
    }
}

#[test]
fn media_without_an_address_drop_the_message() {
    let text = "INVITE sip:b SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\nm=audio 40000 RTP/AVP 0\r\n";
    assert_eq!(udp().call(text), Outcome::Drop);
    assert_eq!(udp().call("INVITE sip:b SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\n"), Outcome::Pass);
    assert_eq!(udp().call("INVITE sip:b SIP/2.0\r\n\r\nv=0\r\n"), Outcome::Drop, "no sequence number");
    assert_eq!(udp().call("INVITE sip:b SIP/2.0\r\nCSeq: x\r\n\r\n"), Outcome::Drop);
    assert_eq!(udp().call("OPTIONS sip:b SIP/2.0\r\nCSeq: x\r\n\r\n"), Outcome::Pass, "not looked into");
}

#[test]
fn an_answer_announces_the_callees_media_and_an_error_takes_all_back() {
    let answer = |code: u32, sequence: u32, port: u16| {
        format!(
            "SIP/2.0 {code} x\r\nCSeq: {sequence} INVITE\r\n\r\nv=0\r\nc=IN IP4 198.51.100.20\r\nm=audio {port} RTP/AVP 0\r\n"
        )
    };
    let mut flow = udp();
    flow.call(&invite("m=audio 40000 RTP/AVP 0\r\n"));
    assert_eq!(flow.answer(&answer(183, 7, 50_000)), Outcome::Pass);
    assert_eq!(flow.ports(), [40_000, 40_001, 50_000, 50_001]);
    assert_eq!(flow.answer(&answer(486, 6, 50_000)), Outcome::Pass);
    assert_eq!(flow.ports().len(), 4, "the error is about another call");
    assert_eq!(flow.answer(&answer(486, 7, 50_000)), Outcome::Pass);
    assert_eq!(flow.ports(), []);
    assert_eq!(flow.answer("SIP/2.0 xyz\r\nCSeq: 7 INVITE\r\n\r\n"), Outcome::Drop);
    assert_eq!(flow.answer("SIP/2.0 200 OK\r\n\r\n"), Outcome::Drop);
}

#[test]
fn a_new_invite_replaces_and_bye_ends_the_media() {
    let mut flow = udp();
    flow.call(&invite("m=audio 40000 RTP/AVP 0\r\n"));
    flow.call(&invite("m=audio 41000 RTP/AVP 0\r\n"));
    assert_eq!(flow.ports(), [41_000, 41_001]);
    flow.call("ACK sip:b SIP/2.0\r\nCSeq: 7 ACK\r\n\r\nv=0\r\nc=IN IP4 192.0.2.10\r\nm=audio 42000 x\r\n");
    assert_eq!(flow.ports(), [41_000, 41_001, 42_000, 42_001]);
    assert_eq!(flow.answer("BYE sip:a SIP/2.0\r\nCSeq: 8 BYE\r\n\r\n"), Outcome::Pass);
    assert_eq!(flow.ports(), []);
}

#[test]
fn what_another_call_expects_is_not_expected_again() {
    let media = |helper| {
        let mut flow = udp();
        let source = Source::Host("198.51.100.20".parse().unwrap());
        let destination = "192.0.2.10:40000".parse().unwrap();
        let other = Expected::once(IpProtocol::UDP, source, destination, &AUDIO);
        flow.notes.of_others.push((other, helper));
        assert_eq!(flow.call(&invite("m=audio 40000 RTP/AVP 0\r\n")), Outcome::Pass);
        flow.ports()
    };
    assert_eq!(media(HelperKind::Sip), []);
    assert_eq!(media(HelperKind::Ras), [40_000, 40_001]);
    let mut full = udp();
    full.notes.refuse = Some(super::super::Refused::Full);
    assert_eq!(full.call(&invite("m=audio 40000 RTP/AVP 0\r\n")), Outcome::Drop);
}

#[test]
fn a_phone_that_registers_can_be_called_once_the_registrar_agrees() {
    let mut flow = udp();
    let contact = "<sip:a@192.0.2.10:6000;transport=udp>;expires=120";
    assert_eq!(flow.call(&register(contact, "")), Outcome::Pass);
    let [waiting] = flow.notes.waiting()[..] else { panic!("{:?}", flow.notes) };
    assert!(waiting.permanent && waiting.inactive && waiting.helper == Some(Helper::Sip(State::default())));
    assert_eq!((waiting.destination_port, waiting.class.index), (6000, 0));
    flow.answer(&registered(100, ""));
    assert!(flow.notes.waiting()[0].inactive);
    let contacts = "Contact: <sip:a@10.0.0.1>, <sip:a@192.0.2.10:6000>;expires=60\r\n";
    assert_eq!(flow.answer(&registered(200, contacts)), Outcome::Pass);
    assert!(!flow.notes.waiting()[0].inactive);
    assert_eq!(
        flow.answer(&registered(200, "Contact: <sip:a@192.0.2.10:6000>;expires=0\r\n")),
        Outcome::Pass
    );
    assert_eq!(flow.ports(), []);
}

#[test]
fn what_is_said_of_registrations() {
    for (contact, expires, outcome, waiting) in [
        ("<sip:a@192.0.2.10>", "Expires: 60\r\n", Outcome::Pass, 1),
        ("sip:192.0.2.10", "Expires: 60\r\n", Outcome::Pass, 1),
        ("<sip:a@192.0.2.10>", "", Outcome::Pass, 0),
        ("<sip:a@192.0.2.10>;expires=0", "Expires: 60\r\n", Outcome::Pass, 0),
        ("<sip:a@192.0.2.10>;expires=x", "", Outcome::Drop, 0),
        ("<sip:a@192.0.2.10:80>;expires=60", "", Outcome::Pass, 0),
        ("<sip:a@192.0.2.11>;expires=60", "", Outcome::Pass, 0),
        ("<sip:a@192.0.2.10;transport=tcp>;expires=60", "", Outcome::Pass, 0),
        ("<sip:a@phone.example>;expires=60", "", Outcome::Pass, 0),
        ("*", "Expires: 0\r\n", Outcome::Pass, 0),
    ] {
        let mut flow = udp();
        assert_eq!(flow.call(&register(contact, expires)), outcome, "{contact}");
        assert_eq!(flow.ports().len(), waiting, "{contact}");
    }
}

#[test]
fn a_refused_registration_is_forgotten_and_another_ones_answer_is_not_ours() {
    let mut flow = udp();
    flow.call(&register("<sip:a@192.0.2.10>;expires=60", ""));
    flow.answer("SIP/2.0 403 x\r\nCSeq: 2 REGISTER\r\n\r\n");
    assert_eq!(flow.ports(), [5060]);
    flow.answer(&registered(403, ""));
    assert_eq!(flow.ports(), []);
}

#[test]
fn a_stream_is_read_message_by_message_as_far_as_they_are_whole() {
    let both = invite("m=audio 40000 RTP/AVP 0\r\n")
        + "ACK sip:b SIP/2.0\r\nCSeq: 7 ACK\r\nl: 49\r\n\r\nv=0\r\nc=IN IP4 192.0.2.10\r\nm=audio 42000 x\r\na=123\r\n";
    let mut flow = Flow::over(IpProtocol::TCP);
    assert_eq!(flow.call(&both), Outcome::Pass);
    assert_eq!(flow.ports(), [40_000, 40_001, 42_000, 42_001]);
    let mut flow = Flow::over(IpProtocol::TCP);
    assert_eq!(flow.call(&both[..both.len() - 10]), Outcome::Pass);
    assert_eq!(flow.ports(), [40_000, 40_001], "the second message is not whole");
    let mut flow = Flow::over(IpProtocol::TCP);
    let text = both.as_bytes();
    let early = Segment { protocol: IpProtocol::TCP, established: false, ..segment(CALLER, CALLEE, text) };
    assert_eq!(inspect(&mut flow.state, &early, &mut flow.notes), Outcome::Pass);
    assert_eq!(flow.ports(), []);
}

#[test]
fn compact_and_folded_headers_and_ipv6_are_read() {
    let mut flow = udp();
    let text = "REGISTER sip:r SIP/2.0\r\nCSEQ :\r\n 3 REGISTER\r\nm: \"A\"\r\n\t<sip:a@192.0.2.10>;expires=0x3c\r\n\r\n";
    assert_eq!(flow.call(text), Outcome::Pass);
    assert_eq!(flow.ports(), [5060]);
    let mut flow = udp();
    let text = "INVITE sip:b SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\nc=IN IP6 2001:db8::10\r\nm=audio 40000 RTP/AVP 0\r\n";
    assert_eq!(flow.say(CALLER6, CALLEE6, text), Outcome::Pass);
    assert_eq!(flow.ports(), [40_000, 40_001]);
    let mut flow = udp();
    let text = register("<sip:a@[2001:db8::10]:6000>;expires=60", "");
    assert_eq!(flow.say(CALLER6, CALLEE6, &text), Outcome::Pass);
    assert_eq!(flow.ports(), [6000]);
}

fn any_text() -> impl Strategy<Value = Vec<u8>> {
    let words = proptest::sample::select(vec![
        "INVITE sip:b SIP/2.0\r\n",
        "REGISTER sip:r SIP/2.0\r\n",
        "SIP/2.0 200 OK\r\n",
        "CSeq: 1 INVITE\r\n",
        "CSeq: 1 REGISTER\r\n",
        "Contact: ",
        "m:",
        "<sip:a@192.0.2.10",
        ":5070",
        ">",
        ";expires=",
        "60",
        ",",
        "\r\n",
        " ",
        "Content-Length: 10",
        "\r\n\r\n",
        "v=0\r\n",
        "c=IN IP4 192.0.2.10\r\n",
        "m=audio ",
        "40000",
        " RTP\r\n",
        ";transport=udp",
        "Expires: 7\r\n",
        "@",
        "sip:",
        "\r",
        "\n",
        "ACK sip:x",
        "BYE s",
        "1",
    ]);
    let word = prop_oneof![9 => words.prop_map(|word| word.as_bytes().to_vec()), 1 => any::<[u8; 2]>().prop_map(|b| b.to_vec())];
    proptest::collection::vec(word, 0..24).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn whatever_is_expected_goes_to_the_sender_of_the_message(texts in proptest::collection::vec(any_text(), 1..4), tcp: bool) {
        let mut flow = Flow::over(if tcp { IpProtocol::TCP } else { IpProtocol::UDP });
        for text in texts {
            let segment = Segment { protocol: flow.protocol, ..segment(CALLER, CALLEE, &text) };
            inspect(&mut flow.state, &segment, &mut flow.notes);
        }
        for expected in flow.notes.waiting() {
            prop_assert_eq!(expected.destination, CALLER.parse::<SocketAddr>().unwrap().ip());
            prop_assert_eq!(expected.source, Source::Host(CALLEE.parse::<SocketAddr>().unwrap().ip()));
            prop_assert!(expected.destination_port >= 1024);
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), six: bool) {
        let mut flow = udp();
        let (source, destination) = if six { (CALLER6, CALLEE6) } else { (CALLER, CALLEE) };
        inspect(&mut flow.state, &segment(source, destination, &bytes), &mut flow.notes);
    }
}
