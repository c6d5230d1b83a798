//! The marks of logged packets, read from the kernel's nfnetlink_log.

use std::io::ErrorKind;

use anyhow::{Context, Result};
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_netfilter::nflog::{
    ConfigCmd, ConfigMode, ConfigNla, PacketNla, ULogMessage, config_request,
};
use netlink_packet_netfilter::{NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily};
use netlink_sys::Socket;

use super::netlink;

/// Listens to one NFLOG group of the namespace it was bound in.
pub(super) struct Nflog {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Nflog {
    /// Binds to `group`; every packet is told at once, without its bytes.
    pub(super) fn bind(group: u16) -> Result<Self> {
        let socket = netlink::open()?;
        let settings = vec![ConfigCmd::Bind.into(), ConfigMode::META.into(), ConfigNla::QThresh(1)];
        let request = config_request(NetfilterProtoFamily::Unspec, group, settings);
        netlink::ask(&socket, request, &format!("NFLOG group {group}"))?;
        socket.set_non_blocking(true)?;
        Ok(Self { socket, buffer: vec![0; 1 << 16] })
    }

    /// The marks of the packets logged since the last call.
    pub(super) fn drain(&mut self) -> Result<Vec<u32>> {
        let mut marks = Vec::new();
        loop {
            let size = match self.socket.recv(&mut &mut self.buffer[..], 0) {
                Ok(size) => size,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(marks),
                Err(error) => return Err(error).context("packets may have gone unlogged"),
            };
            let mut rest = &self.buffer[..size];
            while !rest.is_empty() {
                let message = NetlinkMessage::<NetfilterMessage>::deserialize(rest)?;
                // Messages are aligned to 4 bytes.
                let length = (message.header.length as usize).next_multiple_of(4);
                rest = rest.get(length..).unwrap_or_default();
                marks.extend(mark(message));
            }
        }
    }
}

/// The mark of a logged packet; the kernel leaves out a mark of 0. None for other messages.
fn mark(message: NetlinkMessage<NetfilterMessage>) -> Option<u32> {
    let NetlinkPayload::InnerMessage(inner) = message.payload else { return None };
    let NetfilterMessageInner::ULog(ULogMessage::Packet(attributes)) = inner.inner else { return None };
    let mark = attributes.iter().find_map(|attribute| match attribute {
        PacketNla::Mark(mark) => Some(*mark),
        _ => None,
    });
    Some(mark.unwrap_or(0))
}
