//! Who hears whom, told with each datagram.
//!
//! A node that hears others while they do not hear it would not know: what they publish comes as an answer to what it
//! says, and there is none. But they go on to look for it, so what they send says whether they hear its receiver. It
//! stands behind chitchat's message, where a node without this part reads nothing, and says nothing.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The word for one who is not heard, or not yet.
const UNHEARD: u8 = 0;
/// For one who lives.
const HEARD: u8 = 1;

/// Shared by the socket and by those who look at what it has heard.
#[derive(Clone, Debug, Default)]
pub(super) struct Hearing(Arc<Mutex<Sides>>);

#[derive(Debug, Default)]
struct Sides {
    /// Whom this node hears.
    heard: HashSet<SocketAddr>,
    /// Who does not hear this node, by their last word.
    deaf: HashSet<SocketAddr>,
}

impl Hearing {
    /// This node hears these, and nobody else.
    pub(super) fn set_heard(&self, heard: HashSet<SocketAddr>) {
        self.with(|sides| {
            sides.deaf.retain(|other| heard.contains(other));
            sides.heard = heard;
        });
    }

    /// What this node has to tell `to`.
    pub(super) fn word_for(&self, to: SocketAddr) -> u8 {
        self.with(|sides| if sides.heard.contains(&to) { HEARD } else { UNHEARD })
    }

    /// What `from` has to say, if it does.
    pub(super) fn hear(&self, from: SocketAddr, word: Option<u8>) {
        self.with(|sides| match word {
            Some(UNHEARD) => sides.deaf.insert(from),
            _ => sides.deaf.remove(&from),
        });
    }

    /// Whether that node does not hear this one.
    pub(super) fn is_deaf(&self, other: SocketAddr) -> bool {
        self.with(|sides| sides.deaf.contains(&other))
    }

    fn with<T>(&self, what: impl FnOnce(&mut Sides) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
