//! SIP (RFC 3261) with session descriptions (RFC 4566): the media of calls, and calls to registered phones.
//!
//! Reads as Linux's helper does with its usual settings: media and calls are expected from the other end of the
//! signalling only (`sip_direct_media`, `sip_direct_signalling`), and media only to the one that announces them. A
//! request or an answer whose sequence number, contact or media cannot be read is dropped.

mod message;
mod sdp;
mod tests;

use super::{Book, Class, Expected, Helper, Outcome, Segment, Source};
use crate::config::HelperKind;
use crate::units::Span;
use crate::wire::IpProtocol;
use core::net::SocketAddr;
use message::{Header, Message, Unreadable, Uri, is_letter};
use sdp::{Media, Stream, Streams};

static SIGNALLING: Class = Class::new(0, 1, 180);
static AUDIO: Class = Class::new(1, 4, 180);
static VIDEO: Class = Class::new(2, 4, 180);
static IMAGE: Class = Class::new(3, 2, 180);

/// How long signalling may be silent: `sip_timeout`.
const SIGNALLING_TIMEOUT: Span = match Span::from_s(3600) {
    Some(span) => span,
    None => Span::MAX,
};

const VERSION: &str = "SIP/2.0 ";
/// An answer is at least this long.
const STATUS_LEN: usize = "SIP/2.0 200".len();

/// What is remembered of one signalling flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The sequence number of the latest INVITE whose media were booked.
    invite: u32,
    /// The sequence number of the latest REGISTER.
    register: u32,
}

/// What a request, or the answer to it, is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Invite,
    Update,
    Ack,
    Prack,
    Bye,
    Register,
}

impl Method {
    const ALL: [(&'static str, Self); 6] = [
        ("INVITE", Self::Invite),
        ("UPDATE", Self::Update),
        ("ACK", Self::Ack),
        ("PRACK", Self::Prack),
        ("BYE", Self::Bye),
        ("REGISTER", Self::Register),
    ];

    /// The method of a request line.
    fn of_request(message: Message<'_>) -> Option<Self> {
        let found = Self::ALL.into_iter().find(|(name, _)| {
            let behind = message.bytes.get(name.len()..name.len() + 2);
            message.reads(0, name) && behind.is_some_and(|b| b[0] == b' ' && is_letter(b[1]))
        })?;
        Some(found.1)
    }

    /// The method that stands at `at`, behind the sequence number of an answer.
    fn of_answer(message: Message<'_>, at: usize) -> Option<Self> {
        let found = Self::ALL
            .into_iter()
            .find(|(name, method)| !matches!(method, Self::Ack | Self::Bye) && message.reads(at, name))?;
        Some(found.1)
    }
}

/// Looks into one packet: one message of UDP, or as many as stand whole in a segment of TCP.
pub fn inspect<B: Book>(state: &mut State, segment: &Segment<'_>, book: &mut B) -> Outcome {
    let stream = segment.protocol == IpProtocol::TCP;
    if segment.payload.is_empty() || (stream && !segment.established) {
        return Outcome::Pass;
    }
    book.refresh(SIGNALLING_TIMEOUT);
    let mut rest = Message { bytes: segment.payload, ipv6: segment.source.is_ipv6() };
    let mut talk = Talk { state, segment, book };
    if !stream {
        return talk.read(rest);
    }
    if rest.bytes.len() < STATUS_LEN {
        return Outcome::Pass;
    }
    while let Some(len) = framed(rest).filter(|len| *len <= rest.bytes.len()) {
        let (bytes, behind) = rest.bytes.split_at(len);
        if talk.read(Message { bytes, ..rest }) == Outcome::Drop {
            return Outcome::Drop;
        }
        rest.bytes = behind;
    }
    Outcome::Pass
}

/// The length of the first message in a stream, by its `Content-Length`; `None` when its header is not whole.
fn framed(message: Message<'_>) -> Option<usize> {
    const BLANK_LINE: &[u8] = b"\r\n\r\n";
    let part = message.header(0, Header::CONTENT_LENGTH).ok().flatten()?;
    let (body, end) = message.number(part.start);
    let blank = message.bytes[end..].windows(BLANK_LINE.len()).position(|window| window == BLANK_LINE)?;
    (end + blank + BLANK_LINE.len()).checked_add(body as usize)
}

/// One packet of a signalling flow.
struct Talk<'a, B> {
    state: &'a mut State,
    segment: &'a Segment<'a>,
    book: &'a mut B,
}

impl<B: Book> Talk<'_, B> {
    fn read(&mut self, message: Message<'_>) -> Outcome {
        let read = if message.reads(0, VERSION) { self.answer(message) } else { self.request(message) };
        if read.is_ok() { Outcome::Pass } else { Outcome::Drop }
    }

    fn request(&mut self, message: Message<'_>) -> Result<(), Refusal> {
        let Some(method) = Method::of_request(message) else { return Ok(()) };
        let (sequence, _) = sequence(message)?;
        match method {
            Method::Invite => {
                self.forget_media();
                self.expect_media(message)?;
                self.state.invite = sequence;
            }
            Method::Update | Method::Ack | Method::Prack => self.expect_media(message)?,
            Method::Bye => self.forget_media(),
            Method::Register => self.register(message, sequence)?,
        }
        Ok(())
    }

    fn answer(&mut self, message: Message<'_>) -> Result<(), Refusal> {
        if message.bytes.len() < STATUS_LEN {
            return Ok(());
        }
        let (code, _) = message.number(VERSION.len());
        if code == 0 {
            return Err(Refusal);
        }
        let (sequence, end) = sequence(message)?;
        match Method::of_answer(message, end + 1) {
            Some(Method::Register) => self.registered(message, sequence, code),
            Some(_) if (100..300).contains(&code) => self.expect_media(message),
            Some(_) => {
                if sequence == self.state.invite {
                    self.forget_media();
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn forget_media(&mut self) {
        self.book.withdraw_where(|expected| expected.class.index != SIGNALLING.index);
    }

    fn expect_media(&mut self, message: Message<'_>) -> Result<(), Refusal> {
        for stream in Streams::of(message) {
            self.expect_stream(&stream?)?;
        }
        Ok(())
    }

    /// RTP to the port that is announced, RTCP to the next one (RFC 3550 11).
    fn expect_stream(&mut self, stream: &Stream) -> Result<(), Refusal> {
        if stream.address != self.segment.source.ip() {
            return Ok(());
        }
        let class = match stream.media {
            Media::Audio => &AUDIO,
            Media::Video => &VIDEO,
            Media::Image => &IMAGE,
        };
        let peer = self.segment.destination.ip();
        // Both ends of a call may announce it over different flows; it is expected once.
        let announced = SocketAddr::new(stream.address, stream.port);
        let found = self.book.find(IpProtocol::UDP, Some(peer), announced);
        if found.is_some_and(|it| !it.own && it.helper == HelperKind::Sip && it.class == class.index) {
            return Ok(());
        }
        let [rtp, rtcp] = [stream.port & !1, stream.port | 1].map(|port| {
            let destination = SocketAddr::new(stream.address, port);
            let once = Expected::once(IpProtocol::UDP, Source::Host(peer), destination, class);
            Expected { any_master: true, ..once }
        });
        Ok(self.book.expect_both(&rtp, &rtcp)?)
    }

    /// A phone says where calls to it shall come to. They may once the registrar agrees.
    fn register(&mut self, message: Message<'_>, sequence: u32) -> Result<(), Refusal> {
        if self.segment.expected {
            return Ok(());
        }
        let Some(contact) = message.contact(0, false)? else { return Ok(()) };
        if contact.address != self.segment.source.ip() || !self.same_transport(message, &contact) {
            return Ok(());
        }
        if expiry(message, &contact, expires(message))? > 0 {
            let phone = SocketAddr::new(contact.address, contact.port);
            let registrar = Source::Host(self.segment.destination.ip());
            let expected = Expected {
                helper: Some(Helper::Sip(State::default())),
                permanent: true,
                inactive: true,
                ..Expected::once(self.segment.protocol, registrar, phone, &SIGNALLING)
            };
            self.book.expect(&expected)?;
        }
        self.state.register = sequence;
        Ok(())
    }

    fn registered(&mut self, message: Message<'_>, sequence: u32, code: u32) -> Result<(), Refusal> {
        if sequence != self.state.register || (100..200).contains(&code) {
            return Ok(());
        }
        if !(200..300).contains(&code) || !self.accepted(message)? {
            let own = self.book.own().find(|(_, expected)| expected.class.index == SIGNALLING.index);
            if let Some((booked, _)) = own {
                self.book.withdraw(booked);
            }
        }
        Ok(())
    }

    /// Whether one of the contacts that the registrar has is the one that was expected; it may be used from now on.
    fn accepted(&mut self, message: Message<'_>) -> Result<bool, Refusal> {
        let usual = expires(message);
        let mut next = message.contact(0, false)?;
        while let Some(contact) = next {
            if contact.address == self.segment.destination.ip() && self.same_transport(message, &contact) {
                let granted = expiry(message, &contact, usual)?;
                if granted == 0 {
                    return Ok(false);
                }
                if self.activate(&contact, granted) {
                    return Ok(true);
                }
            }
            next = message.contact(contact.end, true)?;
        }
        Ok(false)
    }

    fn activate(&mut self, contact: &Uri, granted_s: u32) -> bool {
        let phone = (self.segment.protocol, contact.address, contact.port);
        let own = self.book.own().find(|(_, expected)| {
            expected.class.index == SIGNALLING.index
                && (expected.protocol, expected.destination, expected.destination_port) == phone
        });
        if let Some((booked, _)) = own {
            self.book.activate(booked, Span::from_s(granted_s).unwrap_or(Span::MAX));
        }
        own.is_some()
    }

    /// Whether a contact is reached over this flow's transport.
    fn same_transport(&self, message: Message<'_>, contact: &Uri) -> bool {
        let ours = if self.segment.protocol == IpProtocol::TCP { "TCP" } else { "UDP" };
        message.parameter(contact.parameters, "transport=").is_none_or(|at| message.reads(at, ours))
    }
}

/// The message cannot be read, or what it announces cannot be booked.
struct Refusal;

impl From<Unreadable> for Refusal {
    fn from(_: Unreadable) -> Self {
        Self
    }
}

impl From<super::Refused> for Refusal {
    fn from(_: super::Refused) -> Self {
        Self
    }
}

/// The sequence number, and where it ends.
fn sequence(message: Message<'_>) -> Result<(u32, usize), Refusal> {
    let part = message.header(0, Header::CSEQ)?.ok_or(Refusal)?;
    let (number, end) = message.number(part.start);
    // A number that overflows to nothing is none.
    if number == 0 && message.bytes.get(part.start) != Some(&b'0') { Err(Refusal) } else { Ok((number, end)) }
}

/// How long contacts are good for that do not say so themselves.
fn expires(message: Message<'_>) -> u32 {
    let part = message.header(0, Header::EXPIRES).ok().flatten();
    part.map_or(0, |part| message.number(part.start).0)
}

/// How long a contact is good for.
fn expiry(message: Message<'_>, contact: &Uri, usual: u32) -> Result<u32, Refusal> {
    match message.parameter(contact.parameters, "expires=") {
        None => Ok(usual),
        Some(at) => message.c_number(at).ok_or(Refusal),
    }
}
