//! What the gateway says of the flows between two hosts, beside what a host's own Linux says of the same flows.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use weir_tests::conformance::Mode;
use weir_tests::netns::{Namespace, installed};
use weir_tests::process::{Background, wait_until};

use crate::clients::{self, Opener};
use crate::lab::{B4, B6, Between, Lab, Nodes};
use crate::node::{Membership, Plan, Weir};
use crate::servers::Servers;

const PLAN: Plan = Plan {
    number: 1,
    tracking: Mode::All,
    share: "forward",
    between: Between::Bridge,
    membership: Membership::Numbers,
};
const SOON: Duration = Duration::from_secs(10);

/// Seconds by which two clocks may tell a flow's remaining time apart.
const TIMEOUT_TOLERANCE_S: u32 = 3;

/// Packets of protocols that have no programs: one flow each, never answered.
const ODD_PROTOCOLS: &str = "import socket, struct
A, B = '10.77.0.1', '10.77.0.2'
def send(protocol, payload, family=socket.AF_INET, to=B):
    socket.socket(family, socket.SOCK_RAW, protocol).sendto(payload, (to, 0))
def udplite(source, destination):
    header = [source, destination, 8, 0]
    pseudo = struct.unpack('!6H', socket.inet_aton(A) + socket.inet_aton(B) + struct.pack('!HH', 17, 8))  # as Linux verifies it
    total = sum(pseudo) + sum(header)
    header[3] = ~(total + (total >> 16)) & 0xffff
    return struct.pack('!4H', *header)
def sctp(source, destination, tag, chunk):
    header, crc = struct.pack('!HHI', source, destination, tag), 0xffffffff
    for byte in header + bytes(4) + chunk:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return header + struct.pack('<I', crc ^ 0xffffffff) + chunk
send(253, b'experimental')
send(253, b'experimental', socket.AF_INET6, 'fd77::2')
send(50, bytes(24))
send(33, bytes.fromhex('1389138a 04000000 00000000 00000001 00000000'))
send(47, bytes.fromhex('00000800') + bytes(20))
send(136, udplite(4000, 4001))
send(132, sctp(3000, 4000, 0, struct.pack('!BBHIIHHI', 1, 0, 20, 7, 1000, 1, 1, 1)))
send(132, sctp(3001, 4000, 9, struct.pack('!BBHHH', 4, 0, 8, 1, 4)))
";

/// Lets host A's Linux track its own packets, with the FTP helper.
fn track(host: &Namespace) -> Result<()> {
    for iptables in ["iptables-legacy", "ip6tables-legacy"] {
        host.run(&format!("{iptables} -A OUTPUT -m conntrack --ctstate NEW"))?;
        host.run(&format!("{iptables} -t raw -A OUTPUT -p tcp --dport 21 -j CT --helper ftp"))?;
    }
    host.sysctl("net/netfilter/nf_conntrack_tcp_loose", 0)
}

/// A line without the flow's remaining time, and that. Who deleted a flow is told by Linux alone.
fn told(line: &str) -> (String, Option<u32>) {
    let mut timeout_s = None;
    let mut words = Vec::new();
    for word in line.split(" [USERSPACE]").next().unwrap().split_whitespace() {
        // Protocol numbers come first: the third bare number of a line is the time.
        let bare = words.iter().filter(|word: &&&str| word.parse::<u32>().is_ok()).count();
        match word.parse() {
            Ok(number) if bare == 2 && timeout_s.is_none() => timeout_s = Some(number),
            _ => words.push(word),
        }
    }
    (words.join(" "), timeout_s)
}

/// The remaining time of each flow, by its line.
type Listing = BTreeMap<String, Option<u32>>;

fn flows(listing: &str) -> Listing {
    listing.lines().map(told).collect()
}

#[test]
fn flows_are_listed_as_the_kernel_lists_them() {
    if !crate::ready() {
        return;
    }
    installed(&["conntrack", "ip6tables-legacy"]).expect("install what is missing");
    let lab = Lab::new(1, Nodes::HearEachOther).unwrap();
    track(&lab.a).unwrap();
    let weir = Weir::start(&lab.nodes[0], PLAN).unwrap();
    weir.cluster("add", 2).unwrap();
    let servers = Servers::start(&lab.b).unwrap();
    clients::ping(&lab.a).unwrap();
    clients::http(&lab.a, &servers).unwrap();
    clients::dns(&lab.a).unwrap();
    clients::ftp(&lab.a, &servers, Opener::Client, 2).unwrap();
    clients::ftp(&lab.a, &servers, Opener::Server, 2).unwrap();
    lab.a.feed("python3 -", ODD_PROTOCOLS).unwrap();

    let (mut linux, mut ours) = (BTreeMap::new(), BTreeMap::new());
    let agreed = wait_until("the same from both", SOON, || {
        linux = flows(&lab.a.run("conntrack -L -o extended")?);
        ours = flows(&weir.print(&["flows", "--output", "conntrack"])?);
        Ok(linux.keys().eq(ours.keys()))
    });
    agreed.unwrap_or_else(|error| {
        let only = |these: &Listing, those: &Listing| {
            these
                .keys()
                .filter(|line| !those.contains_key(*line))
                .fold(String::new(), |all, line| all + line + "\n")
        };
        let drops = weir.counts().map(|counts| counts.drops);
        panic!(
            "{error:#}; dropped: {drops:?}; only Linux:\n{}only Weir:\n{}",
            only(&linux, &ours),
            only(&ours, &linux)
        );
    });
    assert!(linux.len() > 150, "{} flows", linux.len());
    let words =
        "tcp,udp,udplite,icmp,icmpv6,sctp,gre,dccp,unknown,helper=ftp,TIME_WAIT,CLOSED,HEARTBEAT_SENT";
    for word in words.split(',') {
        assert!(linux.keys().any(|line| line.split(' ').any(|part| part == word)), "no {word}");
    }
    for (line, timeout_s) in &linux {
        let (linux, ours) = (timeout_s.unwrap_or(0), ours[line].unwrap_or(0));
        assert!(linux.abs_diff(ours) <= TIMEOUT_TOLERANCE_S, "{linux} s and {ours} s: {line}");
    }
}

/// Where a connection is while it closes. Which of these an observer sees depends on the order in which it sees
/// packets that cross on the wire; the kernel tells the state at the time of telling, too.
const CLOSING: [&str; 3] = ["FIN_WAIT", "CLOSE_WAIT", "LAST_ACK"];

/// What was told of each flow, in its order but for [`CLOSING`]; a flow goes by its first tuple.
fn stories(log: &str) -> BTreeMap<String, Vec<String>> {
    let mut stories: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let closing = |line: &str| line.contains("[UPDATE]") && CLOSING.iter().any(|state| line.contains(state));
    for line in log.lines().filter(|line| line.contains("src=") && !closing(line)) {
        let (line, _) = told(line);
        let name = line.split_whitespace().filter(|word| word.contains('=')).take(4).collect::<Vec<_>>();
        stories.entry(name.join(" ")).or_default().push(line);
    }
    stories.values_mut().for_each(Vec::dedup);
    stories
}

#[test]
fn events_are_told_as_the_kernel_tells_them() {
    if !crate::ready() {
        return;
    }
    installed(&["conntrack", "ip6tables-legacy"]).expect("install what is missing");
    let lab = Lab::new(1, Nodes::HearEachOther).unwrap();
    track(&lab.a).unwrap();
    let weir = Weir::start(&lab.nodes[0], PLAN).unwrap();
    weir.cluster("add", 2).unwrap();
    let servers = Servers::start(&lab.b).unwrap();
    let mut conntrack = lab.a.command("conntrack");
    let linux = Background::start("conntrack", conntrack.args(["-E", "-o", "extended"])).unwrap();
    let ours = weir.follow(&["--output", "conntrack"]).unwrap();
    wait_until("both to listen", SOON, || {
        lab.a.run(&format!("ping -n -c 1 -W 2 {B4}"))?;
        Ok([&linux, &ours].iter().all(|listener| listener.log().contains("[NEW]")))
    })
    .unwrap();
    for server in [B4, B6] {
        lab.a.run(&format!("dig +short +tries=1 +time=3 @{server} {} A", crate::servers::DNS_NAME)).unwrap();
    }
    clients::ftp(&lab.a, &servers, Opener::Client, 1).unwrap();
    // A refused connection ends at once.
    lab.a.run(&format!("curl --silent http://{B4}:9/")).unwrap_err();
    lab.a.run("conntrack -D -p udp").unwrap();
    weir.ask(&["flows", "delete", "--protocol", "udp"]).unwrap();

    // The first pings may have come before one of the two listened.
    let stories = |listener: &Background| {
        let mut stories = stories(&listener.log());
        stories.retain(|name, _| !name.contains("type=8"));
        stories
    };
    let (mut theirs, mut told) = Default::default();
    let agreed = wait_until("the same from both", SOON, || {
        (theirs, told) = (stories(&linux), stories(&ours));
        Ok(theirs == told && theirs.len() >= 10)
    });
    agreed.unwrap_or_else(|error| {
        let differ = |name: &&String| theirs.get(*name) != told.get(*name);
        for name in theirs.keys().chain(told.keys()).filter(differ) {
            eprintln!("Linux: {:#?}\nWeir: {:#?}", theirs.get(name), told.get(name));
        }
        panic!("{error:#}");
    });
    for word in ["[DESTROY] ipv4 2 udp", "[DESTROY] ipv4 2 tcp", "[UPDATE] ipv6 10 tcp", "helper=ftp"] {
        assert!(theirs.values().flatten().any(|line| line.contains(word)), "no {word}");
    }
    assert!(!ours.log().contains("lost"), "{}", ours.log());
}
