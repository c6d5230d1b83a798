//! Looks a capture over before DPDK reads it.
//!
//! DPDK's net_pcap takes a broken record for the end of the file. So the whole file is walked first: what is
//! wrong is known with its place, and how many frames must come. Both pcap and pcapng.

use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// A buffer that holds any record of an ordinary capture.
const BUFFER_BYTES: usize = 1 << 20;

/// The longest pcapng block that libpcap reads, and so the longest worth a buffer.
const BLOCK_BYTES_MAX: usize = 16 << 20;

/// The longest frame that libpcap takes from a file (`MAXIMUM_SNAPLEN`).
const FRAME_BYTES_MAX: u32 = 262_144;

/// The link type's part of a pcap header; the rest tells of the frame check sequence.
const LINK_TYPE_MASK: i32 = 0x03ff_ffff;

/// A capture that can be replayed, at least up to its damage.
#[derive(Debug)]
pub struct Capture {
    /// Where it is.
    pub path: PathBuf,
    /// Frames before its end or its damage.
    pub frames: u64,
    /// What ends it early.
    pub damage: Option<Damage>,
}

/// Where and how a capture is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// The frame that cannot be read, from 1.
    pub frame: u64,
    /// Where its record begins in the file.
    pub offset: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, frame, offset, reason } = self;
        write!(f, "{}: frame {frame} at byte {offset} cannot be read: {reason}", path.display())
    }
}

/// Why a capture cannot be replayed at all.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// It cannot be opened or read.
    #[error("cannot read the capture {}: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It is something else.
    #[error("{} is not a capture: at byte 0 there is no pcap or pcapng header", .0.display())]
    NotACapture(PathBuf),
    /// Its frames are not Ethernet's.
    #[error("{} has link type {link_type}; only Ethernet (1) can be replayed", .path.display())]
    LinkType {
        /// The file.
        path: PathBuf,
        /// As numbered by tcpdump.org.
        link_type: i32,
    },
}

/// Walks `path` to its end or its damage.
///
/// # Errors
/// See [`CaptureError`]; a file that breaks off after a good header is not one of them.
pub fn scan(path: &Path) -> Result<Capture, CaptureError> {
    let unreadable = |error| CaptureError::Unreadable { path: path.to_owned(), error };
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(unreadable(io::ErrorKind::IsADirectory.into()));
    }
    let mut reader =
        create_reader(BUFFER_BYTES, file).map_err(|_| CaptureError::NotACapture(path.to_owned()))?;
    let mut capture = Capture { path: path.to_owned(), frames: 0, damage: None };
    loop {
        let offset = reader.consumed();
        match step(&mut *reader) {
            Ok(Step::Frame) => capture.frames += 1,
            Ok(Step::Link(Linktype::ETHERNET)) | Ok(Step::Other) => {}
            Ok(Step::Link(Linktype(link_type))) => {
                return Err(CaptureError::LinkType { path: path.to_owned(), link_type });
            }
            Ok(Step::End) => return Ok(capture),
            Err(reason) => {
                let frame = capture.frames + 1;
                capture.damage = Some(Damage { path: path.to_owned(), frame, offset, reason });
                return Ok(capture);
            }
        }
    }
}

enum Step {
    Frame,
    Link(Linktype),
    Other,
    End,
}

/// Takes one record; `Err` says what is wrong with it.
fn step(reader: &mut dyn PcapReaderIterator) -> Result<Step, String> {
    let mut buffer_bytes = BUFFER_BYTES;
    loop {
        match reader.next() {
            Ok((length, block)) => {
                let step = classify(&block)?;
                reader.consume(length);
                return Ok(step);
            }
            Err(PcapError::Eof) => return Ok(Step::End),
            Err(PcapError::Incomplete(_)) => {
                reader.refill().map_err(|_| "the file cannot be read on".to_owned())?;
            }
            Err(PcapError::BufferTooSmall) if buffer_bytes < BLOCK_BYTES_MAX => {
                buffer_bytes *= 4;
                reader.grow(buffer_bytes);
            }
            Err(PcapError::BufferTooSmall) => return Err("its record claims an impossible length".to_owned()),
            Err(PcapError::UnexpectedEof) => {
                return Err("the file ends in the middle of its record".to_owned());
            }
            Err(_) => return Err("its record contradicts itself".to_owned()),
        }
    }
}

fn classify(block: &PcapBlockOwned<'_>) -> Result<Step, String> {
    let frame = |bytes: u32| {
        let fits = bytes <= FRAME_BYTES_MAX;
        fits.then_some(Step::Frame).ok_or_else(|| format!("it claims {bytes} bytes, above {FRAME_BYTES_MAX}"))
    };
    match block {
        PcapBlockOwned::Legacy(record) => frame(record.caplen),
        PcapBlockOwned::LegacyHeader(header) => Ok(Step::Link(Linktype(header.network.0 & LINK_TYPE_MASK))),
        PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => frame(packet.caplen),
        PcapBlockOwned::NG(Block::SimplePacket(_)) => Ok(Step::Frame),
        PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => Ok(Step::Link(interface.linktype)),
        PcapBlockOwned::NG(_) => Ok(Step::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A little-endian pcap header of this link type, then records of these lengths.
    fn pcap(link_type: u32, lengths: &[u32]) -> Vec<u8> {
        let mut file = Vec::new();
        for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, link_type] {
            file.extend_from_slice(&u32::to_le_bytes(word));
        }
        for length in lengths {
            for word in [1, 0, *length, *length] {
                file.extend_from_slice(&u32::to_le_bytes(word));
            }
            file.extend(std::iter::repeat_n(0, *length as usize));
        }
        file
    }

    fn scanned(bytes: &[u8]) -> Result<Capture, CaptureError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("in.pcap");
        std::fs::write(&path, bytes).unwrap();
        scan(&path)
    }

    #[test]
    fn a_whole_capture_is_counted() {
        let capture = scanned(&pcap(1, &[60, 0, 1500])).unwrap();
        assert_eq!((capture.frames, capture.damage), (3, None));
        assert_eq!(scanned(&pcap(1, &[])).unwrap().frames, 0);
        // More than a buffer of it.
        assert_eq!(scanned(&pcap(1, &[1500; 2000])).unwrap().frames, 2000);
    }

    #[test]
    fn a_cut_record_is_named_with_its_place() {
        let mut bytes = pcap(1, &[60, 60, 60]);
        bytes.truncate(bytes.len() - 1);
        let damage = scanned(&bytes).unwrap().damage.unwrap();
        assert_eq!((damage.frame, damage.offset), (3, 24 + 2 * 76));
        bytes.truncate(24 + 76 + 7);
        let capture = scanned(&bytes).unwrap();
        assert_eq!((capture.frames, capture.damage.unwrap().offset), (1, 24 + 76));
    }

    #[test]
    fn an_impossible_length_is_damage() {
        for length in [FRAME_BYTES_MAX + 1, u32::MAX] {
            let mut bytes = pcap(1, &[60, 60]);
            bytes[24 + 76 + 8..][..4].copy_from_slice(&length.to_le_bytes());
            let capture = scanned(&bytes).unwrap();
            assert_eq!(capture.frames, 1);
            assert_eq!(capture.damage.unwrap().frame, 2);
        }
    }

    #[test]
    fn what_is_no_ethernet_capture_is_refused() {
        assert!(matches!(scanned(b""), Err(CaptureError::NotACapture(_))));
        assert!(matches!(scanned(b"GET / HTTP/1.1"), Err(CaptureError::NotACapture(_))));
        assert!(matches!(scanned(&pcap(101, &[])), Err(CaptureError::LinkType { link_type: 101, .. })));
        assert!(matches!(scan(Path::new("/nonexistent")), Err(CaptureError::Unreadable { .. })));
    }
}
