//! Frames through net_pcap, net_ring and net_null: whole, in order, and every buffer given back.

mod common;

use common::{
    burst_of, bytes, contents, device, eal, open, pool, read_capture, receive, send, write_capture,
};
use std::thread;
use weir_dataplane::port::{Burst, Frame, FrameDefect, RxQueue, TxQueue};
use weir_dpdk::{Mempool, MempoolOptions, Port, PortOptions, RssFields};

#[test]
fn a_capture_comes_out_as_it_went_in() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("in.pcap"), folder.path().join("out.pcap"));
    let frames: Vec<_> = (0..200).map(|i| bytes(60 + 7 * i, i)).collect();
    write_capture(&from, &frames);
    let pool = pool("round_trip", 511, 2048);
    {
        let string = format!("net_pcap_round,rx_pcap={},tx_pcap={}", from.display(), to.display());
        let (port, mut rx, mut tx) = open(&string, &pool);
        let received = receive(&mut rx, usize::MAX);
        assert_eq!(contents(&received), frames);
        assert!(received.iter().all(|frame| frame.defect().is_none()));
        assert_eq!(pool.in_use(), 200);
        send(&mut tx, received);
        let stats = port.stats().unwrap();
        assert_eq!((stats.rx_frames, stats.tx_frames, stats.rx_no_buffer), (200, 200, 0));
    }
    assert_eq!(read_capture(&to), frames);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn timestamps_are_the_captures() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("in.pcap");
    write_capture(&from, &[bytes(60, 1), bytes(60, 2), bytes(60, 3)]);
    let pool = pool("timestamps", 63, 2048);
    let (_port, mut rx, _tx) = open(&format!("net_pcap_time,rx_pcap={}", from.display()), &pool);
    let times: Vec<_> = receive(&mut rx, 3).iter().map(|frame| frame.rx_timestamp_us(*eal())).collect();
    assert_eq!(times, [Some(0), Some(1_000_001), Some(2_000_002)]);
    assert_eq!(pool.frame(&bytes(60, 4)).unwrap().rx_timestamp_us(*eal()), None);
}

#[test]
fn frames_over_a_buffer_are_segmented_and_over_the_mtu_oversize() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("in.pcap");
    write_capture(&from, &[bytes(1522, 1), bytes(1523, 2), bytes(4000, 3), bytes(64, 4)]);
    let pool = pool("defects", 63, 2048);
    {
        let (port, mut rx, _tx) = open(&format!("net_pcap_defects,rx_pcap={}", from.display()), &pool);
        assert_eq!((port.facts().mtu, port.facts().frame_len_max), (1500, 1522));
        let received = receive(&mut rx, usize::MAX);
        let defects: Vec<_> = received.iter().map(Frame::defect).collect();
        assert_eq!(defects, [None, Some(FrameDefect::Oversize), Some(FrameDefect::Segmented), None]);
        assert_eq!(received[2].bytes(), &bytes(4000, 3)[..2048]);
        assert_eq!(pool.in_use(), 5);
    }
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn a_frame_without_a_buffer_is_lost_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("in.pcap");
    let frames: Vec<_> = (0..10).map(|i| bytes(60, i)).collect();
    write_capture(&from, &frames);
    let pool = pool("exhausted", 7, 2048);
    let (port, mut rx, _tx) = open(&format!("net_pcap_exhausted,rx_pcap={}", from.display()), &pool);
    let received = receive(&mut rx, 7);
    assert_eq!(contents(&received), frames[..7]);
    assert_eq!(port.stats().unwrap().rx_no_buffer, 1);
    drop(received);
    assert_eq!(contents(&receive(&mut rx, usize::MAX)), frames[8..]);
}

#[test]
fn queues_work_on_registered_threads() {
    const FRAMES: usize = 50_000;
    let pool = Mempool::new(eal(), "threads", MempoolOptions { frames: 4095, ..Default::default() }).unwrap();
    let (port, mut rx, mut tx) = open("net_ring_threads", &pool);
    let source = pool.clone();
    let sender = thread::spawn(move || {
        let _registration = eal().pin_and_register(None).unwrap();
        let mut burst = Burst::new();
        let mut made = 0;
        while made < FRAMES || !burst.is_empty() {
            while made < FRAMES && !burst.is_full() {
                let Some(frame) = source.frame(&bytes(60, made)) else { break };
                burst.push(frame);
                made += 1;
            }
            tx.transmit(&mut burst);
        }
    });
    let receiver = thread::spawn(move || {
        let _registration = eal().pin_and_register(None).unwrap();
        let mut burst = Burst::new();
        let mut seen = 0;
        while seen < FRAMES {
            rx.receive(&mut burst);
            for frame in &burst {
                assert_eq!(frame.bytes(), bytes(60, seen));
                seen += 1;
            }
            Frame::release(&mut burst);
        }
    });
    sender.join().unwrap();
    receiver.join().unwrap();
    assert_eq!(port.stats().unwrap().rx_frames, FRAMES as u64);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn a_large_buffer_takes_a_large_frame_whole() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("in.pcap");
    let frames = [bytes(16_000, 1), bytes(60, 2)];
    write_capture(&from, &frames);
    let pool = pool("large", 63, 16_384);
    let (_port, mut rx, _tx) = open(&format!("net_pcap_large,rx_pcap={}", from.display()), &pool);
    let received = receive(&mut rx, usize::MAX);
    assert_eq!(contents(&received), frames);
    assert_eq!(received[0].defect(), Some(FrameDefect::Oversize));
}

#[test]
fn a_full_ring_leaves_the_rest_with_the_sender() {
    let pool = pool("full_ring", 2047, 2048);
    {
        let (port, mut rx, mut tx) = open("net_ring_full", &pool);
        let mut sent = Vec::new();
        let mut burst = loop {
            let frames: Vec<_> = (0..64).map(|i| bytes(60, sent.len() + i)).collect();
            let mut burst = burst_of(&pool, &frames);
            let taken = tx.transmit(&mut burst);
            assert_eq!(burst.len(), 64 - taken);
            sent.extend_from_slice(&frames[..taken]);
            if taken < 64 {
                assert_eq!(contents(&burst), frames[taken..]);
                break burst;
            }
        };
        assert_eq!(pool.in_use() as usize, sent.len() + burst.len());
        Frame::release(&mut burst);
        assert!(burst.is_empty());
        assert_eq!(contents(&receive(&mut rx, usize::MAX)), sent);
        assert_eq!(port.stats().unwrap().tx_frames, sent.len() as u64);
    }
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn receiving_appends_and_stops_at_a_full_burst() {
    let pool = pool("append", 255, 2048);
    let (_port, mut rx, mut tx) = open("net_ring_append", &pool);
    tx.transmit(&mut burst_of(&pool, &vec![bytes(60, 1); 64]));
    let mut burst = burst_of(&pool, &vec![bytes(60, 9); 60]);
    assert_eq!(rx.receive(&mut burst), 4);
    assert!(burst.is_full() && burst[59].bytes() == bytes(60, 9) && burst[60].bytes() == bytes(60, 1));
    assert_eq!(rx.receive(&mut burst), 0);
    assert_eq!(pool.in_use(), 124);
}

#[test]
fn net_null_makes_and_swallows_frames() {
    let pool = pool("null", 255, 2048);
    {
        let (port, mut rx, mut tx) = open("net_null_plain,size=100", &pool);
        let mut burst = Burst::new();
        assert_eq!(rx.receive(&mut burst), 64);
        assert!(burst.iter().all(|frame| frame.bytes().len() == 100));
        assert_eq!(tx.transmit(&mut burst), 64);
        assert_eq!(port.facts().driver, "net_null");
    }
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn a_device_with_rss_maps_hashes_to_queues_as_software_does() {
    let pool = pool("rss", 1023, 2048);
    let options = PortOptions { rx_queues: 3, tx_queues: 3, ..PortOptions::default() };
    let (port, rx, _tx) = Port::open("rss", device("net_null_rss"), &options, &pool).unwrap();
    let rss = port.facts().rss.as_ref().unwrap();
    assert_eq!((rx.len(), rss.table.len(), rss.fields), (3, 128, RssFields::Addresses));
    assert!(rss.key.chunks(2).all(|pair| pair == [0x6d, 0x5a]));
    assert!(
        rss.table.iter().enumerate().all(|(slot, queue)| usize::from(*queue) == slot % 3),
        "{:?}",
        rss.table
    );
}
