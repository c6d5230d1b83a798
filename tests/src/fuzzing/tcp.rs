//! Segments of one TCP connection, in any order, by the tracker of one connection.
//!
//! An input is: the settings (1 byte), and a list of segments. Numbers are taken from those seen before, so that most
//! segments come near the window.

use super::input::Input;
use crate::packet::{Flags, Mac, TcpOption, eth, packet_of};
use std::net::Ipv4Addr;
use weir_dataplane::config::Tcp as Settings;
use weir_dataplane::counters::DropReason;
use weir_dataplane::track::tcp::{Connection, Effect, Segment, Standing, State};
use weir_dataplane::units::{Direction, Span};
use weir_dataplane::wire::{Tcp, TcpFlags};

const IPV4_HEADER: usize = 20;

pub(super) fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let Some(bits) = input.byte() else { return };
    let settings = Settings {
        loose: bits & 1 != 0,
        be_liberal: bits & 2 != 0,
        ignore_invalid_rst: bits & 4 != 0,
        max_retrans: bits >> 5,
        ..Settings::default()
    };
    let mut flow = Flow { settings, tracked: None, next: [1000, 9000] };
    while let Some(bits) = input.byte() {
        let direction = if bits & 1 == 0 { Direction::Original } else { Direction::Reply };
        let bytes = flow.segment(bits, direction, &mut input);
        let header = Tcp::new(&bytes).expect("a whole header");
        flow.see(direction, &Segment::new(&header, bytes.len() as u32));
    }
}

/// The connection, and what its ends would send next.
struct Flow {
    settings: Settings,
    tracked: Option<(Connection, Standing)>,
    next: [u32; 2],
}

impl Flow {
    /// Header and payload of the segment that `input` describes.
    fn segment(&mut self, bits: u8, direction: Direction, input: &mut Input<'_>) -> Vec<u8> {
        let flags = input.byte().unwrap_or(0);
        let number = |next: u32, kind: u8, input: &mut Input<'_>| match kind % 4 {
            0 | 1 => next,
            2 => next.wrapping_add_signed(i32::from(input.word().cast_signed())),
            _ => input.long(),
        };
        let seq = number(self.next[direction.index()], bits >> 1, input);
        let ack = number(self.next[direction.reversed().index()], bits >> 3, input);
        let window = input.word();
        let length = input.word() % 1461;
        let ip = eth(Mac::host(1), Mac::host(2)).ip(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST);
        let mut tcp = ip.tcp(1, 2).ack(ack).seq(seq).window(window).payload(&vec![0; length.into()]);
        if bits & 0x20 != 0 {
            tcp = tcp
                .option(TcpOption::WindowScale(input.byte().unwrap_or(0)))
                .option(TcpOption::SackPermitted);
        }
        if bits & 0x40 != 0 {
            let left = number(self.next[direction.reversed().index()], 2, input);
            tcp = tcp.option(TcpOption::Sack(left, left.wrapping_add(u32::from(input.word()))));
        }
        let mut bytes = packet_of(&tcp.flags(Flags(0)).build())[IPV4_HEADER..].to_vec();
        bytes[13] = flags;
        let counted = flags & (TcpFlags::SYN.0 | TcpFlags::FIN.0);
        self.next[direction.index()] = seq.wrapping_add(u32::from(length)).wrapping_add(counted.count_ones());
        bytes
    }

    fn see(&mut self, direction: Direction, segment: &Segment<'_>) {
        let Some((mut connection, mut standing)) = self.tracked.take().or_else(|| self.open(segment)) else {
            return;
        };
        let before = connection.state();
        let effect = connection.see(direction, segment, &standing, &self.settings);
        match effect {
            Effect::Refresh { timeout, assured } => {
                assert!(timeout <= self.settings.timeouts.established, "{timeout:?}");
                assert!(!assured || standing.seen_reply, "{effect:?}");
                standing.remaining = timeout;
                standing.assured |= assured;
            }
            Effect::Keep => {
                // Of simultaneous opening the second SYN moves the state without more time.
                let state = connection.state();
                assert!(state == before || state == State::SynSent2, "{before:?} to {state:?}");
            }
            Effect::Delete | Effect::Reopen => return,
            Effect::Invalid { reason, remaining_max } => {
                assert_eq!(connection.state(), before, "{effect:?}");
                let of_tcp = [DropReason::InvalidTcpState, DropReason::InvalidTcpWindow];
                assert!(of_tcp.contains(&reason), "{effect:?}");
                standing.remaining = standing.remaining.min(remaining_max.unwrap_or(Span::MAX));
            }
        }
        standing.seen_reply |= direction == Direction::Reply;
        self.tracked = Some((connection, standing));
    }

    fn open(&self, segment: &Segment<'_>) -> Option<(Connection, Standing)> {
        let connection = Connection::open(segment, self.settings.loose)?;
        Some((connection, Standing::default()))
    }
}
