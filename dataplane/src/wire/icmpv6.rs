//! ICMPv6 (RFC 4443), with the types of neighbour (RFC 4861) and listener discovery (RFC 2710, RFC 3810) and of
//! node information queries (RFC 4620).

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
pub struct Icmpv6Type(pub u8);

#[expect(missing_docs, reason = "each is IANA's name for its number")]
impl Icmpv6Type {
    pub const UNREACHABLE: Self = Self(1);
    pub const PACKET_TOO_BIG: Self = Self(2);
    pub const TIME_EXCEEDED: Self = Self(3);
    pub const PARAMETER_PROBLEM: Self = Self(4);
    pub const ECHO: Self = Self(128);
    pub const ECHO_REPLY: Self = Self(129);
    pub const LISTENER_QUERY: Self = Self(130);
    pub const LISTENER_REPORT: Self = Self(131);
    pub const LISTENER_DONE: Self = Self(132);
    pub const ROUTER_SOLICITATION: Self = Self(133);
    pub const ROUTER_ADVERTISEMENT: Self = Self(134);
    pub const NEIGHBOUR_SOLICITATION: Self = Self(135);
    pub const NEIGHBOUR_ADVERTISEMENT: Self = Self(136);
    pub const REDIRECT: Self = Self(137);
    pub const NODE_INFORMATION: Self = Self(139);
    pub const NODE_INFORMATION_REPLY: Self = Self(140);
    pub const LISTENER_REPORT_V2: Self = Self(143);
}

impl Icmpv6Type {
    /// Whether it quotes the packet that caused it.
    #[inline]
    pub const fn is_error(self) -> bool {
        self.0 < 128
    }

    /// Whether it asks for an answer.
    #[inline]
    pub const fn is_query(self) -> bool {
        matches!(self, Self::ECHO | Self::NODE_INFORMATION)
    }

    /// The answer to a query, and the query of an answer; `None` for messages that come alone.
    #[inline]
    pub const fn counterpart(self) -> Option<Self> {
        match self {
            Self::ECHO => Some(Self::ECHO_REPLY),
            Self::ECHO_REPLY => Some(Self::ECHO),
            Self::NODE_INFORMATION => Some(Self::NODE_INFORMATION_REPLY),
            Self::NODE_INFORMATION_REPLY => Some(Self::NODE_INFORMATION),
            _ => None,
        }
    }
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub struct Icmpv6<'a> {
    header: &'a [u8; HEADER_LEN],
    payload: &'a [u8],
}

impl<'a> Icmpv6<'a> {
    /// `None` below [`HEADER_LEN`].
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (header, payload) = bytes.split_first_chunk()?;
        Some(Self { header, payload })
    }

    /// Its type.
    #[inline]
    pub fn kind(&self) -> Icmpv6Type {
        Icmpv6Type(self.header[TYPE])
    }

    /// Its code.
    #[inline]
    pub fn code(&self) -> u8 {
        self.header[CODE]
    }

    /// Checksum, over a pseudo-header too.
    #[inline]
    pub fn checksum(&self) -> u16 {
        be16(self.header, CHECKSUM)
    }

    /// Echo: whose.
    #[inline]
    pub fn id(&self) -> u16 {
        be16(self.header, ID)
    }

    /// Echo: which.
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
        let icmpv6 = Icmpv6::new(&[129, 0, 0xab, 0xcd, 0x12, 0x34, 0x00, 0x07, 0x61]).unwrap();
        assert_eq!((icmpv6.kind(), icmpv6.code(), icmpv6.checksum()), (Icmpv6Type::ECHO_REPLY, 0, 0xabcd));
        assert_eq!((icmpv6.id(), icmpv6.sequence(), icmpv6.payload()), (0x1234, 7, b"a".as_slice()));
        assert!(Icmpv6::new(&[128; 7]).is_none());
    }

    #[test]
    fn a_query_and_its_answer_point_at_each_other() {
        for kind in (0..=u8::MAX).map(Icmpv6Type) {
            match kind.counterpart() {
                Some(other) => {
                    assert_eq!(other.counterpart(), Some(kind));
                    assert!(kind.is_query() != other.is_query() && !kind.is_error());
                }
                None => assert!(!kind.is_query()),
            }
        }
    }
}
