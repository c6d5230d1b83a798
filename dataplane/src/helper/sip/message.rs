//! A SIP message as text: headers, contacts, parameters (RFC 3261 7.3, 20, 25).
//!
//! Reads as Linux's helper does, which looks for lines and words and knows no grammar: a header is found wherever a
//! line starts with its name, in the body too; what it needs of it begins behind a word such as `sip:`.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The port of a URI that names none.
const SIP_PORT: u16 = 5060;
/// A port below is nobody's phone.
const PORT_MIN: u32 = 1024;

/// What a phone's URI begins with.
const URI: &str = "sip:";

/// A part of a message: where it begins, and where it ends.
pub(super) type Part = core::ops::Range<usize>;

/// Something is there and cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// Where it is.
    pub(super) at: usize,
}

/// What is read behind a header's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A number.
    Digits,
    /// Behind this word and perhaps a user's name: an address, and perhaps a port.
    User(&'static str),
}

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    name: &'static str,
    compact: Option<&'static str>,
    value: Value,
}

impl Header {
    pub(super) const CSEQ: Self = Self { name: "CSeq", compact: None, value: Value::Digits };
    pub(super) const EXPIRES: Self = Self { name: "Expires", compact: None, value: Value::Digits };
    pub(super) const CONTENT_LENGTH: Self =
        Self { name: "Content-Length", compact: Some("l"), value: Value::Digits };
    pub(super) const CONTACT: Self = Self { name: "Contact", compact: Some("m"), value: Value::User(URI) };
}

/// A message, or the rest of a stream of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) bytes: &'a [u8],
    /// Addresses are looked for in this family only.
    pub(super) ipv6: bool,
}

/// A URI's host and port, and where the text behind them begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Uri {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    /// Behind the address and port as a header's value has them: parameters are looked for from here.
    pub(super) parameters: usize,
    /// The next contact is looked for from here.
    pub(super) end: usize,
}

impl<'a> Message<'a> {
    fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// Whether the text at `at` is `word`, in any case.
    pub(super) fn reads(&self, at: usize, word: &str) -> bool {
        self.bytes.get(at..at + word.len()).is_some_and(|text| text.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// The number that begins at `at`, modulo 2^32, and where it ends.
    pub(super) fn number(&self, at: usize) -> (u32, usize) {
        let digits = self.digits(at);
        let number = self.bytes[digits.clone()]
            .iter()
            .fold(0u32, |number, digit| number.wrapping_mul(10).wrapping_add(u32::from(digit - b'0')));
        (number, digits.end)
    }

    fn digits(&self, at: usize) -> Part {
        let rest = self.bytes.get(at..).unwrap_or_default();
        at..at + rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    }

    /// Where lines start from `from` on: behind each end of a line.
    pub(super) fn lines(self, from: usize) -> impl Iterator<Item = usize> + use<'a> {
        let mut at = from;
        core::iter::from_fn(move || {
            let ends = self.bytes.get(at..)?.iter().position(|byte| is_newline(*byte))?;
            let start = self.behind_newline(at + ends)?;
            // The line's first byte is never taken for the end of a line.
            at = start + 1;
            Some(start)
        })
    }

    /// Behind the end of a line that is at `at`; `None` at the end of the text.
    fn behind_newline(&self, at: usize) -> Option<usize> {
        let both = self.byte(at) == Some(b'\r') && self.byte(at + 1) == Some(b'\n');
        let next = at + 1 + usize::from(both);
        (next < self.bytes.len()).then_some(next)
    }

    /// The text of a line that is folded at `at`; `None` when the next line is one of its own.
    fn continuation(&self, at: usize, limit: usize) -> Option<usize> {
        let next = self.behind_newline(at).filter(|next| *next < limit)?;
        let blanks = self.bytes[next..limit].iter().take_while(|byte| is_blank(**byte)).count();
        (blanks > 0).then_some(next + blanks)
    }

    fn skip_blanks(&self, at: usize) -> Option<usize> {
        let at = at + self.bytes.get(at..)?.iter().take_while(|byte| is_blank(**byte)).count();
        match self.byte(at)? {
            byte if is_newline(byte) => {
                self.continuation(at, self.bytes.len()).filter(|at| *at < self.bytes.len())
            }
            _ => Some(at),
        }
    }

    /// Where `word` stands between `from` and `limit`, in this header with its folded lines. It is not seen when it
    /// is the last thing there.
    pub(super) fn search(&self, from: usize, limit: usize, word: &str) -> Option<usize> {
        let limit = limit.checked_sub(word.len())?;
        let mut at = from;
        while at < limit {
            if is_newline(self.byte(at)?) {
                at = self.continuation(at, limit)?;
            } else if self.reads(at, word) {
                return Some(at);
            }
            at += 1;
        }
        None
    }

    /// The first such header from `from` on: where its value stands.
    pub(super) fn header(&self, from: usize, header: Header) -> Result<Option<Part>, Unreadable> {
        for line in self.lines(from) {
            if self.byte(line).is_some_and(is_blank) {
                continue;
            }
            let Some(behind) = self.behind_name(line, header) else { continue };
            return match self.behind_colon(behind) {
                Some(at) => self.value(at, header.value).map(Some),
                None => Ok(None),
            };
        }
        Ok(None)
    }

    /// Behind the header's name; a compact name must not go on as a longer one.
    fn behind_name(&self, line: usize, header: Header) -> Option<usize> {
        if self.reads(line, header.name) {
            return Some(line + header.name.len());
        }
        let compact = header.compact.filter(|compact| self.reads(line, compact))?;
        let behind = line + compact.len();
        self.byte(behind).filter(|byte| !is_letter(*byte)).map(|_| behind)
    }

    fn behind_colon(&self, at: usize) -> Option<usize> {
        let at = self.skip_blanks(at)?;
        if self.byte(at) != Some(b':') {
            return None;
        }
        self.skip_blanks(at + 1)
    }

    fn value(&self, at: usize, value: Value) -> Result<Part, Unreadable> {
        let part = match value {
            Value::Digits => self.digits(at),
            Value::User(word) => {
                let found = self.search(at, self.bytes.len(), word).ok_or(Unreadable { at })?;
                return self.endpoint(found + word.len()).ok_or(Unreadable { at });
            }
        };
        if part.is_empty() { Err(Unreadable { at }) } else { Ok(part) }
    }

    /// The address, and perhaps a port that a phone can have, that begin at `at` or behind a user's name.
    fn endpoint(&self, at: usize) -> Option<Part> {
        let start = self.behind_user(at);
        let (_, mut end) = self.address(start, true)?;
        if self.byte(end) == Some(b':') {
            (_, end) = self.port(end + 1)?;
        }
        Some(start..end)
    }

    /// The port that begins at `at`, and where it ends.
    fn port(&self, at: usize) -> Option<(u16, usize)> {
        let (number, end) = self.number(at);
        let port = u16::try_from(number).ok().filter(|_| number >= PORT_MIN)?;
        Some((port, end))
    }

    fn behind_user(&self, at: usize) -> usize {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let stop = rest.iter().position(|byte| *byte == b'@' || is_newline(*byte));
        stop.filter(|stop| rest[*stop] == b'@').map_or(at, |stop| at + stop + 1)
    }

    /// The address that begins at `at`, and where it ends. In a URI an IPv6 address stands in brackets.
    pub(super) fn address(&self, at: usize, in_uri: bool) -> Option<(IpAddr, usize)> {
        let rest = self.bytes.get(at..)?;
        if !self.ipv6 {
            let (address, len) = ipv4_prefix(rest)?;
            return Some((address.into(), at + len));
        }
        let opened = usize::from(in_uri && rest.first() == Some(&b'['));
        if in_uri && opened == 0 {
            return None;
        }
        let (address, len) = ipv6_prefix(&rest[opened..])?;
        let end = at + opened + len;
        match self.byte(end) {
            Some(b']') if in_uri => Some((address.into(), end + 1)),
            _ if in_uri => None,
            _ => Some((address.into(), end)),
        }
    }

    /// The first contact from `from` on, passing over those that cannot be read; `None` when there is none.
    /// `among_others`: `from` is within a header that may list another.
    pub(super) fn contact(&self, from: usize, among_others: bool) -> Result<Option<Uri>, Unreadable> {
        match self.contact_part(from, among_others) {
            Some(part) => self.uri(&part).map(Some),
            None => Ok(None),
        }
    }

    fn contact_part(&self, mut from: usize, among_others: bool) -> Option<Part> {
        let mut listed = among_others;
        while listed {
            match self.next_listed(from) {
                Ok(Some(part)) => return Some(part),
                Ok(None) => listed = false,
                // Linux adds the place of the unreadable one to where it was.
                Err(Unreadable { at }) => from += at,
            }
        }
        loop {
            match self.header(from, Header::CONTACT) {
                Ok(part) => return part,
                Err(Unreadable { at }) => from += at,
            }
        }
    }

    /// The next contact behind a comma in the same header.
    fn next_listed(&self, from: usize) -> Result<Option<Part>, Unreadable> {
        let comma = self.search(from, self.bytes.len(), ",");
        let Some(found) = comma.and_then(|comma| self.search(comma, self.bytes.len(), URI)) else {
            return Ok(None);
        };
        let at = found + URI.len();
        self.endpoint(at).map(Some).ok_or(Unreadable { at })
    }

    fn uri(&self, part: &Part) -> Result<Uri, Unreadable> {
        let unreadable = Unreadable { at: part.start };
        let (address, mut end) = self.address(part.start, true).ok_or(unreadable)?;
        let mut port = SIP_PORT;
        if self.byte(end) == Some(b':') {
            (port, end) = self.port(end + 1).ok_or(unreadable)?;
        }
        Ok(Uri { address, port, parameters: part.end, end })
    }

    /// What a parameter of the contact before `from` says.
    pub(super) fn parameter(&self, from: usize, name: &str) -> Option<usize> {
        let limit = self.search(from, self.bytes.len(), ",").unwrap_or(self.bytes.len());
        Some(self.search(from, limit, name)? + name.len())
    }

    /// A number in C's notation, decimal, octal or hexadecimal.
    pub(super) fn c_number(&self, at: usize) -> Option<u32> {
        let rest = self.bytes.get(at..)?;
        let hexadecimal = matches!(rest, [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit());
        let (radix, digits) = match rest {
            _ if hexadecimal => (16, &rest[2..]),
            [b'0', ..] => (8, rest),
            _ => (10, rest),
        };
        let mut values = digits.iter().map_while(|byte| char::from(*byte).to_digit(radix)).peekable();
        values.peek()?;
        Some(values.fold(0u32, |number, digit| number.wrapping_mul(radix).wrapping_add(digit)))
    }
}

/// As Linux sees it: the letters of Latin-1 are some.
pub(super) const fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || (byte >= 0xc0 && byte != 0xd7 && byte != 0xf7)
}

const fn is_newline(byte: u8) -> bool {
    byte == b'\r' || byte == b'\n'
}

const fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// The IPv4 address at the beginning of the text, and its length. Anything may follow but a dot or a letter that
/// could be a digit of an IPv6 address.
fn ipv4_prefix(text: &[u8]) -> Option<(Ipv4Addr, usize)> {
    let mut octets = [0; 4];
    let mut at = 0;
    for (i, octet) in octets.iter_mut().enumerate() {
        if i > 0 {
            (text.get(at) == Some(&b'.')).then_some(())?;
            at += 1;
        }
        let digits = text.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = text[at..at + digits].iter().try_fold(0u32, |number, digit| {
            Some(number * 10 + u32::from(digit - b'0')).filter(|number| *number <= 255)
        })?;
        (digits > 0).then_some(())?;
        *octet = u8::try_from(number).ok()?;
        at += digits;
    }
    let goes_on = text.get(at).is_some_and(|byte| *byte == b'.' || byte.is_ascii_hexdigit());
    (!goes_on).then(|| (octets.into(), at))
}

/// The IPv6 address at the beginning of the text, and its length.
fn ipv6_prefix(text: &[u8]) -> Option<(Ipv6Addr, usize)> {
    let part = |byte: &&u8| byte.is_ascii_hexdigit() || **byte == b':' || **byte == b'.';
    let len = text.iter().take_while(part).count();
    let address = core::str::from_utf8(&text[..len]).ok()?.parse().ok()?;
    Some((address, len))
}
