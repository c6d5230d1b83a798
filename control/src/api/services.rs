//! Which server of which service or pool a client means, and what is to become of it: the queries of requests.

use crate::service::{Change, Definition, Settings};
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::str::FromStr;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use weir_dataplane::config::service::Method;

/// One service or pool, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupQuery {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A server of a service, or a node of a pool, by their names; and what is to be set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerQuery {
    /// The service or pool.
    pub name: String,
    /// The server or node.
    pub server: String,
    /// Where a new one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The port of a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How packets get to a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Its share of new connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
    /// With so many connections it gets no new ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper_threshold: Option<u32>,
    /// With fewer than these it gets new ones again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower_threshold: Option<u32>,
    /// What a connection adds to its load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<u16>,
    /// Whether it may have connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up: Option<bool>,
    /// How long a drain may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u64>,
}

/// What a service's `lblc` or `lblcr` knows, and what an operator says about an address of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheQuery {
    /// The service.
    pub name: String,
    /// Where the content comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The server that is to hold it; without one nobody is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

/// What is to be held of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheOrder {
    /// Its connections go to this server.
    Pin(String),
    /// It is not remembered who holds it.
    Ban,
    /// It is learned who holds it.
    Forget,
}

impl fmt::Display for CacheOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pin(server) => write!(f, "pin to {server}"),
            Self::Ban => f.write_str("ban"),
            Self::Forget => f.write_str("forget"),
        }
    }
}

/// Why a query cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Nobody is named.
    #[error("say which: `name` and `server` are wanted")]
    Nobody,
    /// A new one without an address.
    #[error("`address` is wanted: where the new one is")]
    NoAddress,
    /// No such method.
    #[error("`{name}` is no method: give {}", methods())]
    Method {
        /// What was given.
        name: String,
    },
    /// Nothing to set.
    #[error("nothing is to be set: give a weight, a threshold, a cost or a state")]
    Nothing,
}

fn methods() -> String {
    Method::ALL.iter().map(|method| method.name()).collect::<Vec<_>>().join(" or ")
}

impl ServerQuery {
    /// A new one.
    ///
    /// # Errors
    /// When it does not say where.
    pub fn addition(&self) -> Result<Change, QueryError> {
        self.somebody()?;
        let address = self.address.ok_or(QueryError::NoAddress)?;
        let plain = Definition::new(self.server.clone(), address);
        let named = |name: &str| Method::ALL.iter().copied().find(|method| method.name() == name);
        let method = match &self.method {
            Some(name) => named(name).ok_or_else(|| QueryError::Method { name: name.clone() })?,
            None => plain.method,
        };
        Ok(Change::Add(Definition {
            port: self.port.unwrap_or(plain.port),
            method,
            weight: self.weight.unwrap_or(plain.weight),
            upper_threshold: self.upper_threshold.unwrap_or(plain.upper_threshold),
            lower_threshold: self.lower_threshold.unwrap_or(plain.lower_threshold),
            cost: self.cost.unwrap_or(plain.cost),
            drain: self.up == Some(false),
            ..plain
        }))
    }

    /// Other settings.
    ///
    /// # Errors
    /// When there are none.
    pub fn settings(&self) -> Result<Change, QueryError> {
        self.somebody()?;
        let settings = Settings {
            weight: self.weight,
            upper_threshold: self.upper_threshold,
            lower_threshold: self.lower_threshold,
            cost: self.cost,
            drain: self.up.map(|up| !up),
        };
        if settings == Settings::default() { Err(QueryError::Nothing) } else { Ok(Change::Set(settings)) }
    }

    /// The end of one.
    ///
    /// # Errors
    /// When nobody is named.
    pub fn removal(&self) -> Result<Change, QueryError> {
        self.somebody().map(|()| Change::Remove)
    }

    /// No new connections.
    ///
    /// # Errors
    /// When nobody is named.
    pub fn drain(&self) -> Result<Change, QueryError> {
        self.somebody().map(|()| Change::Drain { timeout: self.timeout_s.map(Duration::from_secs) })
    }

    /// New connections again.
    ///
    /// # Errors
    /// When nobody is named.
    pub fn undrain(&self) -> Result<Change, QueryError> {
        self.somebody().map(|()| Change::Undrain)
    }

    fn somebody(&self) -> Result<(), QueryError> {
        if self.name.is_empty() || self.server.is_empty() { Err(QueryError::Nobody) } else { Ok(()) }
    }
}

/// An address with or without a port, as the command line takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: Option<u16>,
}

/// A text that is no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an address is wanted, with or without a port, such as 192.0.2.1, 192.0.2.1:80 or [2001:db8::1]:80")]
pub struct NotAnEndpoint;

impl FromStr for Endpoint {
    type Err = NotAnEndpoint;

    fn from_str(text: &str) -> Result<Self, NotAnEndpoint> {
        let whole =
            text.parse::<SocketAddr>().map(|both| Self { address: both.ip(), port: Some(both.port()) });
        whole.or_else(|_| text.parse().map(|address| Self { address, port: None })).map_err(|_| NotAnEndpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> ServerQuery {
        serde_urlencoded::from_str(text).unwrap()
    }

    #[test]
    fn a_query_says_what_is_to_become_of_whom() {
        let settings = Settings { weight: Some(3), drain: Some(true), ..Settings::default() };
        assert_eq!(query("name=web&server=a&weight=3&up=false").settings(), Ok(Change::Set(settings)));
        let added = Definition {
            port: 80,
            method: Method::Ipip,
            weight: 7,
            ..Definition::new("b".to_owned(), [192, 0, 2, 1].into())
        };
        let text = "name=web&server=b&address=192.0.2.1&port=80&method=ipip&weight=7";
        assert_eq!(query(text).addition(), Ok(Change::Add(added)));
        let timeout = Some(Duration::from_secs(5));
        assert_eq!(query("name=web&server=a&timeout_s=5").drain(), Ok(Change::Drain { timeout }));
        assert_eq!(query("name=web&server=a").undrain(), Ok(Change::Undrain));
    }

    #[test]
    fn a_query_that_says_too_little_is_refused() {
        assert_eq!(query("name=web").removal(), Err(QueryError::Nobody));
        assert_eq!(query("server=a").drain(), Err(QueryError::Nobody));
        assert_eq!(query("name=web&server=a").settings(), Err(QueryError::Nothing));
        assert_eq!(query("name=web&server=a").addition(), Err(QueryError::NoAddress));
        let method = query("name=web&server=a&address=::1&method=nat").addition().unwrap_err();
        assert_eq!(method.to_string(), "`nat` is no method: give direct or ipip");
        assert!(serde_urlencoded::from_str::<ServerQuery>("name=web&wieght=3").is_err());
    }

    #[test]
    fn an_endpoint_may_have_a_port() {
        let (v4, v6): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), "2001:db8::1".parse().unwrap());
        for (text, address, port) in [
            ("192.0.2.1", v4, None),
            ("192.0.2.1:80", v4, Some(80)),
            ("2001:db8::1", v6, None),
            ("[2001:db8::1]:80", v6, Some(80)),
        ] {
            assert_eq!(text.parse(), Ok(Endpoint { address, port }), "{text}");
        }
        assert_eq!("squid1".parse::<Endpoint>(), Err(NotAnEndpoint));
    }
}
