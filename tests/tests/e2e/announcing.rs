//! Flows that others announce: the node that has the announcing flow forwards them, once, whoever opens them.

use anyhow::Result;

use crate::clients::{self, Opener};
use crate::lab::{B4, B6, Lab, Nodes, client_of, owner};
use crate::node::{self, Weir};
use crate::pptp::{self, Pptp};
use crate::ready;
use crate::servers::Servers;
use crate::sip::{self, Over};
use crate::tap::{Ledger, Taps};
use crate::tftp::Tftp;

/// A server of some protocol, and a client's dialogue with it.
trait Dialogue: Sized {
    /// The addresses under which it is served.
    const SERVERS: &'static [&'static str];

    fn start(lab: &Lab) -> Result<Self>;

    fn talk(&self, lab: &Lab, client: &str, server: &str) -> Result<()>;
}

/// FTP in every way of both families.
struct Ftp(Servers);

impl Dialogue for Ftp {
    const SERVERS: &'static [&'static str] = &[B4, B6];

    fn start(lab: &Lab) -> Result<Self> {
        Ok(Self(Servers::start(&lab.b)?))
    }

    fn talk(&self, lab: &Lab, client: &str, server: &str) -> Result<()> {
        for opener in [Opener::Client, Opener::Server] {
            clients::ftp_as(&lab.a, &self.0, opener, client, server)?;
        }
        Ok(())
    }
}

impl Dialogue for Tftp {
    const SERVERS: &'static [&'static str] = &[B4, B6];

    fn start(lab: &Lab) -> Result<Self> {
        Self::start(&lab.b)
    }

    fn talk(&self, lab: &Lab, client: &str, server: &str) -> Result<()> {
        self.transfer(&lab.a, client, server)
    }
}

/// SIP over both transports. The phone answers one call, so there is none to start.
struct Sip;

impl Dialogue for Sip {
    const SERVERS: &'static [&'static str] = &[B4, B6];

    fn start(_: &Lab) -> Result<Self> {
        Ok(Self)
    }

    fn talk(&self, lab: &Lab, client: &str, server: &str) -> Result<()> {
        sip::call(&lab.a, &lab.b, Over::Udp, client, server)?;
        sip::call(&lab.a, &lab.b, Over::Tcp, client, server)
    }
}

impl Dialogue for Pptp {
    /// Linux's helper knows PPTP over IPv4 alone, and so do the programs.
    const SERVERS: &'static [&'static str] = &[B4];

    fn start(lab: &Lab) -> Result<Self> {
        Self::start(&lab.b)
    }

    fn talk(&self, lab: &Lab, client: &str, server: &str) -> Result<()> {
        pptp::tunnel(&lab.a, client, server)
    }
}

/// Talks with `server` as a client of this node; what each gateway forwarded of it, and what the hosts saw.
fn measured<const N: usize>(
    lab: &Lab,
    gateways: [&Weir<'_>; N],
    dialogue: &impl Dialogue,
    (node, server): (usize, &str),
) -> ([u64; N], Ledger) {
    let client = client_of(node, server);
    let before = gateways.map(|gateway| gateway.counts().unwrap().forwarded());
    let taps = Taps::start(lab).unwrap();
    dialogue.talk(lab, &client, server).unwrap();
    let ledger = taps.ledger().unwrap();
    let mut forwarded = gateways.map(|gateway| gateway.counts().unwrap().forwarded());
    forwarded.iter_mut().zip(before).for_each(|(after, before)| *after -= before);
    println!("{client} to {server}: by each {forwarded:?}, {ledger:?}");
    (forwarded, ledger)
}

/// The server's own address falls to the other node, so that what it opens shows whether its master counts.
fn assert_by_the_masters_owner<D: Dialogue>() {
    if !ready() {
        return;
    }
    let lab = Lab::new(2, Nodes::HearEachOther).unwrap();
    let [one, two] = node::two(&lab).unwrap();
    let dialogue = D::start(&lab).unwrap();
    lab.introduce().unwrap();
    for server in D::SERVERS {
        let node = 3 - owner(server);
        let (forwarded, ledger) = measured(&lab, [&one, &two], &dialogue, (node, server));
        ledger.assert_exactly_once();
        let mut expected = [0; 2];
        expected[node - 1] = ledger.received as u64;
        assert_eq!(forwarded, expected, "of a client of node {node}: {ledger:?}");
    }
}

#[test]
fn an_ftp_data_connection_is_its_masters() {
    assert_by_the_masters_owner::<Ftp>();
}

#[test]
fn a_tftp_transfer_is_its_requests() {
    assert_by_the_masters_owner::<Tftp>();
}

#[test]
fn the_voice_of_a_sip_call_is_its_callers() {
    assert_by_the_masters_owner::<Sip>();
}

#[test]
fn the_gre_of_a_pptp_tunnel_is_its_control_connections() {
    assert_by_the_masters_owner::<Pptp>();
}

/// Beside Linux, where client and server fall to the gateway: all of it is the gateway's, once.
fn assert_whole_beside_linux<D: Dialogue>(lab: &Lab, weir: &Weir<'_>) {
    let dialogue = D::start(lab).unwrap();
    for server in D::SERVERS {
        let ([forwarded], ledger) = measured(lab, [weir], &dialogue, (owner(server), server));
        ledger.assert_exactly_once();
        assert_eq!(forwarded, ledger.received as u64, "{ledger:?}");
    }
}

#[test]
fn announced_flows_of_one_nodes_hosts_pass_once_beside_linux() {
    if !ready() {
        return;
    }
    let lab = Lab::new(2, Nodes::Isolated).unwrap();
    let weir = node::beside_linux(&lab, owner(B4)).unwrap();
    lab.introduce().unwrap();
    assert_whole_beside_linux::<Ftp>(&lab, &weir);
    assert_whole_beside_linux::<Tftp>(&lab, &weir);
    assert_whole_beside_linux::<Sip>(&lab, &weir);
    assert_whole_beside_linux::<Pptp>(&lab, &weir);
}

/// Beside Linux, where the client falls to the gateway and the server to Linux. Linux takes what the server opens for
/// the server's and forwards it, too, as it does beside another Linux: it comes twice, but it comes.
fn assert_carried_beside_linux<D: Dialogue>(lab: &Lab, weir: &Weir<'_>) {
    let dialogue = D::start(lab).unwrap();
    for server in D::SERVERS {
        let ([forwarded], ledger) = measured(lab, [weir], &dialogue, (3 - owner(server), server));
        assert_eq!(ledger.lost, 0, "{ledger:?}");
        assert!(forwarded > 0, "{ledger:?}");
    }
}

/// (Not TFTP and SIP: over UDP the programs do not stand that everything comes twice.)
#[test]
fn announced_flows_arrive_beside_a_linux_node_that_doubles_them() {
    if !ready() {
        return;
    }
    let lab = Lab::new(2, Nodes::Isolated).unwrap();
    let weir = node::beside_linux(&lab, 3 - owner(B4)).unwrap();
    lab.introduce().unwrap();
    assert_carried_beside_linux::<Ftp>(&lab, &weir);
    assert_carried_beside_linux::<Pptp>(&lab, &weir);
}
