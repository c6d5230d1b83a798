//! VIPs for people, and as Linux printed them.

use super::tables::table;
use super::vip::{VipRow, Vips};

/// What `weir vip list` prints.
pub fn vips(answer: &Vips) -> String {
    let head = ["address", "interface", "mac", "hash mode", "nodes", "here", "taken", "left"];
    let mut table = table(&head, &[4, 6, 7]);
    for row in &answer.vips {
        let by_cluster = if row.by_cluster { " (cluster)" } else { "" };
        table.add_row([
            row.address.to_string(),
            row.interface.clone(),
            row.mac.clone(),
            row.hash_mode.clone(),
            row.total_nodes.to_string(),
            format!("{}{by_cluster}", nodes(row)),
            row.taken.to_string(),
            row.left.to_string(),
        ]);
    }
    format!("{table}\n")
}

/// What `weir vip show` prints: what `/proc/net/ipt_CLUSTERIP/ADDRESS` held, which without nodes was nothing at all.
pub fn proc_file(row: &VipRow) -> String {
    if row.local_nodes.is_empty() { String::new() } else { format!("{}\n", nodes(row)) }
}

fn nodes(row: &VipRow) -> String {
    row.local_nodes.iter().map(u16::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(local_nodes: &[u16]) -> VipRow {
        VipRow {
            address: "192.0.2.9".parse().unwrap(),
            interface: "lan".to_owned(),
            mac: "01:00:5e:00:00:20".to_owned(),
            hash_mode: "sourceip".to_owned(),
            total_nodes: 40,
            hash_init: 0,
            local_nodes: local_nodes.to_vec(),
            by_cluster: false,
            taken: 7,
            left: 8,
        }
    }

    #[test]
    fn the_nodes_are_printed_as_in_proc() {
        assert_eq!(proc_file(&row(&[1, 3, 40])), "1,3,40\n");
        assert_eq!(proc_file(&row(&[2])), "2\n");
        assert_eq!(proc_file(&row(&[])), "");
    }

    #[test]
    fn a_vip_is_a_line() {
        let text = vips(&Vips { vips: vec![row(&[1, 2]), VipRow { by_cluster: true, ..row(&[3]) }] });
        let cells = |line: &str| {
            let cells = line.split(['│', '┆']).map(|cell| cell.trim().to_owned());
            cells.filter(|cell| !cell.is_empty()).collect::<Vec<_>>()
        };
        let lines: Vec<Vec<String>> =
            text.lines().filter(|line| line.contains("192.0.2.9")).map(cells).collect();
        let [by_file, by_cluster] = &*lines else { panic!("{text}") };
        let expected = ["192.0.2.9", "lan", "01:00:5e:00:00:20", "sourceip", "40", "1,2", "7", "8"];
        assert_eq!(*by_file, expected);
        assert_eq!(by_cluster[5..], ["3 (cluster)", "7", "8"]);
    }
}
