//! One EAL for all tests of a process, and captures to feed it with.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::expect_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use weir_dataplane::port::{Burst, Frame, RxQueue, TxQueue};
use weir_dpdk::{Device, Eal, EalOptions, Mbuf, Memory, Mempool, MempoolOptions, Port, PortOptions};

/// The EAL of this process: ordinary memory, no PCI.
pub(crate) fn eal() -> &'static Eal {
    static EAL: OnceLock<Eal> = OnceLock::new();
    EAL.get_or_init(|| {
        Eal::init(&EalOptions {
            memory: Memory::NoHuge { mb: 256 },
            file_prefix: "weir-test".to_owned(),
            ..EalOptions::default()
        })
        .expect("the EAL starts")
    })
}

/// A pool whose name is the test's.
pub(crate) fn pool(name: &str, frames: u32, frame_len_max: u16) -> Mempool {
    Mempool::new(eal(), name, MempoolOptions { frames, frame_len_max, cache: 0 }).expect("a pool")
}

pub(crate) fn device(device: &str) -> Device {
    eal().probe(device).expect("a device")
}

/// A port with one queue each way and otherwise default options.
pub(crate) fn open(string: &str, pool: &Mempool) -> (Port, weir_dpdk::RxQueue, weir_dpdk::TxQueue) {
    let (port, mut rx, mut tx) =
        Port::open("port", device(string), &PortOptions::default(), pool).expect("a port");
    (port, rx.remove(0), tx.remove(0))
}

/// A frame of `len` bytes that differs from others by its seed; a local experimental EtherType.
pub(crate) fn bytes(len: usize, seed: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..len).map(|i| (31 * i + seed).to_le_bytes()[0]).collect();
    bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
    bytes
}

pub(crate) fn burst_of(pool: &Mempool, frames: &[Vec<u8>]) -> Burst<Mbuf> {
    frames.iter().map(|bytes| pool.frame(bytes).expect("a buffer")).collect()
}

/// What is there to receive, until `count` frames have come or the queue is empty.
pub(crate) fn receive(rx: &mut weir_dpdk::RxQueue, count: usize) -> Vec<Mbuf> {
    let mut frames = Vec::new();
    let mut burst = Burst::new();
    while frames.len() < count && rx.receive(&mut burst) > 0 {
        frames.extend(burst.drain(..));
    }
    frames
}

/// Sends all, or fails.
pub(crate) fn send(tx: &mut weir_dpdk::TxQueue, frames: Vec<Mbuf>) {
    let mut frames = frames.into_iter();
    loop {
        let mut burst: Burst<Mbuf> = frames.by_ref().take(64).collect();
        if burst.is_empty() {
            return;
        }
        let len = burst.len();
        assert_eq!(tx.transmit(&mut burst), len);
    }
}

pub(crate) fn contents(frames: &[Mbuf]) -> Vec<Vec<u8>> {
    frames.iter().map(|frame| frame.bytes().to_vec()).collect()
}

/// Writes a capture of these frames; frame `i` is from second `i` and microsecond `i`.
pub(crate) fn write_capture(path: &Path, frames: &[Vec<u8>]) {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1] {
        file.extend(word.to_le_bytes());
    }
    for (i, frame) in frames.iter().enumerate() {
        let [i, len] = [i, frame.len()].map(|number| u32::try_from(number).expect("a small capture"));
        for word in [i, i, len, len] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    fs::write(path, file).expect("a capture");
}

pub(crate) fn read_capture(path: &Path) -> Vec<Vec<u8>> {
    let file = fs::read(path).expect("a capture");
    let capture = pcap_parser::parse_pcap(&file).expect("a whole capture").1;
    capture.blocks.iter().map(|block| block.data.to_vec()).collect()
}
