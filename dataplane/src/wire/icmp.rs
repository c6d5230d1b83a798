//! ICMP (RFC 792, RFC 950).

use super::be16;

/// Length of the header: of a query with its identifier, of an error up to the packet that it quotes.
pub const HEADER_LEN: usize = 8;

const TYPE: usize = 0;
const CODE: usize = 1;
const CHECKSUM: usize = 2;
const ID: usize = 4;
const SEQUENCE: usize = 6;

/// A message type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IcmpType(pub u8);

#[expect(missing_docs, reason = "each is IANA's name for its number")]
impl IcmpType {
    pub const ECHO_REPLY: Self = Self(0);
    pub const UNREACHABLE: Self = Self(3);
    pub const SOURCE_QUENCH: Self = Self(4);
    pub const REDIRECT: Self = Self(5);
    pub const ECHO: Self = Self(8);
    pub const TIME_EXCEEDED: Self = Self(11);
    pub const PARAMETER_PROBLEM: Self = Self(12);
    pub const TIMESTAMP: Self = Self(13);
    pub const TIMESTAMP_REPLY: Self = Self(14);
    pub const INFORMATION: Self = Self(15);
    pub const INFORMATION_REPLY: Self = Self(16);
    pub const ADDRESS_MASK: Self = Self(17);
    pub const ADDRESS_MASK_REPLY: Self = Self(18);
}

impl IcmpType {
    /// Whether it quotes the packet that caused it.
    #[inline]
    pub const fn is_error(self) -> bool {
        matches!(
            self,
            Self::UNREACHABLE
                | Self::SOURCE_QUENCH
                | Self::REDIRECT
                | Self::TIME_EXCEEDED
                | Self::PARAMETER_PROBLEM
        )
    }

    /// Whether it asks for an answer.
    #[inline]
    pub const fn is_query(self) -> bool {
        matches!(self, Self::ECHO | Self::TIMESTAMP | Self::INFORMATION | Self::ADDRESS_MASK)
    }

    /// The answer to a query, and the query of an answer; `None` for messages that come alone.
    #[inline]
    pub const fn counterpart(self) -> Option<Self> {
        match self {
            Self::ECHO => Some(Self::ECHO_REPLY),
            Self::ECHO_REPLY => Some(Self::ECHO),
            Self::TIMESTAMP | Self::INFORMATION | Self::ADDRESS_MASK => Some(Self(self.0 + 1)),
            Self::TIMESTAMP_REPLY | Self::INFORMATION_REPLY | Self::ADDRESS_MASK_REPLY => {
                Some(Self(self.0 - 1))
            }
            _ => None,
        }
    }
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub struct Icmp<'a> {
    header: &'a [u8; HEADER_LEN],
    payload: &'a [u8],
}

impl<'a> Icmp<'a> {
    /// `None` below [`HEADER_LEN`].
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (header, payload) = bytes.split_first_chunk()?;
        Some(Self { header, payload })
    }

    /// Its type.
    #[inline]
    pub fn kind(&self) -> IcmpType {
        IcmpType(self.header[TYPE])
    }

    /// Its code.
    #[inline]
    pub fn code(&self) -> u8 {
        self.header[CODE]
    }

    /// Checksum.
    #[inline]
    pub fn checksum(&self) -> u16 {
        be16(self.header, CHECKSUM)
    }

    /// Queries and answers: whose.
    #[inline]
    pub fn id(&self) -> u16 {
        be16(self.header, ID)
    }

    /// Queries and answers: which.
    #[inline]
    pub fn sequence(&self) -> u16 {
        be16(self.header, SEQUENCE)
    }

    /// What follows the header; in errors, the quoted packet.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_field() {
        let icmp = Icmp::new(&[8, 1, 0xab, 0xcd, 0x12, 0x34, 0x00, 0x07, 0x61]).unwrap();
        assert_eq!((icmp.kind(), icmp.code(), icmp.checksum()), (IcmpType::ECHO, 1, 0xabcd));
        assert_eq!((icmp.id(), icmp.sequence(), icmp.payload()), (0x1234, 7, b"a".as_slice()));
        assert!(Icmp::new(&[8; 7]).is_none());
    }

    #[test]
    fn a_query_and_its_answer_point_at_each_other() {
        for kind in (0..=u8::MAX).map(IcmpType) {
            match kind.counterpart() {
                Some(other) => {
                    assert_eq!(other.counterpart(), Some(kind));
                    assert!(kind.is_query() != other.is_query() && !kind.is_error());
                }
                None => assert!(!kind.is_query()),
            }
        }
        assert_eq!(IcmpType::ADDRESS_MASK.counterpart(), Some(IcmpType::ADDRESS_MASK_REPLY));
    }
}
