//! What it costs to read a frame, with and without its checksum.
#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use weir_dataplane::parse::{Class, Offload, Rules, parse};
use weir_tests::packet::{Mac, eth};

fn frames() -> Vec<(&'static str, Vec<u8>)> {
    let link = || eth(Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
    let (a, b) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(192, 0, 2, 1));
    let (c, d) = (Ipv6Addr::LOCALHOST, Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
    let quoted = link().ip(a, b).tcp(1024, 80).seq(1).syn().build();
    vec![
        ("tcp4_64", link().ip(a, b).tcp(1024, 80).seq(1).ack(1).payload(&[0; 10]).build()),
        ("tcp4_1500", link().ip(a, b).tcp(1024, 80).seq(1).ack(1).payload(&[7; 1446]).build()),
        ("tcp6_84", link().ip(c, d).tcp(1024, 80).seq(1).ack(1).payload(&[0; 10]).build()),
        ("udp4_64", link().ip(a, b).udp(1024, 53).payload(&[0; 22]).build()),
        ("vlan_udp4_64", link().vlan(7).ip(a, b).udp(1024, 53).payload(&[0; 18]).build()),
        ("icmp_error", link().ip(b, a).icmp(3, 1, [0; 4]).quote(&quoted, 28).build()),
    ]
}

fn bench(criterion: &mut Criterion) {
    for checksum in [true, false] {
        let name = if checksum { "parse, checksums verified" } else { "parse, no checksums" };
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(1));
        group.measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(300));
        let rules = Rules { checksum, vlan_tags_max: 2, ..Rules::default() };
        for (name, frame) in frames() {
            let class = parse(&frame, rules, Offload::default()).class;
            assert!(matches!(class, Class::Flow(_) | Class::IcmpError), "{name}: {class:?}");
            group.bench_function(name, |bencher| {
                bencher.iter(|| parse(black_box(&frame), rules, Offload::default()));
            });
        }
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
