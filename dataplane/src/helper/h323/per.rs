//! ASN.1 in aligned packed encoding (ITU-T X.691): walks a message by a table of its types and picks out what is
//! marked.
//!
//! The tables name what is at the beginning of each type; what came with later versions lies behind lengths and is
//! passed over unread. Tables do not refer to themselves, so a walk is no deeper than they are, and it never reads
//! behind the message. Reads as Linux's helper does: an open type's end is believed, whatever was read in it.

use arrayvec::ArrayVec;
use core::net::{IpAddr, SocketAddr};

/// Things picked out of one message, at most: sixty addresses of thirty channels, and what leads to them.
const PICKS_MAX: usize = 128;

/// What a value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Where the control channel listens.
    H245Address,
    /// Where a call is forwarded to.
    AlternativeAddress,
    /// Why there is a facility message.
    FacilityReason,
    /// A logical channel begins.
    Channel,
    /// What kind of data a channel carries.
    DataType,
    /// For which application.
    Application,
    /// Over which protocol.
    DataProtocol,
    /// Where RTP or RTCP of a channel is received.
    Media,
    /// Where a channel of its own protocol stack listens.
    SeparateStack,
    /// Which message it is, and where its sender or another end listens.
    RasMessage,
    RasAddress,
    CallSignalAddress,
    /// Seconds.
    TimeToLive,
}

/// What was picked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Address(SocketAddr),
    Number(u32),
}

/// In the order of the message.
pub(super) type Picks = ArrayVec<(Mark, Value), PICKS_MAX>;

/// How long a string is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Size {
    Fixed(usize),
    /// The length stands in so many bits, from this one on.
    Bits(u8, usize),
    /// The length stands in an octet, from this one on.
    Octet(usize),
    /// The length stands before it.
    Any,
}

/// A type of ASN.1, as far as its encoding goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Type {
    Null,
    /// An integer or an enumeration of so many bits.
    Bits(u8),
    /// An integer of an octet, or of two.
    Octet,
    Word,
    /// An integer of one to four octets, from 1 on if it is marked.
    Long(Option<Mark>),
    ObjectId,
    Octets(Size),
    /// Digits of four bits.
    Digits(Size),
    /// Characters of two octets.
    Wide(Size),
    Sequence(&'static Sequence),
    /// Any number of them.
    Many(&'static Self),
    Choice(&'static Choice),
    /// It lies behind its length.
    Open(&'static Self),
    /// An address of so many octets and a port, picked out where the way to it is marked.
    Socket(usize),
    /// Marks the way.
    For(Mark, &'static Self),
    /// What follows is not known: the walk ends here, and what was picked out counts.
    Stop,
}

/// A sequence: an element that is optional, or not.
#[derive(Debug)]
pub(super) struct Sequence {
    pub(super) root: &'static [(bool, Type)],
    /// `None`: there are no later elements. What is wanted of those by which it was extended.
    pub(super) extensions: Option<&'static [(usize, Type)]>,
}

/// A choice.
#[derive(Debug)]
pub(super) struct Choice {
    /// Which one it is, is told under this.
    pub(super) mark: Option<Mark>,
    /// Bits of its number.
    pub(super) bits: u8,
    pub(super) root: &'static [Type],
    /// Like a sequence's.
    pub(super) extensions: Option<&'static [(usize, Type)]>,
}

/// An element that must be there.
pub(super) const MUST: bool = false;
/// An element that may be there.
pub(super) const MAY: bool = true;

/// Why a walk ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// At [`Type::Stop`].
    Stopped,
    /// The message is cut, or not of this type.
    Broken,
}

/// Walks `message`, which is a `whole`. `None` when it is cut or of another type.
pub(super) fn pick(message: &[u8], whole: Type) -> Option<Picks> {
    let mut walk = Walk { bytes: message, at: 0, mark: None, picks: Picks::new() };
    match walk.one(whole) {
        Ok(()) | Err(End::Stopped) => Some(walk.picks),
        Err(End::Broken) => None,
    }
}

struct Walk<'a> {
    bytes: &'a [u8],
    /// In bits.
    at: usize,
    mark: Option<Mark>,
    picks: Picks,
}

impl Walk<'_> {
    fn one(&mut self, kind: Type) -> Result<(), End> {
        match kind {
            Type::Null => Ok(()),
            Type::Bits(bits) => self.bits(bits).map(drop),
            Type::Octet => self.octets(1),
            Type::Word => self.octets(2),
            Type::Long(mark) => self.long(mark),
            Type::ObjectId => {
                let len = self.number(1)?;
                self.skip(len)
            }
            Type::Octets(size) => {
                let len = self.size(size)?;
                self.skip(len)
            }
            Type::Digits(size) => {
                let len = self.size(size)?;
                self.advance(len * 4)
            }
            Type::Wide(size) => {
                let len = self.size(size)?;
                self.skip(len * 2)
            }
            Type::Sequence(sequence) => self.sequence(sequence),
            Type::Many(item) => {
                self.align();
                (0..self.length()?).try_for_each(|_| self.one(*item))
            }
            Type::Choice(choice) => self.choice(choice),
            Type::Open(inner) => self.open(Some(*inner)),
            Type::Socket(len) => self.socket(len),
            Type::For(mark, inner) => {
                let outer = self.mark.replace(mark);
                let walked = self.one(*inner);
                self.mark = outer;
                walked
            }
            Type::Stop => Err(End::Stopped),
        }
    }

    fn sequence(&mut self, sequence: &Sequence) -> Result<(), End> {
        let extended = sequence.extensions.is_some() && self.bits(1)? == 1;
        let optional = sequence.root.iter().filter(|(optional, _)| *optional).count();
        let bitmap = self.at;
        self.advance(optional)?;
        let mut number = 0;
        for (optional, kind) in sequence.root {
            let there = !optional || self.bit_at(bitmap + number)?;
            number += usize::from(*optional);
            if there {
                self.one(*kind)?;
            }
        }
        match sequence.extensions {
            Some(known) if extended => self.extensions(known),
            _ => Ok(()),
        }
    }

    /// What a sequence was extended by, each behind its length.
    fn extensions(&mut self, known: &[(usize, Type)]) -> Result<(), End> {
        let count = self.bits(7)? as usize + 1;
        let bitmap = self.at;
        self.advance(count)?;
        for number in 0..count {
            let kind = known.iter().find(|(extension, _)| *extension == number).map(|(_, kind)| *kind);
            // Linux stops here whether or not it is there.
            if let Some(Type::Stop) = kind {
                return Err(End::Stopped);
            }
            if self.bit_at(bitmap + number)? {
                self.open(kind)?;
            }
        }
        Ok(())
    }

    fn choice(&mut self, choice: &Choice) -> Result<(), End> {
        if choice.extensions.is_some() && self.bits(1)? == 1 {
            let number = self.bits(7)? as usize;
            self.chosen(choice, choice.root.len() + number);
            let known = choice.extensions.unwrap_or_default();
            let kind = known.iter().find(|(extension, _)| *extension == number);
            return self.open(kind.map(|(_, kind)| *kind));
        }
        let number = self.bits(choice.bits)? as usize;
        let kind = *choice.root.get(number).ok_or(End::Broken)?;
        self.chosen(choice, number);
        self.one(kind)
    }

    fn chosen(&mut self, choice: &Choice, number: usize) {
        if let (Some(mark), Ok(number)) = (choice.mark, u32::try_from(number)) {
            self.pick(mark, Value::Number(number));
        }
    }

    /// Something behind its length: known, or passed over.
    fn open(&mut self, kind: Option<Type>) -> Result<(), End> {
        self.align();
        let len = self.length()?;
        let start = self.at;
        self.skip(len)?;
        let end = self.at;
        if let Some(kind) = kind {
            self.at = start;
            // What is not known within ends what is within.
            if self.one(kind) == Err(End::Broken) {
                return Err(End::Broken);
            }
            self.at = end;
        }
        Ok(())
    }

    fn socket(&mut self, len: usize) -> Result<(), End> {
        self.align();
        let start = self.at / 8;
        self.skip(len + 2)?;
        let (address, port) = self.bytes[start..self.at / 8].split_at(len);
        let address = match len {
            4 => <[u8; 4]>::try_from(address).map(IpAddr::from),
            _ => <[u8; 16]>::try_from(address).map(IpAddr::from),
        };
        if let (Some(mark), Ok(address), [high, low]) = (self.mark, address, port) {
            self.pick(mark, Value::Address(SocketAddr::new(address, u16::from_be_bytes([*high, *low]))));
        }
        Ok(())
    }

    fn long(&mut self, mark: Option<Mark>) -> Result<(), End> {
        let len = self.bits(2)? as usize + 1;
        self.align();
        let number = self.octets_at(len)?;
        let Some(mark) = mark else { return Ok(()) };
        self.pick(mark, Value::Number(number.wrapping_add(1)));
        // Linux passes over a number that it wants twice: where nothing follows, the message is cut to it.
        self.skip(len)
    }

    /// What does not fit any more is not picked out.
    fn pick(&mut self, mark: Mark, value: Value) {
        let _ = self.picks.try_push((mark, value));
    }

    fn size(&mut self, size: Size) -> Result<usize, End> {
        let len = match size {
            // Two octets or fewer stand where they are.
            Size::Fixed(len) if len <= 2 => return Ok(len),
            Size::Fixed(len) => len,
            Size::Bits(bits, from) => self.bits(bits)? as usize + from,
            Size::Octet(from) => self.number(1)? + from,
            Size::Any => {
                self.align();
                self.length()?
            }
        };
        self.align();
        Ok(len)
    }

    /// A length before what it is the length of, in one octet or two.
    fn length(&mut self) -> Result<usize, End> {
        match self.number(1)? {
            long @ 0x80.. => Ok((long & 0x3f) << 8 | self.number(1)?),
            short => Ok(short),
        }
    }

    /// An aligned number of so many octets.
    fn number(&mut self, octets: usize) -> Result<usize, End> {
        self.align();
        Ok(self.octets_at(octets)? as usize)
    }

    fn octets_at(&mut self, octets: usize) -> Result<u32, End> {
        let start = self.at / 8;
        self.skip(octets)?;
        Ok(self.bytes[start..start + octets].iter().fold(0, |number, octet| number << 8 | u32::from(*octet)))
    }

    fn bits(&mut self, bits: u8) -> Result<u32, End> {
        let mut number = 0;
        for i in 0..usize::from(bits) {
            number = number << 1 | u32::from(self.bit_at(self.at + i)?);
        }
        self.at += usize::from(bits);
        Ok(number)
    }

    fn bit_at(&self, at: usize) -> Result<bool, End> {
        let octet = self.bytes.get(at / 8).ok_or(End::Broken)?;
        Ok(octet >> (7 - at % 8) & 1 == 1)
    }

    fn octets(&mut self, octets: usize) -> Result<(), End> {
        self.align();
        self.skip(octets)
    }

    fn skip(&mut self, octets: usize) -> Result<(), End> {
        self.advance(octets * 8)
    }

    fn advance(&mut self, bits: usize) -> Result<(), End> {
        self.at += bits;
        if self.at.div_ceil(8) > self.bytes.len() { Err(End::Broken) } else { Ok(()) }
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }
}

#[cfg(test)]
mod tests {
    use super::super::h225_types::{RAS_MESSAGE, USER_INFORMATION};
    use super::super::h245_types::MESSAGE;
    use super::*;
    use proptest::prelude::*;

    const PAIR: Type = Type::Sequence(&Sequence {
        root: &[(MUST, Type::Bits(3)), (MAY, Type::For(Mark::Media, &Type::Socket(4))), (MUST, Type::Octet)],
        extensions: Some(&[(1, Type::Long(Some(Mark::TimeToLive)))]),
    });

    #[test]
    fn what_is_marked_is_picked_out_and_extensions_are_passed_over() {
        let plain = [0b0010_1000, 9];
        assert_eq!(pick(&plain, PAIR), Some(Picks::new()));
        let with_address = [0b0110_1000, 10, 0, 0, 1, 0x13, 0x88, 9];
        let address = (Mark::Media, Value::Address("10.0.0.1:5000".parse().unwrap()));
        assert_eq!(pick(&with_address, PAIR).unwrap().as_slice(), [address]);
        // Two extensions: one that nobody knows, and a number less one of two octets.
        let extended =
            [0b1010_1000, 9, 0b0000_0011, 0b1000_0000, 2, 0xff, 0xff, 3, 0b0100_0000, 0x0e, 0x0f, 0, 0];
        assert_eq!(pick(&extended, PAIR).unwrap().as_slice(), [(Mark::TimeToLive, Value::Number(0x0e10))]);
        assert_eq!(pick(&extended[..12], PAIR), None, "nothing follows the number");
    }

    #[test]
    fn a_cut_message_is_none() {
        let extended = [0b1010_1000, 9, 0b0000_0011, 0b1000_0000, 2, 0xff, 0xff, 3, 0b0100_0000, 0x0e, 0x0f];
        for len in 0..extended.len() {
            assert_eq!(pick(&extended[..len], PAIR), None, "{len}");
        }
    }

    #[test]
    fn what_is_not_known_ends_the_walk_and_what_came_before_counts() {
        const KNOWN_THEN_NOT: Type = Type::Sequence(&Sequence {
            root: &[
                (MUST, Type::For(Mark::Media, &Type::Socket(4))),
                (MUST, Type::Stop),
                (MUST, Type::Octet),
            ],
            extensions: None,
        });
        assert_eq!(pick(&[10, 0, 0, 1, 0, 1], KNOWN_THEN_NOT).map(|picks| picks.len()), Some(1));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for whole in [MESSAGE, USER_INFORMATION, RAS_MESSAGE] {
                let _ = pick(&bytes, whole);
            }
        }
    }
}
