//! Which frames a client wants to trace, and for how long. The same words on the command line and in the query of a
//! request: those of [`Selection`](super::Selection).

use super::Refusal;
use super::words::{FamilyName, text};
use crate::observe::protocol::Protocol;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use weir_dataplane::key::Family;
use weir_dataplane::subnet::Subnet;
use weir_dataplane::trace::Filter;
use weir_dataplane::track::filter::EndFilter;

const COUNT: u32 = 100;
const COUNT_MAX: u32 = 1_000_000;
const SECONDS: u32 = 30;
const SECONDS_MAX: u32 = 3600;

/// Which frames; all that is given must be true of them. Both directions of a flow are meant, and ICMP errors about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct TraceRequest {
    /// From or to this address or prefix
    #[arg(value_name = "ADDRESS[/LENGTH]")]
    #[serde(with = "text", skip_serializing_if = "Option::is_none")]
    pub address: Option<Subnet>,
    /// Of this protocol: tcp, udp, udplite, icmp, icmpv6, sctp, gre, or a number
    #[arg(short, long, aliases = ["proto", "protonum"], value_name = "PROTOCOL")]
    #[serde(with = "text", skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Of this IP version
    #[arg(short, long, value_enum, value_name = "FAMILY")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<FamilyName>,
    /// Of a flow from this address or prefix
    #[arg(short, long, alias = "orig-src", value_name = "ADDRESS[/LENGTH]")]
    #[serde(with = "text", skip_serializing_if = "Option::is_none")]
    pub src: Option<Subnet>,
    /// Of a flow to this address or prefix
    #[arg(short, long, alias = "orig-dst", value_name = "ADDRESS[/LENGTH]")]
    #[serde(with = "text", skip_serializing_if = "Option::is_none")]
    pub dst: Option<Subnet>,
    /// Of a flow from this port
    #[arg(long, alias = "orig-port-src", value_name = "PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sport: Option<u16>,
    /// Of a flow to this port
    #[arg(long, alias = "orig-port-dst", value_name = "PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dport: Option<u16>,
    /// From or to this port; with ADDRESS, of the same end
    #[arg(long, value_name = "PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// End after so many frames [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=COUNT_MAX.into()))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// End after so many seconds [default: 30]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=SECONDS_MAX.into()))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
}

impl TraceRequest {
    /// What it comes down to at a worker.
    pub fn filter(&self) -> Filter {
        let end = |address, port| EndFilter { address, port };
        Filter {
            family: self.family.map(Family::from),
            protocol: self.protocol.map(|protocol| protocol.0),
            source: end(self.src, self.sport),
            destination: end(self.dst, self.dport),
            either: end(self.address, self.port),
        }
    }

    /// After how many frames it ends, and when.
    ///
    /// # Errors
    /// When it asks for none, or too much.
    pub fn bounds(&self) -> Result<(u32, Duration), Refusal> {
        let (count, seconds) = (self.count.unwrap_or(COUNT), self.seconds.unwrap_or(SECONDS));
        if !(1..=COUNT_MAX).contains(&count) {
            return Err(Refusal::configuration(format!("count is 1 to {COUNT_MAX}, not {count}")));
        }
        if !(1..=SECONDS_MAX).contains(&seconds) {
            return Err(Refusal::configuration(format!("seconds is 1 to {SECONDS_MAX}, not {seconds}")));
        }
        Ok((count, Duration::from_secs(seconds.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_dataplane::wire::IpProtocol;

    fn queried(query: &str) -> Result<TraceRequest, String> {
        serde_urlencoded::from_str(query).map_err(|error| error.to_string())
    }

    #[test]
    fn it_survives_the_way_through_a_query() {
        let query = "address=10.1.2.3&protocol=6&family=ipv4&sport=40000&dport=80&count=5&seconds=7";
        let request = queried(query).unwrap();
        assert_eq!(serde_urlencoded::to_string(&request).unwrap(), query);
        let filter = request.filter();
        assert_eq!((filter.protocol, filter.family), (Some(IpProtocol::TCP), Some(Family::V4)));
        assert_eq!((filter.source.port, filter.destination.port), (Some(40_000), Some(80)));
        assert_eq!(filter.either.address, Some("10.1.2.3".parse().unwrap()));
        assert_eq!(request.bounds().unwrap(), (5, Duration::from_secs(7)));
    }

    #[test]
    fn it_is_bounded_whatever_is_said() {
        assert_eq!(queried("").unwrap().bounds().unwrap(), (COUNT, Duration::from_secs(SECONDS.into())));
        for query in ["count=0", "count=1000001", "seconds=0", "seconds=3601"] {
            assert!(queried(query).unwrap().bounds().is_err(), "{query}");
        }
        for query in ["adress=10.0.0.1", "address=10.0.0", "protocol=ip", "state=NEW"] {
            assert!(queried(query).is_err(), "{query}");
        }
    }
}
