//! A session description in a SIP message: which media come to which address and port (RFC 4566 5.7, 5.14).

use super::message::{Message, Unreadable, is_letter};
use core::net::IpAddr;

/// The kinds of media whose flows are expected, and as many of them as are read in one description.
const MEDIA: [(&[u8], Media); 3] =
    [(b"audio ", Media::Audio), (b"video ", Media::Video), (b"image ", Media::Image)];

/// A port below is no media stream's.
const PORT_MIN: u32 = 1024;

/// A kind of media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    Audio,
    Video,
    Image,
}

/// A stream that somebody is ready to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) media: Media,
    pub(super) address: IpAddr,
    pub(super) port: u16,
}

/// The streams of a message's description, one by one. One that cannot be read ends them.
pub(super) struct Streams<'a> {
    message: Message<'a>,
    /// Where the next media line is looked for; `None` when there is no more.
    from: Option<usize>,
    /// The address of media that have none of their own.
    common: Option<IpAddr>,
    left: usize,
}

impl<'a> Streams<'a> {
    pub(super) fn of(message: Message<'a>) -> Self {
        let from = version(message);
        let common = from.and_then(|from| connection(message, from));
        Self { message, from, common, left: MEDIA.len() }
    }
}

impl Iterator for Streams<'_> {
    type Item = Result<Stream, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.left > 0 {
            let (at, end) = media_line(self.message, self.from?)?;
            let text = &self.message.bytes[at..end];
            let Some((name, media)) = MEDIA.iter().find(|(name, _)| text.starts_with(name)) else {
                self.from = Some(end);
                continue;
            };
            let at = at + name.len();
            self.from = Some(at);
            let (port, _) = self.message.number(at);
            // The stream is described and not wanted (RFC 3264 5.1).
            if port == 0 {
                continue;
            }
            self.left -= 1;
            let unreadable = Unreadable { at };
            let port = u16::try_from(port).ok().filter(|_| port >= PORT_MIN);
            let stream = port
                .zip(connection(self.message, at).or(self.common))
                .map(|(port, address)| Stream { media: *media, address, port });
            return Some(stream.ok_or(unreadable));
        }
        None
    }
}

/// Where the description begins, behind `v=0`.
fn version(message: Message<'_>) -> Option<usize> {
    let at = message.lines(0).find(|line| message.reads(*line, "v="))? + 2;
    let (_, end) = message.number(at);
    (end > at).then_some(at)
}

/// The address of the next connection line, unless a media line comes first.
fn connection(message: Message<'_>, from: usize) -> Option<IpAddr> {
    let line = message.lines(from).find(|line| message.reads(*line, "m=") || message.reads(*line, "c="))?;
    if !message.reads(line, "c=") {
        return None;
    }
    let word: &[u8] = if message.ipv6 { b"IN IP6 " } else { b"IN IP4 " };
    let rest = &message.bytes[line + 2..];
    let rest = &rest[..rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len())];
    let at = rest.windows(word.len()).position(|window| window == word)?;
    message.address(line + 2 + at + word.len(), false).map(|(address, _)| address)
}

/// The next media line: its text from the kind of media to the end of the port. `None` too when it has another form.
fn media_line(message: Message<'_>, from: usize) -> Option<(usize, usize)> {
    let at = message.lines(from).find(|line| message.reads(*line, "m="))? + 2;
    let letters = message.bytes[at..].iter().take_while(|byte| is_letter(**byte)).count();
    let port = at + letters + 1;
    (message.bytes.get(port - 1) == Some(&b' ')).then(|| (at, message.number(port).1))
}
