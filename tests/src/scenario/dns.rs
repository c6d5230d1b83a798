//! DNS over UDP (RFC 1035).

use super::Family;
use crate::conversation::{Conversation, Side};

const PORT: u16 = 53;
const CLASS_IN: u16 = 1;
const TTL_S: u32 = 300;

/// The client asks for the address of `name`; the server answers with its own.
pub fn look_up<A: Family>(talk: &mut Conversation<A>, client_port: u16, name: &str) {
    let id = talk.rng().next() as u16;
    let question = question::<A>(name);
    let query = message(id, 0x0100, 0, &question);
    let frame = talk.ip(Side::Lan).udp(client_port, PORT).payload(&query).build();
    talk.say(Side::Lan, frame);
    talk.pause_us(1_500);

    let address = talk.host(Side::Wan).ip.network_bytes();
    // The answer's name points back to the question's, 12 bytes into the message.
    let mut body = [&question[..], &[0xc0, 12]].concat();
    body.extend(A::DNS_TYPE.to_be_bytes());
    body.extend(CLASS_IN.to_be_bytes());
    body.extend(TTL_S.to_be_bytes());
    body.extend((address.len() as u16).to_be_bytes());
    body.extend(address);
    let answer = message(id, 0x8180, 1, &body);
    let frame = talk.ip(Side::Wan).udp(PORT, client_port).payload(&answer).build();
    talk.say(Side::Wan, frame);
}

fn question<A: Family>(name: &str) -> Vec<u8> {
    let mut question = Vec::new();
    for label in name.split('.') {
        question.push(label.len() as u8);
        question.extend(label.as_bytes());
    }
    question.push(0);
    question.extend(A::DNS_TYPE.to_be_bytes());
    question.extend(CLASS_IN.to_be_bytes());
    question
}

fn message(id: u16, flags: u16, answers: u16, body: &[u8]) -> Vec<u8> {
    let mut message: Vec<u8> =
        [id, flags, 1, answers, 0, 0].iter().flat_map(|field| field.to_be_bytes()).collect();
    message.extend(body);
    message
}
