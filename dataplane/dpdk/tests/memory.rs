//! Tables on huge pages, by what the kernel says of them. Alone in its process, whose allocator it is.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::sync::Mutex;
use weir_dpdk::memory::{Backing, HUGE_PAGE, Huge, HugePages, tables};

#[global_allocator]
static ALLOCATOR: HugePages = HugePages;

/// The system's huge pages are one for all tests.
static SYSTEM: Mutex<()> = Mutex::new(());

const WORD: u64 = 0x0123_4567_89ab_cdef;

/// A table of so many huge pages, written to the last byte.
fn table(pages: usize) -> Vec<u64> {
    vec![WORD; pages * HUGE_PAGE / 8]
}

/// What the kernel says of the mapping that begins with this table, in bytes: `Rss`, `AnonHugePages` …
fn says(table: &[u64], field: &str) -> usize {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let address = table.as_ptr().addr();
    let start = maps.lines().position(|line| {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let Some((Ok(start), Ok(end))) =
            range.map(|(a, b)| (usize::from_str_radix(a, 16), usize::from_str_radix(b, 16)))
        else {
            return false;
        };
        (start..end).contains(&address)
    });
    let line = maps.lines().skip(start.unwrap()).find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// A few more reserved huge pages for as long as this lives, where this process may ask for them.
struct Reservation {
    before: String,
}

const RESERVED: &str = "/proc/sys/vm/nr_hugepages";

impl Reservation {
    fn new(pages: usize) -> Self {
        let before = fs::read_to_string(RESERVED).unwrap();
        let wanted = before.trim().parse::<usize>().unwrap() + pages;
        if let Err(error) = fs::write(RESERVED, wanted.to_string()) {
            eprintln!("cannot reserve huge pages ({error}): tested with those that are free");
        }
        Self { before }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Err(error) = fs::write(RESERVED, &self.before) {
            eprintln!("huge pages stay as they were: {error}");
        }
    }
}

/// Reserved huge pages that nobody has.
fn free() -> usize {
    let info = fs::read_to_string("/proc/meminfo").unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("HugePages_Free:"));
    line.map_or(0, |count| count.trim().parse().unwrap())
}

#[test]
fn reserved_pages_are_taken_where_there_are_enough() {
    let _guard = SYSTEM.lock().unwrap();
    let _reservation = Reservation::new(8);
    let (free, pages) = (free(), 3);
    let (first, backing) = tables(Huge::Reserved, || table(pages));
    let taken = if free < pages { 0 } else { pages * HUGE_PAGE };
    assert_eq!(
        (backing.reserved, backing.transparent + backing.ordinary + taken),
        (taken, pages * HUGE_PAGE)
    );
    assert_eq!(says(&first, "Private_Hugetlb"), taken);
    drop(first);

    let pages = free + 1;
    if pages > 1 << 9 {
        return eprintln!("{free} huge pages are free: too many to test what happens when they run out");
    }
    let (first, backing) = tables(Huge::Reserved, || table(pages));
    assert_eq!((backing.reserved, backing.transparent + backing.ordinary), (0, pages * HUGE_PAGE));
    assert_eq!((first[0], first.last()), (WORD, Some(&WORD)));
}

#[test]
fn transparent_pages_are_counted_as_the_kernel_counts_them() {
    let _guard = SYSTEM.lock().unwrap();
    let (table, backing) = tables(Huge::Transparent, || table(4));
    assert_eq!(table.as_ptr().addr() % HUGE_PAGE, 0);
    let huge = says(&table, "AnonHugePages").min(4 * HUGE_PAGE);
    assert_eq!(backing, Backing { reserved: 0, transparent: huge, ordinary: 4 * HUGE_PAGE - huge });
    let allowed = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    assert_eq!(huge > 0, !allowed.is_empty() && !allowed.contains("[never]"), "{allowed}");
}

#[test]
fn what_is_filled_as_it_is_touched_takes_no_memory_before() {
    let _guard = SYSTEM.lock().unwrap();
    const PAGES: usize = 8;
    let (mut table, backing) = tables(Huge::Touched, || vec![0u64; PAGES * HUGE_PAGE / 8]);
    assert_eq!((backing.reserved, backing.transparent, backing.ordinary), (0, 0, PAGES * HUGE_PAGE));
    assert!(table.iter().all(|word| *word == 0) && says(&table, "AnonHugePages") == 0);
    table[PAGES * HUGE_PAGE / 16] = WORD;
    assert!(says(&table, "Rss") <= HUGE_PAGE);
    let allowed = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    let huge = if allowed.is_empty() || allowed.contains("[never]") { 0 } else { HUGE_PAGE };
    assert_eq!(says(&table, "AnonHugePages"), huge, "{allowed}");
}

#[test]
fn only_what_lasts_and_is_asked_for_counts() {
    let _guard = SYSTEM.lock().unwrap();
    assert_eq!(tables(Huge::Reserved, || vec![1u8; HUGE_PAGE - 1]).1, Backing::default());
    let (_, backing) = tables(Huge::Transparent, || {
        drop(table(2));
        std::thread::spawn(|| drop(table(2))).join().unwrap();
    });
    assert_eq!(backing, Backing::default());
    let table = table(4);
    let fresh = vec![0u8; 8 * HUGE_PAGE];
    assert!(says(&table, "Rss") >= 4 * HUGE_PAGE && fresh.iter().all(|byte| *byte == 0));
}

#[test]
fn contents_survive_growing_and_shrinking() {
    let _guard = SYSTEM.lock().unwrap();
    let mut bytes: Vec<u32> = Vec::new();
    for n in 0..2_000_000 {
        bytes.push(n);
    }
    bytes.truncate(700_000);
    bytes.shrink_to_fit();
    bytes.truncate(100);
    bytes.shrink_to_fit();
    assert!(bytes.iter().copied().eq(0..100));
}
