//! FTP (RFC 959) with its data connections: active and passive, in the old and the extended words (RFC 2428).

use super::Family;
use crate::conversation::{Conversation, Side, TcpSession};
use std::net::IpAddr;

const CONTROL_PORT: u16 = 21;
const DATA_PORT: u16 = 20;

/// Who says where the data connection goes, and in which words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataMode {
    /// The client listens; IPv4 only.
    Port,
    /// The server listens; IPv4 only.
    Pasv,
    /// The client listens.
    Eprt,
    /// The server listens.
    Epsv,
}

/// One file that crosses.
#[derive(Clone, Copy, Debug)]
pub struct Transfer {
    /// How its connection comes about.
    pub mode: DataMode,
    /// The side that has the file.
    pub from: Side,
    /// Its size in bytes.
    pub size: usize,
    /// The client's port of the data connection.
    pub client_port: u16,
    /// The server's, where the server chooses it.
    pub server_port: u16,
}

/// The client logs in, moves these files and leaves.
pub fn session<A: Family>(talk: &mut Conversation<A>, client_port: u16, transfers: &[Transfer]) {
    let mut control = TcpSession::open(talk, Side::Lan, client_port, CONTROL_PORT);
    answer(&mut control, talk, "220 Service ready.");
    ask(&mut control, talk, "USER anonymous", "331 Password, please.");
    ask(&mut control, talk, "PASS guest@example.org", "230 Logged in.");
    ask(&mut control, talk, "TYPE I", "200 Binary.");
    for file in transfers {
        transfer(&mut control, talk, *file);
    }
    ask(&mut control, talk, "QUIT", "221 Goodbye.");
    control.close(talk, Side::Wan);
}

fn transfer<A: Family>(control: &mut TcpSession, talk: &mut Conversation<A>, file: Transfer) {
    let Transfer { mode, from, size, client_port, .. } = file;
    let (client, server) = (talk.host(Side::Lan).ip, talk.host(Side::Wan).ip);
    let port = file.server_port;
    let (command, reply) = match mode {
        DataMode::Port => {
            (format!("PORT {}", host_and_port(client, client_port)), "200 PORT accepted.".into())
        }
        DataMode::Eprt => {
            let place = format!("|{}|{}|{client_port}|", A::FTP_FAMILY, client.into());
            (format!("EPRT {place}"), "200 EPRT accepted.".into())
        }
        DataMode::Pasv => {
            ("PASV".into(), format!("227 Entering Passive Mode ({}).", host_and_port(server, port)))
        }
        DataMode::Epsv => ("EPSV".into(), format!("229 Entering Extended Passive Mode (|||{port}|)")),
    };
    ask(control, talk, &command, &reply);

    let word = if from == Side::Wan { "RETR" } else { "STOR" };
    control.send(talk, Side::Lan, format!("{word} file-{size}\r\n").as_bytes());
    let mut data = match mode {
        DataMode::Port | DataMode::Eprt => TcpSession::open(talk, Side::Wan, client_port, DATA_PORT),
        DataMode::Pasv | DataMode::Epsv => TcpSession::open(talk, Side::Lan, client_port, port),
    };
    answer(control, talk, "150 Here it comes.");
    data.send(talk, from, &vec![b'f'; size]);
    data.close(talk, from);
    answer(control, talk, "226 Transfer complete.");
}

fn ask<A: Family>(control: &mut TcpSession, talk: &mut Conversation<A>, command: &str, reply: &str) {
    control.send(talk, Side::Lan, format!("{command}\r\n").as_bytes());
    talk.pause_us(300);
    answer(control, talk, reply);
}

fn answer<A: Family>(control: &mut TcpSession, talk: &mut Conversation<A>, reply: &str) {
    control.send(talk, Side::Wan, format!("{reply}\r\n").as_bytes());
}

/// `h1,h2,h3,h4,p1,p2`.
fn host_and_port<A: Family>(host: A, port: u16) -> String {
    match host.into() {
        IpAddr::V4(host) => {
            let [a, b, c, d] = host.octets();
            format!("{a},{b},{c},{d},{},{}", port >> 8, port & 0xff)
        }
        IpAddr::V6(_) => panic!("PORT and PASV have no words for IPv6; use EPRT and EPSV"),
    }
}
