//! Sockets that send by one network interface alone.

use super::trouble::Trouble;
use socket2::{Domain, Protocol, Socket, Type};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

/// Where a check goes: by which interface, to whom.
#[derive(Clone, Copy, Debug)]
pub(in crate::runtime) struct Way<'a> {
    pub(in crate::runtime) device: &'a str,
    pub(in crate::runtime) address: IpAddr,
}

impl Way<'_> {
    /// A TCP connection.
    pub(super) async fn connect(&self, port: u16) -> Result<TcpStream, Trouble> {
        let made = match self.address {
            IpAddr::V4(_) => TcpSocket::new_v4(),
            IpAddr::V6(_) => TcpSocket::new_v6(),
        };
        let socket = self.own(made, |socket, device| socket.bind_device(Some(device)))?;
        let connected = socket.connect((self.address, port).into()).await;
        connected.map_err(|error| Trouble::network(&error))
    }

    /// A UDP socket that hears the server alone.
    pub(super) async fn udp(&self, port: u16) -> Result<UdpSocket, Trouble> {
        let any: IpAddr = match self.address {
            IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        let made = UdpSocket::bind((any, 0)).await;
        let socket = self.own(made, |socket, device| socket.bind_device(Some(device)))?;
        let connected = socket.connect((self.address, port)).await;
        connected.map_err(|error| Trouble::network(&error))?;
        Ok(socket)
    }

    /// A raw socket of ICMP that hears the server alone: tokio knows no such type, and does with it what it does with one
    /// of UDP.
    pub(super) fn icmp(&self) -> Result<UdpSocket, Trouble> {
        let made = match self.address {
            IpAddr::V4(_) => Socket::new(Domain::IPV4, Type::RAW.nonblocking(), Some(Protocol::ICMPV4)),
            IpAddr::V6(_) => Socket::new(Domain::IPV6, Type::RAW.nonblocking(), Some(Protocol::ICMPV6)),
        };
        let socket = self.own(made, |socket, device| socket.bind_device(Some(device)))?;
        let connected = socket.connect(&SocketAddr::from((self.address, 0)).into());
        connected.and_then(|()| UdpSocket::from_std(socket.into())).map_err(|error| Trouble::network(&error))
    }

    /// A new socket, bound to the interface.
    fn own<T>(
        &self,
        made: io::Result<T>,
        bind: impl FnOnce(&T, &[u8]) -> io::Result<()>,
    ) -> Result<T, Trouble> {
        let socket = made.map_err(|error| {
            Trouble::Unable(format!(
                "no socket: {error}; it takes CAP_NET_RAW for echoes, and free file descriptors"
            ))
        })?;
        bind(&socket, self.device.as_bytes()).map_err(|error| {
            Trouble::Unable(format!("no way out by {}: {error}; is this tap there?", self.device))
        })?;
        Ok(socket)
    }
}

/// What tells one question from another, and cannot be guessed.
pub(super) fn nonce() -> [u8; 8] {
    RandomState::new().hash_one("check").to_be_bytes()
}
