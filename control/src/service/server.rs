//! A server with its number, and all that is said and known of it.

use super::definition::{Definition, Settings};
use super::drain::Drain;
use core::time::Duration;
use weir_dataplane::config::service::{self, ServerState};
use weir_dataplane::units::ServerId;

/// A server of a service, or a node of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub(super) id: ServerId,
    pub(super) definition: Definition,
    /// Whether an operator has added it, and the configuration does not know it.
    pub(super) added: bool,
    pub(super) settings: Settings,
    pub(super) alive: bool,
    pub(super) last_weight: u16,
    pub(super) reported_load: u32,
    pub(super) drain: Option<Drain>,
    /// The drain's deadline has passed.
    pub(super) is_over: bool,
}

impl Server {
    pub(super) fn new(id: ServerId, definition: Definition) -> Self {
        let mut server = Self {
            id,
            last_weight: definition.weight,
            definition,
            added: false,
            settings: Settings::default(),
            alive: true,
            reported_load: 0,
            drain: None,
            is_over: false,
        };
        server.note_weight();
        server
    }

    /// Its number.
    pub const fn id(&self) -> ServerId {
        self.id
    }

    /// Its name in its service or pool.
    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// What it is said to be, without what an operator has set.
    pub const fn definition(&self) -> &Definition {
        &self.definition
    }

    /// Its port, where its service has `service_port`; 0: none.
    pub const fn port(&self, service_port: u16) -> u16 {
        if self.definition.port == 0 { service_port } else { self.definition.port }
    }

    /// What an operator has set.
    pub const fn settings(&self) -> Settings {
        self.settings
    }

    /// Whether an operator has added it, and the configuration does not know it.
    pub const fn is_added(&self) -> bool {
        self.added
    }

    /// Its share of new connections.
    pub fn weight(&self) -> u16 {
        self.settings.weight.unwrap_or(self.definition.weight)
    }

    /// With so many connections it gets no new ones; 0: however many it has.
    pub fn upper_threshold(&self) -> u32 {
        self.settings.upper_threshold.unwrap_or(self.definition.upper_threshold)
    }

    /// With fewer than these it gets new ones again.
    pub fn lower_threshold(&self) -> u32 {
        self.settings.lower_threshold.unwrap_or(self.definition.lower_threshold)
    }

    /// What a connection adds to its load.
    pub fn cost(&self) -> u16 {
        self.settings.cost.unwrap_or(self.definition.cost)
    }

    /// The load that it has reported.
    pub const fn reported_load(&self) -> u32 {
        self.reported_load
    }

    /// Whether its checks find it alive.
    pub const fn is_alive(&self) -> bool {
        self.alive
    }

    /// The drain that is under way.
    pub const fn drain(&self) -> Option<Drain> {
        self.drain
    }

    /// Whether it may have connections.
    pub const fn state(&self) -> ServerState {
        match self.drain {
            _ if self.is_over => ServerState::Drained,
            _ if !self.alive => ServerState::Dead,
            Some(_) => ServerState::Draining,
            None => ServerState::Up,
        }
    }

    /// Goes on by what is said of it now: a drain begins, or ends.
    pub(super) fn settle(&mut self, now_ms: u64, timeout: Option<Duration>) {
        self.note_weight();
        if self.settings.drain.unwrap_or(self.definition.drain) {
            self.drain.get_or_insert_with(|| Drain::begin(now_ms, timeout));
        } else {
            (self.drain, self.is_over) = (None, false);
        }
    }

    /// Hashing schedulers go on by the last weight that was not 0.
    fn note_weight(&mut self) {
        if self.weight() != 0 {
            self.last_weight = self.weight();
        }
    }

    /// What the packet path is told; the service has `port`.
    pub(super) fn compile(&self, port: u16) -> service::Server {
        let Definition { place, method, .. } = self.definition;
        service::Server {
            id: self.id,
            place,
            port: self.port(port),
            method,
            state: self.state(),
            weight: self.weight(),
            last_weight: self.last_weight,
            upper_threshold: self.upper_threshold(),
            lower_threshold: self.lower_threshold(),
            cost: self.cost(),
            reported_load: self.reported_load,
        }
    }
}
