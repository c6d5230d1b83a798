//! What takes milliseconds to work out and is the same in many snapshots, which share it: rules, compiled, and the tables of
//! schedulers that hash.

use crate::classify::Classifier;
use crate::config::Rule;
use crate::config::service::{Scheduler, Server, Service};
use crate::sched::{Servers, dh, mh, sh};
use core::ops::Deref;
use std::sync::Arc;

/// Rules as they were said, and compiled.
#[derive(Debug)]
pub(super) struct Rules {
    said: Vec<Rule>,
    classifier: Classifier,
}

impl Rules {
    /// Those `before`, if they are the same.
    pub(super) fn compile(said: Vec<Rule>, before: Option<&Arc<Self>>) -> Arc<Self> {
        match before.filter(|before| before.said == said) {
            Some(before) => Arc::clone(before),
            None => Arc::new(Self { classifier: Classifier::compile(&said), said }),
        }
    }
}

impl Deref for Rules {
    type Target = Classifier;

    #[inline]
    fn deref(&self) -> &Classifier {
        &self.classifier
    }
}

/// What a scheduler that hashes has worked out beforehand, and of what.
#[derive(Clone, Debug)]
pub(super) struct Table {
    scheduler: Scheduler,
    /// Of each server no more than it looks at.
    servers: Vec<Server>,
    pub(super) hashed: Hashed,
}

/// The table of each kind.
#[derive(Clone, Debug)]
pub(super) enum Hashed {
    None,
    Dh(Arc<dh::Table>),
    Sh(Arc<sh::Table>),
    Mh(Arc<mh::Table>),
}

impl Table {
    /// That of `before`, if it is made of the same. The scheduler knows the service's servers as `known`.
    pub(super) fn compile(service: &Service, known: &Servers, before: Option<&Self>) -> Self {
        let scheduler = service.scheduler;
        let hashes = matches!(scheduler, Scheduler::Dh | Scheduler::Sh(_) | Scheduler::Mh(_));
        let looked_at = |server: &Server| {
            let &Server { id, place, port, weight, last_weight, .. } = server;
            Server { port, weight, last_weight, ..Server::new(id, place) }
        };
        let servers: Vec<_> = service.servers.iter().filter(|_| hashes).map(looked_at).collect();
        let is_same = |old: &&Self| old.scheduler == scheduler && old.servers == servers;
        let hashed = match (before.filter(is_same), scheduler) {
            (Some(old), _) => old.hashed.clone(),
            (None, Scheduler::Dh) => Hashed::Dh(Arc::new(dh::Table::compile(known))),
            (None, Scheduler::Sh(hashing)) => Hashed::Sh(Arc::new(sh::Table::compile(known, hashing))),
            (None, Scheduler::Mh(hashing)) => {
                Hashed::Mh(Arc::new(mh::Table::compile(&service.servers, hashing)))
            }
            (None, _) => Hashed::None,
        };
        Self { scheduler, servers, hashed }
    }
}
