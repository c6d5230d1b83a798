//! NetBIOS name service (RFC 1002): who has this name? Asked by broadcast, answered from port 137.

use super::{Book, Class, Outcome, Segment, broadcast};

/// One question at a time; three seconds for the answers.
static ANSWERS: Class = Class::new(0, 1, 3);

const PORT: u16 = 137;

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
    fn answers_come_from_port_137_within_three_seconds() {
        let network = Subnet { address: CLIENT.into(), prefix_len: 24 };
        let question = datagram(Direction::Original, 1137, b"question");
        let destination = ([10, 0, 0, 255], 1137).into();
        let mut book = Notes::of(HelperKind::NetbiosNs);
        let asked = Segment { destination, local: Some(network), ..question };
        assert_eq!(inspect(&asked, &mut book), Outcome::Pass);
        let [answers] = book.waiting()[..] else { panic!("{book:?}") };
        assert_eq!((answers.source_port, answers.class.timeout.as_s()), (Some(137), 3));
    }
}
