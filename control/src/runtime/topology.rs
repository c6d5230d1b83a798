//! The processors of this machine, and whether the workers have good places on them.
//!
//! Read once at the start, from sysfs. What the machine does not tell is not complained of.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fmt, fs};

/// One processor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Cpu {
    /// Its NUMA node.
    node: Option<u32>,
    /// The processors of its core, itself among them.
    siblings: Vec<usize>,
    /// The scheduler puts nothing on it by itself.
    isolated: bool,
    /// What sets its frequency.
    governor: Option<String>,
}

/// All processors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Topology {
    cpus: BTreeMap<usize, Cpu>,
}

/// A place that costs the gateway speed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Warning {
    /// Frames cross between sockets.
    OtherNode { worker: usize, cpu: usize, node: u32, port: String, port_node: u32 },
    /// Two workers take turns on one core.
    Shared { workers: [usize; 2], cpus: [usize; 2] },
    /// Other programs may take the core away from a worker that never sleeps.
    NotIsolated { worker: usize, cpu: usize },
    /// The core may slow down.
    Governor { worker: usize, cpu: usize, governor: String },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherNode { worker, cpu, node, port, port_node } => write!(
                f,
                "worker {worker} runs on cpu {cpu} of NUMA node {node}, but port {port} is of node {port_node}: \
                 give it a core of that node in `workers.cores`"
            ),
            Self::Shared { workers: [a, b], cpus: [x, y] } if x == y => {
                write!(f, "workers {a} and {b} share cpu {x}: give each a core of its own in `workers.cores`")
            }
            Self::Shared { workers: [a, b], cpus: [x, y] } => write!(
                f,
                "workers {a} and {b} share a core, cpus {x} and {y} are its threads: give each a core of its own \
                 in `workers.cores`"
            ),
            Self::NotIsolated { worker, cpu } => write!(
                f,
                "worker {worker} polls on cpu {cpu}, which other programs may use as well: isolate it \
                 (`isolcpus={cpu}` on the kernel's command line), or set `workers.idle: backoff`"
            ),
            Self::Governor { worker, cpu, governor } => write!(
                f,
                "worker {worker} runs on cpu {cpu}, whose frequency governor is `{governor}`: set `performance`"
            ),
        }
    }
}

impl Topology {
    /// What sysfs says below `root`, which is `/sys` but in tests.
    pub(super) fn read(root: &Path) -> Self {
        let cpus = root.join("devices/system/cpu");
        let isolated = list(&cpus.join("isolated"));
        let mut topology = Self::default();
        for number in list(&cpus.join("online")) {
            let cpu = cpus.join(format!("cpu{number}"));
            let found = Cpu {
                node: None,
                siblings: list(&cpu.join("topology/thread_siblings_list")),
                isolated: isolated.contains(&number),
                governor: text(&cpu.join("cpufreq/scaling_governor")),
            };
            topology.cpus.insert(number, found);
        }
        let nodes = root.join("devices/system/node");
        for node in list(&nodes.join("online")) {
            for cpu in list(&nodes.join(format!("node{node}/cpulist"))) {
                if let Some(cpu) = topology.cpus.get_mut(&cpu) {
                    cpu.node = u32::try_from(node).ok();
                }
            }
        }
        topology
    }

    /// Whether the scheduler leaves a processor alone.
    pub(super) fn is_isolated(&self, cpu: usize) -> bool {
        self.cpus.get(&cpu).is_some_and(|cpu| cpu.isolated)
    }

    /// The NUMA node of a processor.
    pub(super) fn node(&self, cpu: usize) -> Option<u32> {
        self.cpus.get(&cpu)?.node
    }

    /// What is wrong with these places: a processor for each worker that has one of its own, whether they never
    /// sleep, and the ports with their NUMA nodes.
    pub(super) fn warnings(
        &self,
        places: &[Option<usize>],
        polling: bool,
        ports: &[(&str, Option<u32>)],
    ) -> Vec<Warning> {
        let pinned: Vec<(usize, usize)> =
            places.iter().enumerate().filter_map(|(worker, cpu)| Some((worker, (*cpu)?))).collect();
        let mut warnings = Vec::new();
        for (index, (worker, number)) in pinned.iter().copied().enumerate() {
            let Some(cpu) = self.cpus.get(&number) else { continue };
            warnings.extend(other_nodes(worker, number, cpu, ports));
            for (other, place) in pinned[..index].iter().copied() {
                if place == number || cpu.siblings.contains(&place) {
                    warnings.push(Warning::Shared { workers: [other, worker], cpus: [place, number] });
                }
            }
            if polling && !cpu.isolated {
                warnings.push(Warning::NotIsolated { worker, cpu: number });
            }
            if let Some(governor) = cpu.governor.clone().filter(|governor| governor != "performance") {
                warnings.push(Warning::Governor { worker, cpu: number, governor });
            }
        }
        warnings
    }
}

fn other_nodes(worker: usize, number: usize, cpu: &Cpu, ports: &[(&str, Option<u32>)]) -> Vec<Warning> {
    let Some(node) = cpu.node else { return Vec::new() };
    let other = |(port, port_node): &(&str, Option<u32>)| {
        let port_node = port_node.filter(|port_node| *port_node != node)?;
        Some(Warning::OtherNode { worker, cpu: number, node, port: (*port).to_owned(), port_node })
    };
    ports.iter().filter_map(other).collect()
}

fn text(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// The numbers of a list such as `0-3,8`; none where there is no such file.
fn list(path: &Path) -> Vec<usize> {
    let text = text(path).unwrap_or_default();
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<usize>().ok()?..=last.parse().ok()?)
    };
    text.split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// Two sockets of two cores with two threads each; the last core of each is isolated.
    fn machine() -> (TempDir, Topology) {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join("devices/system").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("cpu/online", "0-7\n");
        write("cpu/isolated", "1,5,3,7\n");
        write("node/online", "0-1\n");
        write("node/node0/cpulist", "0-1,4-5\n");
        write("node/node1/cpulist", "2-3,6-7\n");
        for cpu in 0..8 {
            let (first, second) = (cpu % 4, cpu % 4 + 4);
            write(&format!("cpu/cpu{cpu}/topology/thread_siblings_list"), &format!("{first},{second}\n"));
            write(
                &format!("cpu/cpu{cpu}/cpufreq/scaling_governor"),
                if cpu == 7 { "powersave\n" } else { "performance\n" },
            );
        }
        let topology = Topology::read(root.path());
        (root, topology)
    }

    #[test]
    fn good_places_are_not_complained_of() {
        let (_root, topology) = machine();
        let ports = [("lan", Some(0)), ("wan", None)];
        assert_eq!(topology.warnings(&[Some(1), None], true, &ports), []);
        assert!(topology.is_isolated(1) && !topology.is_isolated(0));
        assert_eq!((topology.node(6), topology.node(8)), (Some(1), None));
    }

    #[test]
    fn each_bad_place_is_named() {
        let (_root, topology) = machine();
        let warnings =
            topology.warnings(&[Some(1), Some(5), Some(2), Some(2), Some(7)], true, &[("lan", Some(0))]);
        let other =
            |worker, cpu| Warning::OtherNode { worker, cpu, node: 1, port: "lan".to_owned(), port_node: 0 };
        let expected = [
            Warning::Shared { workers: [0, 1], cpus: [1, 5] },
            other(2, 2),
            Warning::NotIsolated { worker: 2, cpu: 2 },
            other(3, 2),
            Warning::Shared { workers: [2, 3], cpus: [2, 2] },
            Warning::NotIsolated { worker: 3, cpu: 2 },
            other(4, 7),
            Warning::Governor { worker: 4, cpu: 7, governor: "powersave".to_owned() },
        ];
        assert_eq!(warnings, expected);
        for warning in warnings {
            assert!(warning.to_string().contains("worker"), "{warning}");
        }
    }

    #[test]
    fn workers_that_sleep_need_no_isolated_core_and_a_silent_machine_gives_no_warning() {
        let (_root, topology) = machine();
        assert_eq!(topology.warnings(&[Some(0)], false, &[]), []);
        let silent = Topology::read(Path::new("/nonexistent"));
        assert_eq!(silent.warnings(&[Some(0), Some(0)], true, &[("lan", Some(1))]), []);
    }
}
