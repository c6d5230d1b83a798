//! Where helpers book the flows that they expect, and what an expected flow looks like.
//!
//! The words and rules are those of Linux's expectations (`nf_conntrack_expect`): a destination that is known to the
//! port, a source that may be open, a class with a limit and a time.

pub use crate::subnet::Subnet;

use super::Helper;
use super::pptp::Call;
use crate::config::HelperKind;
use crate::units::Span;
use crate::wire::IpProtocol;
use core::net::{IpAddr, SocketAddr};

/// What a helper can do with expectations, as the master of those it makes.
pub trait Book {
    /// Waits for a flow. The same one expected again by its master begins anew; one more than the class allows takes
    /// the place of the oldest.
    fn expect(&mut self, expected: &Expected) -> Result<Booked, Refused>;

    /// Waits no longer.
    fn withdraw(&mut self, booked: Booked);

    /// The newest expectation of any master that a packet from `source` would fit, active or not. Without a source
    /// only one that is open to all fits.
    fn find(&self, protocol: IpProtocol, source: Option<IpAddr>, destination: SocketAddr) -> Option<Found>;

    /// This flow's own expectations, newest first.
    fn own(&self) -> impl Iterator<Item = (Booked, Expected)>;

    /// Lets an inactive one be used from now on, and wait this long.
    fn activate(&mut self, booked: Booked, timeout: Span);

    /// Lets this flow live this long from now, whatever its protocol says.
    fn refresh(&mut self, timeout: Span);

    /// Names the GRE packets of a PPTP call between this flow's ends by both of its ids; a packet itself has only its
    /// receiver's. A flow has one call named at a time. The same again is fine; another is refused.
    fn map_gre(&mut self, call: Call) -> Result<(), Refused>;

    /// Ends a PPTP call between this flow's ends: whatever call of this flow was named is so no longer, and the GRE
    /// flow of this call ends, or where there is none, what expects it goes. As in Linux, whosever it is.
    fn end_gre(&mut self, call: Call);

    /// Withdraws those of this flow that are not wanted.
    fn withdraw_where(&mut self, mut unwanted: impl FnMut(&Expected) -> bool)
    where
        Self: Sized,
    {
        loop {
            let next = self.own().find(|(_, expected)| unwanted(expected)).map(|(booked, _)| booked);
            let Some(booked) = next else { return };
            self.withdraw(booked);
        }
    }

    /// Waits for two flows, or for none of them. Linux's way with RTP and RTCP: what is expected already counts as
    /// expected.
    fn expect_both(&mut self, first: &Expected, second: &Expected) -> Result<(), Refused> {
        let booked = match self.expect(first) {
            Err(Refused::Taken) => None,
            booked => Some(booked?),
        };
        match (self.expect(second), booked) {
            (Ok(_) | Err(Refused::Taken), _) => Ok(()),
            (Err(refused), booked) => {
                if let Some(booked) = booked {
                    self.withdraw(booked);
                }
                Err(refused)
            }
        }
    }
}

/// An expectation in the book; good as long as the helper looks at one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booked(pub u32);

/// An expectation that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub booked: Booked,
    /// This flow expects it.
    pub own: bool,
    /// Its master's helper.
    pub helper: HelperKind,
    /// Its class among those of that helper.
    pub class: u8,
}

/// Why an expectation was not booked. Linux's errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Another master, or another class, expects the same: `EALREADY`.
    Taken,
    /// A packet could fit this one and one that is there: `EBUSY`.
    Clash,
    /// There is no room: `EMFILE`.
    Full,
}

/// A flow to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// From whom.
    pub source: Source,
    /// From this port (for GRE: with this key); `None`: any.
    pub source_port: Option<u16>,
    /// To whom.
    pub destination: IpAddr,
    /// To this port (for GRE: with this key).
    pub destination_port: u16,
    /// Over this protocol.
    pub protocol: IpProtocol,
    /// Its kind among those of its helper.
    pub class: &'static Class,
    /// The helper that looks into it in turn.
    pub helper: Option<Helper>,
    /// It stays when a packet fits, for more to come: `NF_CT_EXPECT_PERMANENT`.
    pub permanent: bool,
    /// It waits for [`Book::activate`]: `NF_CT_EXPECT_INACTIVE`.
    pub inactive: bool,
    /// Whoever expects the same already will do: `NF_CT_EXP_F_SKIP_MASTER`.
    pub any_master: bool,
}

impl Expected {
    /// One flow from `source`, by any port, to `destination`.
    pub const fn once(
        protocol: IpProtocol,
        source: Source,
        destination: SocketAddr,
        class: &'static Class,
    ) -> Self {
        Self {
            source,
            source_port: None,
            destination: destination.ip(),
            destination_port: destination.port(),
            protocol,
            class,
            helper: None,
            permanent: false,
            inactive: false,
            any_master: false,
        }
    }

    /// Whether a packet from there fits; its destination is the expectation's.
    pub fn fits(&self, address: IpAddr, port: u16) -> bool {
        self.source.contains(address) && self.source_port.is_none_or(|expected| expected == port)
    }

    /// Whether the two are the same to a packet; their destinations are.
    pub fn equals(&self, other: &Self) -> bool {
        self.source == other.source && self.source_port == other.source_port
    }

    /// Whether a packet could fit both; their destinations are the same.
    pub fn clashes(&self, other: &Self) -> bool {
        let ports = match (self.source_port, other.source_port) {
            (Some(one), Some(two)) => one == two,
            _ => true,
        };
        ports && self.source.overlaps(other.source)
    }
}

/// Who may open an expected flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Anybody.
    Any,
    /// This host.
    Host(IpAddr),
    /// The hosts of this network.
    Net(Subnet),
}

impl Source {
    fn contains(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Host(host) => host == address,
            Self::Net(subnet) => subnet.contains(address),
        }
    }

    fn overlaps(self, other: Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Host(host), source) | (source, Self::Host(host)) => source.contains(host),
            (Self::Net(one), Self::Net(two)) => one.contains(two.address) || two.contains(one.address),
        }
    }
}

/// A kind of expectations that a helper makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// Position among those of its helper, from 0.
    pub index: u8,
    /// Expectations of this class that a flow may have at once; one more replaces the oldest.
    pub expectations_max: u8,
    /// How long one waits.
    pub timeout: Span,
}

impl Class {
    /// A class whose expectations wait `timeout_s` seconds.
    pub const fn new(index: u8, expectations_max: u8, timeout_s: u32) -> Self {
        let timeout = match Span::from_s(timeout_s) {
            Some(timeout) => timeout,
            None => Span::MAX,
        };
        Self { index, expectations_max, timeout }
    }
}

/// A book for the tests of helpers: one master's, without limits or time.
#[cfg(test)]
#[derive(Debug)]
pub(super) struct Notes {
    /// In the order they came; `None` where one was withdrawn.
    pub(super) entries: Vec<Option<Expected>>,
    /// What [`Book::find`] finds besides.
    pub(super) of_others: Vec<(Expected, HelperKind)>,
    /// What every [`Book::expect`] answers, if set.
    pub(super) refuse: Option<Refused>,
    /// What every [`Book::map_gre`] answers, if set.
    pub(super) refuse_map: Option<Refused>,
    /// The latest [`Book::refresh`].
    pub(super) refreshed: Option<Span>,
    /// The latest [`Book::map_gre`] that was not refused.
    pub(super) mapped: Option<Call>,
    /// The latest [`Book::end_gre`].
    pub(super) ended: Option<Call>,
    helper: HelperKind,
}

#[cfg(test)]
impl Notes {
    pub(super) fn of(helper: HelperKind) -> Self {
        Self {
            entries: Vec::new(),
            of_others: Vec::new(),
            refuse: None,
            refuse_map: None,
            refreshed: None,
            mapped: None,
            ended: None,
            helper,
        }
    }

    /// Those that wait, oldest first.
    pub(super) fn waiting(&self) -> Vec<Expected> {
        self.entries.iter().flatten().copied().collect()
    }
}

#[cfg(test)]
impl Book for Notes {
    fn expect(&mut self, expected: &Expected) -> Result<Booked, Refused> {
        if let Some(refused) = self.refuse {
            return Err(refused);
        }
        let same = |held: &Expected| {
            let destination = |one: &Expected| (one.protocol, one.destination, one.destination_port);
            destination(held) == destination(expected) && held.equals(expected)
        };
        for entry in &mut self.entries {
            if entry.as_ref().is_some_and(same) {
                *entry = None;
            }
        }
        self.entries.push(Some(*expected));
        Ok(Booked(u32::try_from(self.entries.len() - 1).unwrap()))
    }

    fn withdraw(&mut self, booked: Booked) {
        self.entries[booked.0 as usize] = None;
    }

    fn find(&self, protocol: IpProtocol, source: Option<IpAddr>, destination: SocketAddr) -> Option<Found> {
        let fits = |held: &Expected| {
            (held.protocol, held.destination, held.destination_port)
                == (protocol, destination.ip(), destination.port())
                && match source {
                    Some(source) => held.fits(source, 0),
                    None => held.source == Source::Any && held.source_port.is_none(),
                }
        };
        let own = self.own().find(|(_, held)| fits(held)).map(|(booked, held)| Found {
            booked,
            own: true,
            helper: self.helper,
            class: held.class.index,
        });
        own.or_else(|| {
            let (held, helper) = self.of_others.iter().find(|(held, _)| fits(held))?;
            Some(Found { booked: Booked(u32::MAX), own: false, helper: *helper, class: held.class.index })
        })
    }

    fn own(&self) -> impl Iterator<Item = (Booked, Expected)> {
        let entries = self.entries.iter().enumerate().rev();
        entries.filter_map(|(i, entry)| Some((Booked(u32::try_from(i).ok()?), (*entry)?)))
    }

    fn activate(&mut self, booked: Booked, _: Span) {
        if let Some(entry) = &mut self.entries[booked.0 as usize] {
            entry.inactive = false;
        }
    }

    fn refresh(&mut self, timeout: Span) {
        self.refreshed = Some(timeout);
    }

    fn map_gre(&mut self, call: Call) -> Result<(), Refused> {
        if let Some(refused) = self.refuse_map {
            return Err(refused);
        }
        self.mapped = Some(call);
        Ok(())
    }

    fn end_gre(&mut self, call: Call) {
        self.ended = Some(call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static CLASS: Class = Class::new(0, 1, 300);

    fn from(source: Source, source_port: Option<u16>) -> Expected {
        let destination = "192.0.2.2:2000".parse().unwrap();
        Expected { source_port, ..Expected::once(IpProtocol::UDP, source, destination, &CLASS) }
    }

    fn net(text: &str, prefix_len: u8) -> Source {
        Source::Net(Subnet { address: text.parse().unwrap(), prefix_len })
    }

    fn host(text: &str) -> Source {
        Source::Host(text.parse().unwrap())
    }

    #[test]
    fn a_packet_fits_by_its_source() {
        let address = "10.1.2.3".parse().unwrap();
        for (source, port, fits) in [
            (Source::Any, None, true),
            (Source::Any, Some(7), true),
            (Source::Any, Some(8), false),
            (host("10.1.2.3"), None, true),
            (host("10.1.2.4"), None, false),
            (net("10.1.0.1", 16), None, true),
            (net("10.1.0.1", 24), None, false),
            (net("::", 0), None, false),
            (net("1.2.3.4", 0), None, true),
        ] {
            assert_eq!(from(source, port).fits(address, 7), fits, "{source:?} {port:?}");
        }
    }

    #[test]
    fn two_clash_when_a_packet_could_fit_both() {
        for (one, two, clash) in [
            (from(Source::Any, None), from(host("10.0.0.1"), None), true),
            (from(host("10.0.0.2"), None), from(host("10.0.0.1"), None), false),
            (from(Source::Any, Some(1)), from(Source::Any, Some(2)), false),
            (from(Source::Any, Some(1)), from(Source::Any, None), true),
            (from(net("10.0.0.0", 8), None), from(net("10.9.0.0", 16), None), true),
            (from(net("10.0.0.0", 8), None), from(host("11.9.0.0"), None), false),
        ] {
            assert_eq!(one.clashes(&two), clash, "{one:?} {two:?}");
            assert_eq!(two.clashes(&one), clash, "{one:?} {two:?}");
        }
    }

    #[test]
    fn both_or_neither() {
        let mut notes = Notes::of(HelperKind::Ftp);
        let (rtp, rtcp) = (from(Source::Any, Some(1)), from(Source::Any, Some(2)));
        assert_eq!(notes.expect_both(&rtp, &rtcp), Ok(()));
        assert_eq!(notes.waiting().len(), 2);
        notes.refuse = Some(Refused::Taken);
        assert_eq!(notes.expect_both(&rtp, &rtcp), Ok(()));
        notes.refuse = Some(Refused::Full);
        assert_eq!(notes.expect_both(&rtp, &rtcp), Err(Refused::Full));
        notes.withdraw_where(|expected| expected.source_port == Some(1));
        assert_eq!(notes.waiting(), [rtcp]);
    }
}
