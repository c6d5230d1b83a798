//! `weir service`

use super::gateway::Gateway;
use super::values;
use crate::Failure;
use crate::api::{CacheQuery, Endpoint, GroupQuery, ServerQuery};
use crate::observe::ipvsadm_text::{self, Columns, Digits};
use crate::observe::{Connections, ServiceCache, Services, service_tables};
use core::net::IpAddr;
use hyper::Method;
use serde::Serialize;

/// Show the services of a running gateway, or change their servers
///
/// What is changed here holds until the next start, and over reloads unless the configuration says something new of the
/// same thing: see docs/services.md.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List services and servers as `ipvsadm -Ln` does
    List(List),
    /// Show services and servers with all that is known of them, drains among it
    Show {
        /// This service alone
        #[arg(value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Show which servers hold which address's content, as `lblc` and `lblcr` know it, or say so
    Cache(Cache),
    /// Set the weight or the thresholds of a server
    Set {
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Add a server
    Add {
        #[command(flatten)]
        server: Server,
        /// Where it is; without a port it has that of the service
        #[arg(value_name = "ADDRESS[:PORT]")]
        address: Endpoint,
        #[command(flatten)]
        settings: Settings,
        /// How packets get there: direct or ipip
        #[arg(long, value_name = "METHOD", default_value = "direct")]
        method: String,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Take a server away; its connections live on as long as a drain lets them
    Del {
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Give a server no new connections; those that it has live on until they end, or until the deadline
    Drain {
        #[command(flatten)]
        server: Server,
        /// Seconds until what is left ends; without it `drain_timeout_s` of the service
        #[arg(long, value_name = "S")]
        timeout_s: Option<u64>,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Take a drain back
    Undrain {
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        gateway: Gateway,
    },
}

#[derive(Debug, clap::Args)]
struct List {
    /// This service alone
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Connections, packets and bytes since the start
    #[arg(long, group = "columns")]
    stats: bool,
    /// Connections, packets and bytes in a second
    #[arg(long, group = "columns")]
    rate: bool,
    /// Upper and lower thresholds
    #[arg(long, group = "columns")]
    thresholds: bool,
    /// Clients that stay with a server
    #[arg(long, group = "columns")]
    persistent_conn: bool,
    /// The connections themselves, as `ipvsadm -Lnc` does
    #[arg(short, long, group = "columns")]
    connections: bool,
    /// All digits of large numbers, with --stats and --rate
    #[arg(long)]
    exact: bool,
    /// Addresses and ports as numbers, which they are anyhow
    #[arg(short, long)]
    numeric: bool,
    #[command(flatten)]
    gateway: Gateway,
}

#[derive(Debug, clap::Args)]
struct Cache {
    /// The service
    #[arg(value_name = "NAME")]
    name: String,
    /// This address alone
    #[arg(value_name = "ADDRESS", value_parser = values::address)]
    address: Option<IpAddr>,
    /// From now on its connections go to this server
    #[arg(long, value_name = "SERVER", requires = "address", group = "order")]
    pin: Option<String>,
    /// From now on it is not remembered who holds it
    #[arg(long, requires = "address", group = "order")]
    ban: bool,
    /// From now on it is learned again who holds it
    #[arg(long, requires = "address", group = "order")]
    forget: bool,
    #[command(flatten)]
    gateway: Gateway,
}

#[derive(Debug, clap::Args)]
struct Server {
    /// The service
    #[arg(value_name = "NAME")]
    name: String,
    /// The server's name
    #[arg(value_name = "SERVER")]
    server: String,
}

#[derive(Debug, clap::Args)]
struct Settings {
    /// Its share of new connections beside the others'; 0: none, and those that it has live on
    #[arg(long, value_name = "N")]
    weight: Option<u16>,
    /// With so many connections it gets no new ones; 0: however many it has
    #[arg(long, value_name = "N")]
    upper_threshold: Option<u32>,
    /// With fewer than these it gets new ones again; 0: with fewer than three quarters of the upper one
    #[arg(long, value_name = "N")]
    lower_threshold: Option<u32>,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (gateway, method, path, query) = match self.action {
            Action::List(list) => return list.run(),
            Action::Cache(cache) => return cache.run(),
            Action::Show { name, gateway } => {
                let path = path("/services", &GroupQuery { name })?;
                return gateway.show::<Services>(Method::GET, &path, service_tables::services);
            }
            Action::Set { server, settings, gateway } => {
                (gateway, Method::PATCH, "/services/servers", settings.of(server))
            }
            Action::Add { server, address: Endpoint { address, port }, settings, method, gateway } => {
                let (address, method) = (Some(address), Some(method));
                let query = ServerQuery { address, port, method, ..settings.of(server) };
                (gateway, Method::PUT, "/services/servers", query)
            }
            Action::Del { server, gateway } => (gateway, Method::DELETE, "/services/servers", server.query()),
            Action::Drain { server, timeout_s, gateway } => {
                (gateway, Method::PUT, "/services/drains", ServerQuery { timeout_s, ..server.query() })
            }
            Action::Undrain { server, gateway } => {
                (gateway, Method::DELETE, "/services/drains", server.query())
            }
        };
        gateway.show::<Services>(method, &self::path(path, &query)?, service_tables::services)
    }
}

impl Server {
    fn query(self) -> ServerQuery {
        ServerQuery { name: self.name, server: self.server, ..ServerQuery::default() }
    }
}

impl Settings {
    fn of(self, server: Server) -> ServerQuery {
        let Self { weight, upper_threshold, lower_threshold } = self;
        ServerQuery { weight, upper_threshold, lower_threshold, ..server.query() }
    }
}

impl List {
    fn run(self) -> Result<(), Failure> {
        let columns = self.columns();
        let is_named = self.name.is_some();
        let query = GroupQuery { name: self.name };
        if self.connections {
            let path = path("/services/connections", &query)?;
            return self.gateway.show::<Connections>(Method::GET, &path, ipvsadm_text::connections);
        }
        let text = if is_named { ipvsadm_text::some } else { ipvsadm_text::all };
        let path = path("/services", &query)?;
        self.gateway.show::<Services>(Method::GET, &path, |answer| text(answer, columns))
    }

    const fn columns(&self) -> Columns {
        let digits = if self.exact { Digits::Exact } else { Digits::Short };
        match self {
            Self { stats: true, .. } => Columns::Stats(digits),
            Self { rate: true, .. } => Columns::Rate(digits),
            Self { thresholds: true, .. } => Columns::Thresholds,
            Self { persistent_conn: true, .. } => Columns::PersistentConn,
            _ => Columns::Plain,
        }
    }
}

impl Cache {
    fn run(self) -> Result<(), Failure> {
        let method = match (&self.pin, self.ban, self.forget) {
            (_, _, true) => Method::DELETE,
            (None, false, false) => Method::GET,
            _ => Method::PUT,
        };
        let query = CacheQuery { name: self.name, address: self.address, server: self.pin };
        self.gateway.show::<ServiceCache>(method, &path("/services/cache", &query)?, service_tables::cache)
    }
}

/// A resource with its query.
pub(super) fn path(resource: &str, query: &impl Serialize) -> Result<String, Failure> {
    let query = serde_urlencoded::to_string(query).map_err(Failure::runtime)?;
    Ok(format!("{resource}?{query}"))
}
