//! Protocol numbers of IPv4's protocol and IPv6's next header field (IANA).

/// A protocol number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpProtocol(pub u8);

#[expect(missing_docs, reason = "each is IANA's name for its number")]
impl IpProtocol {
    pub const HOP_BY_HOP: Self = Self(0);
    pub const ICMP: Self = Self(1);
    pub const IGMP: Self = Self(2);
    pub const IPIP: Self = Self(4);
    pub const TCP: Self = Self(6);
    pub const UDP: Self = Self(17);
    pub const DCCP: Self = Self(33);
    pub const IPV6: Self = Self(41);
    pub const ROUTING: Self = Self(43);
    pub const FRAGMENT: Self = Self(44);
    pub const GRE: Self = Self(47);
    pub const ESP: Self = Self(50);
    pub const AUTHENTICATION: Self = Self(51);
    pub const ICMPV6: Self = Self(58);
    pub const NO_NEXT: Self = Self(59);
    pub const DESTINATION_OPTIONS: Self = Self(60);
    pub const SCTP: Self = Self(132);
    pub const UDP_LITE: Self = Self(136);
}

impl IpProtocol {
    /// Whether IPv6 has an [`Extension`](super::Extension) header by this number, one that can be walked past.
    /// ESP cannot, and after [`IpProtocol::NO_NEXT`] there is nothing.
    #[inline]
    pub const fn is_extension(self) -> bool {
        matches!(
            self,
            Self::HOP_BY_HOP
                | Self::ROUTING
                | Self::FRAGMENT
                | Self::AUTHENTICATION
                | Self::DESTINATION_OPTIONS
        )
    }

    /// Whether its header begins with a source and a destination port, and these name its flows.
    #[inline]
    pub const fn has_ports(self) -> bool {
        matches!(self, Self::TCP | Self::UDP | Self::UDP_LITE | Self::SCTP)
    }
}
