//! What the tests of the `weir` command share: running it, frames, captures.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    reason = "each test uses a part of it; a test ends where something is not as it must be"
)]

use std::path::Path;
use std::process::{Command, Output};

/// Runs `weir` to its end.
pub(crate) fn weir<I: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = I>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir")).args(arguments).output().unwrap()
}

/// What it said on standard output.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What it said on standard error.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A UDP packet between 10.0.0.`source` and 10.0.0.`destination`, with `payload` bytes and no UDP checksum.
pub(crate) fn udp(source: (u8, u16), destination: (u8, u16), payload: usize) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, destination.0, 2, 0, 0, 0, 0, source.0, 8, 0];
    let total = (20 + 8 + payload) as u16;
    let mut ip = vec![0x45, 0];
    ip.extend(total.to_be_bytes());
    ip.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, source.0, 10, 0, 0, destination.0]);
    sum_up(&mut ip);
    frame.extend(ip);
    for half in [source.1, destination.1, (8 + payload) as u16, 0] {
        frame.extend(half.to_be_bytes());
    }
    frame.resize(frame.len() + payload, 0);
    frame
}

/// Writes the checksum of an IPv4 header that has none.
fn sum_up(header: &mut [u8]) {
    let sum: u32 = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    header[10..12].copy_from_slice(&(!folded as u16).to_be_bytes());
}

/// A frame of [`udp`] in two fragments, of which the first holds `cut` bytes, a multiple of 8.
pub(crate) fn fragments(frame: &[u8], cut: usize) -> [Vec<u8>; 2] {
    let (headers, carried) = frame.split_at(34);
    let (first, last) = carried.split_at(cut);
    [(first, 0x2000), (last, (cut / 8) as u16)].map(|(part, place)| {
        let mut headers = headers.to_vec();
        headers[16..18].copy_from_slice(&((20 + part.len()) as u16).to_be_bytes());
        headers[20..22].copy_from_slice(&place.to_be_bytes());
        headers[24..26].fill(0);
        sum_up(&mut headers[14..]);
        [headers, part.to_vec()].concat()
    })
}

/// A pcap file of Ethernet frames, each with its time in milliseconds.
pub(crate) fn pcap<'a>(frames: impl IntoIterator<Item = (u32, &'a [u8])>) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.extend(word.to_le_bytes());
    }
    for (time_ms, frame) in frames {
        let length = frame.len() as u32;
        for word in [time_ms / 1000, time_ms % 1000 * 1000, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

/// A pcapng file of the same.
pub(crate) fn pcapng<'a>(frames: impl IntoIterator<Item = (u32, &'a [u8])>) -> Vec<u8> {
    let mut file = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let length = (12 + body.len()) as u32;
        file.extend(kind.to_le_bytes());
        file.extend(length.to_le_bytes());
        file.extend(body);
        file.extend(length.to_le_bytes());
    };
    block(0x0a0d_0d0a, &[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
    block(1, &[1, 0, 0, 0, 0, 0, 4, 0]);
    for (time_ms, frame) in frames {
        let time_us = u64::from(time_ms) * 1000;
        let length = frame.len() as u32;
        let mut body = Vec::new();
        for word in [0, (time_us >> 32) as u32, time_us as u32, length, length] {
            body.extend(word.to_le_bytes());
        }
        body.extend(frame);
        body.resize(body.len().next_multiple_of(4), 0);
        block(6, &body);
    }
    file
}

/// The frames of a little-endian pcap file.
pub(crate) fn frames_of(path: &Path) -> Vec<Vec<u8>> {
    let file = std::fs::read(path).unwrap();
    let (mut frames, mut rest) = (Vec::new(), &file[24..]);
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        frames.push(rest[16..16 + length].to_vec());
        rest = &rest[16 + length..];
    }
    frames
}
