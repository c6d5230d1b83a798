//! The UDP socket of chitchat's messages, each in a sealed datagram.
//!
//! A message may be longer than the path's MTU; IP fragments it, as with chitchat's own transport. No error of the
//! network ends it: what cannot be sent or opened is counted and dropped, and gossip repeats itself.

use super::hearing::Hearing;
use super::keys::KeyRing;
use super::seal::{HEADER_BYTES, Refusal, Seal, Stamp};
use crate::cluster::engine::counts::{Count, Counts};
use crate::cluster::engine::incident::Incident;
use anyhow::Context;
use async_trait::async_trait;
use chitchat::transport::{Socket, Transport};
use chitchat::{ChitchatMessage, Deserializable, Serializable};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::net::UdpSocket;
use tokio::sync::watch;

/// The longest datagram of UDP over IPv4.
const DATAGRAM_BYTES_MAX: usize = 65_507;
/// A refused datagram is told in the log after this long without one of its kind.
const QUIET: Duration = Duration::from_secs(60);
/// A socket that fails at once, again and again, must not take the whole CPU.
const PAUSE: Duration = Duration::from_millis(10);

/// Opens sealed sockets.
#[derive(Debug)]
pub(super) struct SealedUdp {
    pub(super) cluster: String,
    pub(super) clock_skew_max: Duration,
    pub(super) keys: watch::Receiver<KeyRing>,
    pub(super) counts: Arc<Counts>,
    pub(super) hearing: Hearing,
}

#[async_trait]
impl Transport for SealedUdp {
    async fn open(&self, listen: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let socket =
            UdpSocket::bind(listen).await.with_context(|| format!("cannot listen on {listen}/UDP"))?;
        Ok(Box::new(SealedSocket {
            socket,
            seal: Seal::new(&self.cluster, self.clock_skew_max, now()),
            keys: self.keys.clone(),
            counts: Arc::clone(&self.counts),
            hearing: self.hearing.clone(),
            outgoing: Vec::new(),
            incoming: vec![0; DATAGRAM_BYTES_MAX].into(),
            incidents: Incidents::default(),
        }))
    }
}

struct SealedSocket {
    socket: UdpSocket,
    seal: Seal,
    keys: watch::Receiver<KeyRing>,
    counts: Arc<Counts>,
    hearing: Hearing,
    outgoing: Vec<u8>,
    incoming: Box<[u8]>,
    incidents: Incidents,
}

#[async_trait]
impl Socket for SealedSocket {
    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) -> anyhow::Result<()> {
        self.outgoing.clear();
        self.outgoing.resize(HEADER_BYTES, 0);
        message.serialize(&mut self.outgoing);
        self.outgoing.push(self.hearing.word_for(to));
        self.seal.seal(&self.keys.borrow(), now(), &mut self.outgoing);
        match self.socket.send_to(&self.outgoing, to).await {
            Ok(_) => self.counts.add(Count::Sent),
            Err(error) => {
                self.counts.add(Count::SendErrors);
                self.incidents.send.met_after(QUIET, format_args!("to {to}: {error}"));
            }
        }
        Ok(())
    }

    // Dropped halfway by chitchat's `select!`: every wait in it loses nothing.
    async fn recv(&mut self) -> anyhow::Result<(SocketAddr, ChitchatMessage)> {
        loop {
            match self.socket.recv_from(&mut self.incoming).await {
                Ok((length, from)) => {
                    if let Some(message) = self.open(length, from) {
                        return Ok((from, message));
                    }
                }
                Err(error) => {
                    self.counts.add(Count::ReceiveErrors);
                    self.incidents.receive.met_after(QUIET, error);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

impl SealedSocket {
    /// The message in what was received, or nothing of what is to be dropped.
    fn open(&mut self, length: usize, from: SocketAddr) -> Option<ChitchatMessage> {
        let keys = self.keys.borrow();
        let message = self.seal.open(&keys, now(), &self.incoming[..length]);
        let message = message.and_then(|mut bytes| {
            let message = ChitchatMessage::deserialize(&mut bytes).map_err(|_| Refusal::Format)?;
            Ok((message, bytes.first().copied()))
        });
        let (count, incident) = match message {
            Ok((message, word)) => {
                self.counts.add(Count::Received);
                self.hearing.hear(from, word);
                return Some(message);
            }
            Err(Refusal::Format) => (Count::RefusedFormat, &mut self.incidents.format),
            Err(Refusal::Key) => (Count::RefusedKey, &mut self.incidents.key),
            Err(Refusal::Clock) => (Count::RefusedClock, &mut self.incidents.clock),
            Err(Refusal::Replay) => (Count::RefusedReplay, &mut self.incidents.replay),
        };
        self.counts.add(count);
        incident.met_after(QUIET, format_args!("from {from}"));
        None
    }
}

struct Incidents {
    send: Incident,
    receive: Incident,
    format: Incident,
    key: Incident,
    clock: Incident,
    replay: Incident,
}

impl Default for Incidents {
    fn default() -> Self {
        Self {
            send: Incident::new("cannot send gossip"),
            receive: Incident::new("cannot receive gossip"),
            format: Incident::new("refused a datagram that is no gossip of this version"),
            key: Incident::new("refused gossip sealed with another key, or of another cluster"),
            clock: Incident::new("refused gossip from a clock too far from ours: do both nodes run NTP?"),
            replay: Incident::new(
                "refused gossip that was received before: a loop in the network, or somebody replays it",
            ),
        }
    }
}

fn now() -> Stamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Stamp(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
