//! The two ends of the wire: raw sockets, and the fence that goes behind each frame.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt,
    socket, sockopt,
};
use nix::sys::time::TimeVal;

/// Frames kept in a socket until they are read, in bytes: room for a datagram's fragments many times over.
const RECEIVE_BUFFER: usize = 8 << 20;

/// Where frames go in.
pub(super) struct In(OwnedFd);

impl In {
    /// Opens `interface` of the calling thread's namespace.
    pub(super) fn open(interface: &str) -> Result<Self> {
        // Without a protocol the socket receives nothing.
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?;
        bind(socket.as_raw_fd(), &address(interface)?)?;
        Ok(Self(socket))
    }

    /// Sends one frame.
    pub(super) fn send(&self, frame: &[u8]) -> Result<(), Errno> {
        send(self.0.as_raw_fd(), frame, MsgFlags::empty()).map(|_| ())
    }
}

/// Where frames come out.
pub(super) struct Out {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Out {
    /// Opens `interface` of the calling thread's namespace; a read waits `patience` at most.
    pub(super) fn open(interface: &str, patience: Duration) -> Result<Self> {
        let protocol = SockProtocol::EthAll;
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(i64::try_from(patience.as_secs())?, 0))?;
        bind(socket.as_raw_fd(), &address(interface)?)?;
        Ok(Self { socket, buffer: vec![0; 1 << 17] })
    }

    /// Reads up to `fence` and counts the frames before it.
    pub(super) fn frames_before(&mut self, fence: &Fence) -> Result<usize> {
        let mut count = 0;
        loop {
            let size = recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::empty())
                .context("the fence did not come through the bridge")?;
            if self.buffer[..size] == fence.0 {
                return Ok(count);
            }
            count += 1;
        }
    }
}

/// A frame that nobody looks at, with a number.
pub(super) struct Fence([u8; FENCE_LENGTH]);

const FENCE_LENGTH: usize = 60;

impl Fence {
    /// Locally administered addresses, and the local experimental ethertype 1 of IEEE 802.
    const HEADER: [u8; 14] = [0x02, 0xfe, 0, 0, 0, 2, 0x02, 0xfe, 0, 0, 0, 1, 0x88, 0xb5];

    pub(super) fn new(number: u64) -> Self {
        let mut bytes = [0xfe; FENCE_LENGTH];
        bytes[..14].copy_from_slice(&Self::HEADER);
        bytes[14..22].copy_from_slice(&number.to_be_bytes());
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn address(interface: &str) -> Result<LinkAddr> {
    getifaddrs()?
        .filter(|entry| entry.interface_name == interface)
        .find_map(|entry| entry.address?.as_link_addr().copied())
        .with_context(|| format!("no interface {interface}"))
}
