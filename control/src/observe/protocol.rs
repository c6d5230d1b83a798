//! The names of IP protocols and of their states, as `conntrack` prints and reads them.

use core::fmt;
use core::str::FromStr;
use weir_dataplane::counters::FlowClass;
use weir_dataplane::wire::IpProtocol;

/// Those that it knows. All others are `unknown`.
const NAMES: [(IpProtocol, &str); 8] = [
    (IpProtocol::ICMP, "icmp"),
    (IpProtocol::TCP, "tcp"),
    (IpProtocol::UDP, "udp"),
    (IpProtocol::DCCP, "dccp"),
    (IpProtocol::GRE, "gre"),
    (IpProtocol::ICMPV6, "icmpv6"),
    (IpProtocol::SCTP, "sctp"),
    (IpProtocol::UDP_LITE, "udplite"),
];

/// The name of a protocol number, if it has one.
pub fn protocol_name(protocol: IpProtocol) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == protocol).map(|(_, name)| *name)
}

/// The name of a flow's state, where its protocol has states.
pub fn state_name(class: FlowClass) -> Option<String> {
    matches!(class.protocol(), "tcp" | "sctp").then(|| class.name().to_ascii_uppercase())
}

/// A protocol by name or number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol(pub IpProtocol);

/// A text that is neither a protocol's name nor a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a protocol is wanted: icmp, tcp, udp, dccp, gre, icmpv6, sctp, udplite, or a number up to 255")]
pub struct NotAProtocol;

impl FromStr for Protocol {
    type Err = NotAProtocol;

    fn from_str(text: &str) -> Result<Self, NotAProtocol> {
        let named = NAMES.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)).map(|(known, _)| *known);
        let numbered = || text.parse().ok().map(IpProtocol);
        named.or_else(numbered).map(Self).ok_or(NotAProtocol)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_go_by_name_or_number() {
        for text in ["sctp", "SCTP", "132"] {
            assert_eq!(text.parse(), Ok(Protocol(IpProtocol::SCTP)));
        }
        for text in ["", "ip", "256", "-1"] {
            assert_eq!(text.parse::<Protocol>(), Err(NotAProtocol), "{text}");
        }
        assert_eq!(protocol_name(IpProtocol(253)), None);
    }
}
