//! The machine that is measured on: what it is, huge pages on loan, and one core to stay on.

use std::fs;

const RESERVED: &str = "/proc/sys/vm/nr_hugepages";
/// Reserved huge pages that a run makes do with: 2 GiB of 2 MiB pages.
const PAGES: u64 = 1024;
/// Memory that must be left, in KiB.
const LEFT_KIB: u64 = 4 << 20;

/// What a reader of the figures must know.
pub fn facts() -> Vec<(&'static str, String)> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let processor = processor.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    vec![
        ("processor", processor),
        ("cores", cores.to_string()),
        ("kernel", kernel.trim().to_owned()),
        ("dpdk", weir_dpdk::Eal::version()),
    ]
}

/// Stays on the last core, which the system uses least.
pub fn pin_to_last_core() {
    if let Some(core) = core_affinity::get_core_ids().unwrap_or_default().into_iter().next_back() {
        core_affinity::set_for_current(core);
    }
}

/// Which huge pages there are.
pub fn huge_pages() -> String {
    let reserved = read(RESERVED).unwrap_or(0);
    let transparent = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    let transparent = transparent.split(['[', ']']).nth(1).unwrap_or("none").to_owned();
    format!("{reserved} reserved, transparent: {transparent}")
}

/// Huge pages that were reserved for this run, and are given back when it ends.
#[derive(Debug)]
pub struct HugePagesLoan {
    before: u64,
}

impl HugePagesLoan {
    /// Reserves what is missing; `None` where that is not permitted, or would leave the machine too little memory.
    pub fn take() -> Option<Self> {
        let before = read(RESERVED)?;
        let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
        let free = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        let free: u64 = free.split_whitespace().next()?.parse().ok()?;
        if before < PAGES && free > PAGES * 2048 + LEFT_KIB {
            fs::write(RESERVED, PAGES.to_string()).ok()?;
        }
        // The kernel reserves as many as it finds.
        let loan = Self { before };
        (read(RESERVED)? >= PAGES / 2).then_some(loan)
    }
}

impl Drop for HugePagesLoan {
    fn drop(&mut self) {
        if let Err(error) = fs::write(RESERVED, self.before.to_string()) {
            eprintln!("weir-bench: {RESERVED} cannot be set back to {}: {error}", self.before);
        }
    }
}

fn read(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
