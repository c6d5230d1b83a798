//! Frames over a real pair of kernel interfaces, in a network namespace of the test's own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use common::{bytes, contents, device, pool};
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::{Duration, Instant};
use weir_dataplane::port::{Burst, RxQueue, TxQueue};
use weir_dpdk::{Port, PortOptions};

/// Set in the process that runs inside of the namespace.
const INSIDE: &str = "WEIR_TEST_INSIDE";

const SET_UP: &str = "ip link add left type veth peer name right && ip link set left up && ip link set right up && \
                      exec \"$0\" --exact frames_cross_a_veth_pair --nocapture";

#[test]
fn frames_cross_a_veth_pair() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    // Root needs no user namespace, and cannot have one in a changed root.
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let namespaces: &[&str] = if root { &["--net"] } else { &["--map-root-user", "--net"] };
    let status = Command::new("unshare")
        .args(namespaces)
        .args(["sh", "-c", SET_UP])
        .arg(std::env::current_exe().unwrap())
        .env(INSIDE, "1")
        .status()
        .expect("unshare (util-linux) starts");
    assert!(status.success(), "needs the right to make a network namespace, and ip (iproute2): {status}");
}

fn inside() {
    let pool = pool("veth", 4095, 2048);
    let frames: Vec<_> = (0..100).map(|i| bytes(60 + 10 * i, i)).collect();
    {
        let options = PortOptions { rx_queues: 2, tx_queues: 2, ..PortOptions::default() };
        let open = |name, string| Port::open(name, device(string), &options, &pool).unwrap();
        let (left, _, mut tx) = open("left", "net_af_packet0,iface=left,qpairs=2");
        let (right, mut rx, _) = open("right", "net_af_packet1,iface=right,qpairs=2");
        assert_eq!((left.facts().rx_queues, right.facts().tx_queues), (2, 2));
        assert_eq!((left.facts().mtu, left.facts().driver.as_str()), (1500, "net_af_packet"));
        assert!(left.link().unwrap().up);

        let mut received = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(10);
        for frame in &frames {
            let mut burst = common::burst_of(&pool, std::slice::from_ref(frame));
            while tx[0].transmit(&mut burst) == 0 {
                assert!(Instant::now() < deadline, "a frame does not leave");
            }
        }
        while received.len() < frames.len() && Instant::now() < deadline {
            let mut burst = Burst::new();
            for queue in &mut rx {
                queue.receive(&mut burst);
            }
            // The kernel speaks IPv6 on its own: only the test's EtherType counts.
            received.extend(
                contents(&burst.into_iter().collect::<Vec<_>>())
                    .into_iter()
                    .filter(|f| f[12..14] == [0x88, 0xb5]),
            );
        }
        received.sort_by_key(Vec::len);
        assert_eq!(received, frames);
        assert!(right.stats().unwrap().rx_frames >= 100);
    }
    assert_eq!(pool.in_use(), 0);
}
