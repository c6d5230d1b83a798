//! A name, over UDP (RFC 1035). Any answer without an error is good, and one without a record too.

use super::socket::{Way, nonce};
use super::trouble::Trouble;
use crate::health::Failure;
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, RCODE, TYPE};

/// What is heard of an answer: no longer than one is without EDNS.
const ANSWER_MAX: usize = 512;

/// Asks the server at `port` for the IPv4 addresses of `name`.
pub(super) async fn check(way: Way<'_>, port: u16, name: &str) -> Result<(), Trouble> {
    let [id @ .., _, _, _, _, _, _] = nonce();
    let id = u16::from_be_bytes(id);
    let query = query(id, name).map_err(|error| Trouble::Unable(format!("{name} is no name: {error}")))?;
    let socket = way.udp(port).await?;
    socket.send(&query).await.map_err(|error| Trouble::network(&error))?;
    loop {
        let mut answer = [0; ANSWER_MAX];
        let len = socket.recv(&mut answer).await.map_err(|error| Trouble::network(&error))?;
        // Its first bytes are the identifier: what has another one is an answer to somebody else.
        let answer = answer.get(..len).unwrap_or(&[]);
        if answer.starts_with(&id.to_be_bytes()) {
            return judge(answer);
        }
    }
}

fn query(id: u16, name: &str) -> Result<Vec<u8>, simple_dns::SimpleDnsError> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name.strip_suffix('.').unwrap_or(name))?;
    packet.questions.push(Question::new(name, TYPE::A.into(), CLASS::IN.into(), false));
    packet.build_bytes_vec()
}

fn judge(answer: &[u8]) -> Result<(), Trouble> {
    let broken = |reason: String| Trouble::Bad(Failure::Protocol { protocol: "DNS", reason });
    let packet = Packet::parse(answer).map_err(|error| broken(error.to_string()))?;
    if !packet.has_flags(PacketFlag::RESPONSE) {
        return Err(broken("the question came back".to_owned()));
    }
    match packet.rcode() {
        RCODE::NoError => Ok(()),
        error => Err(Failure::Dns(format!("{error:?}")).into()),
    }
}
