//! SNMP (RFC 3411): agents are found by broadcast, and answer from port 161.

use super::{Book, Class, Outcome, Segment, broadcast};

/// One question at a time; thirty seconds for the answers.
static ANSWERS: Class = Class::new(0, 1, 30);

const PORT: u16 = 161;

/// Looks into one datagram.
pub fn inspect<B: Book>(segment: &Segment<'_>, book: &mut B) -> Outcome {
    broadcast::inspect(segment, PORT, &ANSWERS, book);
    Outcome::Pass
}

#[cfg(test)]
mod tests {
    use super::super::book::Notes;
    use super::super::tests::{CLIENT, datagram};
    use super::*;
    use crate::config::HelperKind;
    use crate::helper::Subnet;
    use crate::units::Direction;

    #[test]
    fn answers_come_from_port_161_within_thirty_seconds() {
        let network = Subnet { address: CLIENT.into(), prefix_len: 24 };
        let question = datagram(Direction::Original, 161, b"question");
        let destination = ([10, 0, 0, 255], 161).into();
        let mut book = Notes::of(HelperKind::Snmp);
        let asked = Segment { destination, local: Some(network), ..question };
        assert_eq!(inspect(&asked, &mut book), Outcome::Pass);
        let [answers] = book.waiting()[..] else { panic!("{book:?}") };
        assert_eq!((answers.source_port, answers.class.timeout.as_s()), (Some(161), 30));
    }
}
