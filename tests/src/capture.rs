//! Classic pcap files: written here, read by `pcap-parser`.

use anyhow::{Context, Result, anyhow, bail};
use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{LegacyPcapReader, PcapBlockOwned, PcapError};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

const MAGIC_MICROSECONDS: u32 = 0xa1b2_c3d4;
const LINKTYPE_ETHERNET: u32 = 1;
const SNAPLEN: u32 = 65_535;

/// One record of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When, in microseconds since 1970.
    pub at_us: u64,
    /// The frame, as much of it as was captured.
    pub bytes: Vec<u8>,
}

/// Writes Ethernet frames as a capture with microsecond stamps.
pub fn write<'a>(path: &Path, frames: impl IntoIterator<Item = (u64, &'a [u8])>) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    let mut file = BufWriter::new(file);
    write_to(&mut file, frames)
        .and_then(|()| file.flush())
        .with_context(|| format!("cannot write {}", path.display()))
}

fn write_to<'a>(
    file: &mut impl Write,
    frames: impl IntoIterator<Item = (u64, &'a [u8])>,
) -> std::io::Result<()> {
    // Version 2.4; no correction of time zone, no accuracy.
    for field in [MAGIC_MICROSECONDS, 0x0004_0002, 0, 0, SNAPLEN, LINKTYPE_ETHERNET] {
        file.write_all(&field.to_le_bytes())?;
    }
    for (at_us, bytes) in frames {
        let length = bytes.len() as u32;
        for field in [(at_us / 1_000_000) as u32, (at_us % 1_000_000) as u32, length, length] {
            file.write_all(&field.to_le_bytes())?;
        }
        file.write_all(bytes)?;
    }
    Ok(())
}

/// Reads a capture of Ethernet frames, of either byte order and either resolution.
pub fn read(path: &Path) -> Result<Vec<Record>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut reader = LegacyPcapReader::new(1 << 20, file)
        .map_err(|error| anyhow!("{} is not a classic pcap file: {error:?}", path.display()))?;
    let mut records = Vec::new();
    let mut ticks_per_us = 1;
    loop {
        match reader.next() {
            Ok((used, block)) => {
                match block {
                    PcapBlockOwned::LegacyHeader(header) => {
                        ticks_per_us = if header.is_nanosecond_precision() { 1000 } else { 1 };
                    }
                    PcapBlockOwned::Legacy(block) => records.push(Record {
                        at_us: u64::from(block.ts_sec) * 1_000_000 + u64::from(block.ts_usec) / ticks_per_us,
                        bytes: block.data[..block.caplen as usize].to_vec(),
                    }),
                    PcapBlockOwned::NG(_) => bail!("{} is a pcapng file", path.display()),
                }
                reader.consume(used);
            }
            Err(PcapError::Eof) => return Ok(records),
            Err(PcapError::Incomplete(_)) => {
                reader.refill().map_err(|error| anyhow!("cannot read {}: {error:?}", path.display()))?;
            }
            Err(error) => bail!("{} breaks after {} frames: {error:?}", path.display(), records.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("two.pcap");
        let records = [(1_700_000_000_999_999, vec![1; 60]), (1_700_000_001_000_000, vec![2; 1514])]
            .map(|(at_us, bytes)| Record { at_us, bytes });
        write(&path, records.iter().map(|record| (record.at_us, record.bytes.as_slice()))).unwrap();
        assert_eq!(read(&path).unwrap(), records);
    }

    #[test]
    fn a_cut_file_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.pcap");
        write(&path, [(0, &[0; 60][..])]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 7]).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("cut.pcap"), "{error}");
    }
}
