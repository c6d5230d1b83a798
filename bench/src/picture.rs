//! Throughput against the number of flows, as SVG: a line a contender.

use crate::report::Report;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 240.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 56.0;
/// Powers of ten on the horizontal axis.
const DECADES: f64 = 7.0;

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

/// Millions of packets a second at a number of flows.
type Points = Vec<(f64, f64)>;

/// The picture of what was measured; lines without a figure are left out.
pub fn svg(report: &Report) -> String {
    let mpps = |key: &str| report.figure(key).map(|figure| 1000.0 / figure.median());
    let measured = LINES.iter().map(|(title, colour, points)| {
        let points = points.iter().filter_map(|(flows, key)| Some((*flows, mpps(key)?)));
        (*title, *colour, points.collect::<Points>())
    });
    let lines: Vec<(&str, &str, Points)> = measured.filter(|(.., points)| !points.is_empty()).collect();
    let highest = lines.iter().flat_map(|(.., points)| points).map(|(_, mpps)| *mpps).fold(20.0, f64::max);
    let scale = Scale { top: (highest / 20.0).ceil() * 20.0 };

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    scale.axes(&mut svg);
    for (place, (title, colour, points)) in lines.iter().enumerate() {
        scale.line(&mut svg, place, title, colour, points);
    }
    svg.push_str("</svg>\n");
    svg
}

/// From flows and throughput to a place in the picture.
struct Scale {
    top: f64,
}

impl Scale {
    fn x(&self, flows: f64) -> f64 {
        LEFT + flows.log10() / DECADES * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, mpps: f64) -> f64 {
        HEIGHT - BOTTOM - mpps / self.top * (HEIGHT - TOP - BOTTOM)
    }

    fn axes(&self, svg: &mut String) {
        let end = WIDTH - RIGHT;
        for step in 0..=5 {
            let mark = self.top / 5.0 * f64::from(step);
            let at = self.y(mark);
            text(svg, (LEFT - 8.0, at + 4.0), "end", &mark.to_string());
            *svg += &format!("<path d=\"M{LEFT} {at:.1}H{end}\" stroke=\"#ddd\"/>\n");
        }
        for (flows, name) in
            [(1.0, "1"), (1e2, "100"), (1e4, "10 k"), (1e5, "100 k"), (1e6, "1 M"), (1e7, "10 M")]
        {
            text(svg, (self.x(flows), HEIGHT - BOTTOM + 20.0), "middle", name);
        }
        let wire = self.y(14.88);
        *svg += &format!("<path d=\"M{LEFT} {wire:.1}H{end}\" stroke=\"black\" stroke-dasharray=\"4 4\"/>\n");
        text(svg, (end + 12.0, wire + 4.0), "start", "10 Gbit/s at 64 bytes");
        text(svg, (LEFT, TOP - 8.0), "start", "million packets a second, one core");
        text(svg, ((LEFT + end) / 2.0, HEIGHT - 12.0), "middle", "flows, in random order");
    }

    fn line(&self, svg: &mut String, place: usize, title: &str, colour: &str, points: &Points) {
        let places: Vec<(f64, f64)> =
            points.iter().map(|(flows, mpps)| (self.x(*flows), self.y(*mpps))).collect();
        let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        *svg += &format!(
            "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n",
            path.join("L")
        );
        let (x, y) = (WIDTH - RIGHT + 20.0, TOP + 16.0 + 18.0 * place as f64);
        for (x, y) in places.into_iter().chain([(x, y - 4.0)]) {
            *svg += &format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>\n");
        }
        text(svg, (x + 12.0, y), "start", title);
    }
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, what: &str) {
    *svg += &format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{what}</text>\n");
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
