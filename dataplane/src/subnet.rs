//! Networks by their prefix.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// A network: any address of it, and how many of its leading bits are the network's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// An address of it.
    pub address: IpAddr,
    /// Leading bits that are the network's.
    pub prefix_len: u8,
}

impl Subnet {
    /// Whether the address is of this network.
    pub fn contains(self, address: IpAddr) -> bool {
        let differ = match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => (ours.to_bits() ^ theirs.to_bits()).leading_zeros(),
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => (ours.to_bits() ^ theirs.to_bits()).leading_zeros(),
            _ => return false,
        };
        differ >= u32::from(self.prefix_len)
    }

    /// Whether it is one address.
    pub const fn is_host(&self) -> bool {
        self.prefix_len == bits(self.address)
    }

    /// The same network by its first address.
    #[must_use]
    pub fn network(self) -> Self {
        let len = self.prefix_len.into();
        let address = match self.address {
            IpAddr::V4(address) => {
                Ipv4Addr::from_bits(address.to_bits() & !u32::MAX.checked_shr(len).unwrap_or(0)).into()
            }
            IpAddr::V6(address) => {
                Ipv6Addr::from_bits(address.to_bits() & !u128::MAX.checked_shr(len).unwrap_or(0)).into()
            }
        };
        Self { address, ..self }
    }
}

/// A text that is no address and no prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotASubnet;

impl fmt::Display for NotASubnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address or a prefix is wanted, such as 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32")
    }
}

impl core::error::Error for NotASubnet {}

const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl FromStr for Subnet {
    type Err = NotASubnet;

    fn from_str(text: &str) -> Result<Self, NotASubnet> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse().map_err(|_| NotASubnet)?)),
            None => (text, None),
        };
        let address = address.parse().map_err(|_| NotASubnet)?;
        let prefix_len = length.unwrap_or_else(|| bits(address));
        if prefix_len <= bits(address) { Ok(Self { address, prefix_len }) } else { Err(NotASubnet) }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(prefix: &str, address: &str) -> bool {
        prefix.parse::<Subnet>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_prefix_contains_what_begins_like_it() {
        assert!(contains("192.0.2.0/24", "192.0.2.255") && !contains("192.0.2.0/24", "192.0.3.0"));
        assert!(contains("192.0.2.7", "192.0.2.7") && !contains("192.0.2.7", "192.0.2.6"));
        assert!(contains("0.0.0.0/0", "255.1.2.3") && !contains("0.0.0.0/0", "::1"));
        assert!(
            contains("2001:db8::/33", "2001:db8:7fff::1") && !contains("2001:db8::/33", "2001:db8:8000::")
        );
        assert!(contains("::/0", "2001:db8::1"));
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        for text in ["", "192.0.2.0/33", "192.0.2/24", "::/129", "192.0.2.1/", "/24", "192.0.2.1/-1"] {
            assert_eq!(text.parse::<Subnet>(), Err(NotASubnet), "{text}");
        }
        assert_eq!("2001:db8::/32".parse::<Subnet>().unwrap().to_string(), "2001:db8::/32");
    }
}
