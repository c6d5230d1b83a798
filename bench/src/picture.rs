//! Throughput against the number of flows, as SVG: a line a contender.

use crate::report::Report;
use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 240.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 56.0;

/// A line: its title, its colour, and its points as flows and the key of a figure in nanoseconds.
type Line = (&'static str, &'static str, &'static [(f64, &'static str)]);

const LINES: &[Line] = &[
    (
        "Weir, whole pipeline",
        "#c0392b",
        &[
            (1.0, "established_1"),
            (1e4, "established_10k"),
            (1e5, "established_100k"),
            (1e6, "established_1m"),
            (1e7, "established_10m"),
        ],
    ),
    (
        "Weir, table alone",
        "#e59866",
        &[
            (1.0, "flow_table_1"),
            (1e4, "flow_table_10k"),
            (1e5, "flow_table_100k"),
            (1e6, "flow_table_1m"),
            (1e7, "flow_table_10m"),
        ],
    ),
    (
        "rte_hash, look-up and touch",
        "#2471a3",
        &[(1.0, "rte_hash_1"), (1e4, "rte_hash_10k"), (1e5, "rte_hash_100k"), (1e6, "rte_hash_1m")],
    ),
    (
        "hashbrown, look-up and touch",
        "#7d6608",
        &[(1.0, "hashbrown_1"), (1e4, "hashbrown_10k"), (1e5, "hashbrown_100k"), (1e6, "hashbrown_1m")],
    ),
    ("weir over net_pcap", "#7b241c", &[(4096.0, "weir_pcap_4k_ns"), (65536.0, "weir_pcap_64k_ns")]),
    (
        "testpmd macswap over net_pcap",
        "#1e8449",
        &[(4096.0, "testpmd_macswap_pcap_4k_ns"), (65536.0, "testpmd_macswap_pcap_64k_ns")],
    ),
];

/// The picture of what was measured; lines without a figure are left out.
pub fn svg(report: &Report) -> String {
    let mpps = |key: &str| report.figure(key).map(|figure| 1000.0 / figure.median());
    let lines: Vec<(&str, &str, Vec<(f64, f64)>)> = LINES
        .iter()
        .map(|(title, colour, points)| {
            let points = points.iter().filter_map(|(flows, key)| Some((*flows, mpps(key)?)));
            (*title, *colour, points.collect::<Vec<_>>())
        })
        .filter(|(_, _, points)| !points.is_empty())
        .collect();
    let highest = lines.iter().flat_map(|(.., points)| points).map(|(_, mpps)| *mpps).fold(20.0, f64::max);
    let top = (highest / 20.0).ceil() * 20.0;
    let x = |flows: f64| LEFT + flows.log10() / 7.0 * (WIDTH - LEFT - RIGHT);
    let y = |mpps: f64| HEIGHT - BOTTOM - mpps / top * (HEIGHT - TOP - BOTTOM);

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    let mut mark = 0.0;
    while mark <= top {
        let (at, end) = (y(mark), WIDTH - RIGHT);
        let _ = writeln!(svg, "<path d=\"M{LEFT} {at:.1}H{end}\" stroke=\"#ddd\"/>");
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{mark}</text>",
            LEFT - 8.0,
            at + 4.0
        );
        mark += top / 5.0;
    }
    for (flows, name) in
        [(1.0, "1"), (1e2, "100"), (1e4, "10 k"), (1e5, "100 k"), (1e6, "1 M"), (1e7, "10 M")]
    {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{name}</text>",
            x(flows),
            HEIGHT - BOTTOM + 20.0
        );
    }
    let wire = y(14.88);
    let _ = writeln!(
        svg,
        "<path d=\"M{LEFT} {wire:.1}H{:.1}\" stroke=\"black\" stroke-dasharray=\"4 4\"/>\n\
         <text x=\"{:.1}\" y=\"{:.1}\">10 Gbit/s at 64 bytes</text>",
        WIDTH - RIGHT,
        WIDTH - RIGHT + 12.0,
        wire + 4.0
    );
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">flows, in random order</text>\n\
         <text x=\"16\" y=\"{:.1}\" transform=\"rotate(-90 16 {0:.1})\" text-anchor=\"middle\">million packets a second, one core</text>",
        LEFT + (WIDTH - LEFT - RIGHT) / 2.0,
        HEIGHT - 12.0,
        HEIGHT / 2.0
    );
    for (i, (title, colour, points)) in lines.iter().enumerate() {
        let path: Vec<String> =
            points.iter().map(|(flows, mpps)| format!("{:.1} {:.1}", x(*flows), y(*mpps))).collect();
        let _ = writeln!(
            svg,
            "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join("L")
        );
        for (flows, mpps) in points {
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                x(*flows),
                y(*mpps)
            );
        }
        let at = TOP + 16.0 + 18.0 * i as f64;
        let _ = writeln!(
            svg,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{at:.1}\">{title}</text>",
            WIDTH - RIGHT + 20.0,
            at - 4.0,
            WIDTH - RIGHT + 32.0
        );
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::{Figure, Unit};

    #[test]
    fn a_line_is_drawn_for_each_contender_that_was_measured() {
        let figure = |key: &str, ns| Figure::new(key, "", Unit::Ns, vec![ns]);
        let figures = vec![figure("established_1", 12.5), figure("established_1m", 25.0)];
        let svg = svg(&Report { figures, ..Report::default() });
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("Weir, whole pipeline") && !svg.contains("testpmd"));
        // 80 Mpps is the top.
        assert!(svg.contains(&format!("M{LEFT:.1} {TOP:.1}L")), "{svg}");
    }
}
