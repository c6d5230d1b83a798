//! Requests to the kernel's netfilter that are answered with an acknowledgement.

use anyhow::{Result, bail, ensure};
use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_netfilter::conntrack::ConntrackMessage;
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterProtoFamily};
use netlink_sys::Socket;
use netlink_sys::constants::NETLINK_NETFILTER;

/// A socket of the calling thread's namespace, to whatever of netfilter.
pub(super) fn open() -> Result<Socket> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    Ok(socket)
}

/// Sends `request` and waits for its acknowledgement; `what` names it in an error.
pub(super) fn ask(socket: &Socket, mut request: NetlinkMessage<NetfilterMessage>, what: &str) -> Result<()> {
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    match NetlinkMessage::<NetfilterMessage>::deserialize(&answer)?.payload {
        NetlinkPayload::Error(error) => {
            ensure!(error.code.is_none(), "{what} is refused: {}", error.to_io());
            Ok(())
        }
        other => bail!("{what}: an answer of another kind: {other:?}"),
    }
}

/// Forgets every flow, and with them what they expect.
pub(super) fn flush(socket: &Socket) -> Result<()> {
    let header = NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, 0);
    let message = NetfilterMessage::new(header, ConntrackMessage::Delete(Vec::new()));
    let mut request = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(message));
    request.header.flags = NLM_F_REQUEST | NLM_F_ACK;
    ask(socket, request, "forgetting all flows")
}
