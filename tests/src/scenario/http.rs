//! HTTP/1.1 over one connection.

use crate::conversation::{Conversation, Side, TcpSession};
use crate::packet::Address;

const PORT: u16 = 80;

/// The client opens a connection and asks for bodies of these sizes, one after another.
pub fn fetch<A: Address>(talk: &mut Conversation<A>, client_port: u16, sizes: &[usize]) {
    let mut tcp = TcpSession::open(talk, Side::Lan, client_port, PORT);
    for size in sizes {
        let question = format!("GET /{size} HTTP/1.1\r\nHost: www.example.org\r\nAccept: */*\r\n\r\n");
        if talk.rng().chance(4) {
            tcp.send_twice(talk, Side::Lan, question.as_bytes());
        } else {
            tcp.send(talk, Side::Lan, question.as_bytes());
        }
        talk.pause_us(2_000);
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n"
        )
        .into_bytes();
        answer.extend((0..*size).map(|i| i as u8));
        tcp.send(talk, Side::Wan, &answer);
        talk.pause_us(5_000);
    }
    if talk.rng().chance(10) {
        tcp.reset(talk, Side::Lan);
    } else {
        tcp.close(talk, Side::Lan);
    }
}
