//! Huge pages under the workers' tables.
//!
//! A table of a million flows lies on more ordinary pages than a processor keeps the addresses of; each look-up would
//! then wait twice, for the address and for the line. [`HugePages`] is an allocator for the whole process. It gives
//! what is large and asked for within [`tables`] huge pages, and has them filled at once, by the calling thread: so
//! they are of the NUMA node that the thread runs on, and no packet waits for a page. Tables that are mostly empty are
//! filled as they are touched. Everything else it leaves as it is: small pieces are the system allocator's, large ones
//! outside of [`tables`] a mapping of ordinary pages each.
//!
//! Where there are no huge pages ordinary ones do; [`Backing`] says what it came to.

use core::cell::Cell;
use core::ptr::{NonNull, null_mut};
use std::alloc::{GlobalAlloc, Layout, System};
use std::{fs, io};

/// The size of a huge page, and of the smallest piece of memory that is worth one.
pub const HUGE_PAGE: usize = 2 << 20;

/// Pieces that one [`tables`] keeps the books of.
const PIECES_MAX: usize = 64;

/// An allocator that puts tables on huge pages: `#[global_allocator] static ALLOCATOR: HugePages = HugePages;`
#[derive(Clone, Copy, Debug, Default)]
pub struct HugePages;

/// Which huge pages to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Huge {
    /// Those that the system has reserved (hugetlb); transparent ones where these are too few.
    Reserved,
    /// Transparent ones.
    Transparent,
    /// Transparent ones that are filled as they are touched: for what is large and mostly empty.
    Touched,
}

/// What large tables lie on, in bytes. All are 0 where nothing was large, or where [`HugePages`] is not the allocator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backing {
    /// Reserved huge pages (hugetlb).
    pub reserved: usize,
    /// Transparent huge pages.
    pub transparent: usize,
    /// Ordinary pages.
    pub ordinary: usize,
}

/// Runs `make` and puts the large pieces of memory that it allocates on this thread on huge pages. Answers what
/// became of those that are still there.
pub fn tables<T>(huge: Huge, make: impl FnOnce() -> T) -> (T, Backing) {
    let outer = BOOKS.replace(Some(Books { huge, pieces: [None; PIECES_MAX] }));
    let made = make();
    let books = BOOKS.replace(outer);
    (made, books.map_or_else(Backing::default, |books| books.backing()))
}

#[derive(Clone, Copy)]
struct Piece {
    start: usize,
    len: usize,
    reserved: bool,
}

/// What a [`tables`] under way has allocated.
#[derive(Clone, Copy)]
struct Books {
    huge: Huge,
    pieces: [Option<Piece>; PIECES_MAX],
}

thread_local! {
    // Has no destructor and allocates nothing, as an allocator needs it.
    static BOOKS: Cell<Option<Books>> = const { Cell::new(None) };
}

impl Books {
    fn add(&mut self, piece: Piece) {
        if let Some(slot) = self.pieces.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(piece);
        }
    }

    fn remove(&mut self, start: usize) {
        for slot in &mut self.pieces {
            *slot = slot.filter(|piece| piece.start != start);
        }
    }

    fn backing(&self) -> Backing {
        let (reserved, others): (Vec<&Piece>, Vec<&Piece>) =
            self.pieces.iter().flatten().partition(|p| p.reserved);
        let all: usize = others.iter().map(|piece| piece.len).sum();
        let maps = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
        let transparent = transparent_bytes(&maps, &others).min(all);
        Backing {
            reserved: reserved.iter().map(|piece| piece.len).sum(),
            transparent,
            ordinary: all - transparent,
        }
    }
}

/// How much of `pieces` lies on transparent huge pages, by what the kernel says of the mappings that they are in. A
/// mapping may be several pieces at once.
fn transparent_bytes(smaps: &str, pieces: &[&Piece]) -> usize {
    let (mut within, mut bytes) = (0, 0);
    for line in smaps.lines() {
        if let Some((start, end)) = mapping(line) {
            let shared =
                |piece: &&Piece| end.min(piece.start + piece.len).saturating_sub(start.max(piece.start));
            within = pieces.iter().map(shared).sum();
        } else if let Some(kb) = line.strip_prefix("AnonHugePages:") {
            let kb: usize = kb.trim().trim_end_matches("kB").trim_end().parse().unwrap_or(0);
            bytes += within.min(kb << 10);
        }
    }
    bytes
}

/// `7f2a00000000-7f2a00400000 rw-p …`: where a mapping begins and ends.
fn mapping(line: &str) -> Option<(usize, usize)> {
    let (start, end) = line.split_once(' ')?.0.split_once('-')?;
    Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
}

/// Whether a piece of memory is a mapping of its own. What it was allocated with decides, so that it needs no
/// remembering.
const fn is_mapped(layout: Layout) -> bool {
    layout.size() >= HUGE_PAGE && layout.align() <= HUGE_PAGE
}

// SAFETY: what is not mapped is the system allocator's, as the layout alone decides; a mapping is as long and as
// aligned as its layout asks, is nobody else's, and lasts until it is given back.
unsafe impl GlobalAlloc for HugePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_mapped(layout) {
            return allocate(layout.size().next_multiple_of(HUGE_PAGE));
        }
        // SAFETY: the caller keeps `alloc`'s contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_mapped(layout) {
            // A new mapping is zero.
            return allocate(layout.size().next_multiple_of(HUGE_PAGE));
        }
        // SAFETY: the caller keeps `alloc_zeroed`'s contract, which is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        if is_mapped(layout) {
            with_books(|books| books.remove(start.addr()));
            unmap(start, layout.size().next_multiple_of(HUGE_PAGE));
            return;
        }
        // SAFETY: the caller keeps `dealloc`'s contract; this layout's memory came from there.
        unsafe { System.dealloc(start, layout) };
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the new size, rounded up to the alignment, is a valid one.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if !is_mapped(layout) && !is_mapped(wanted) {
            // SAFETY: the caller keeps `realloc`'s contract, which is the same.
            return unsafe { System.realloc(old, layout, size) };
        }
        // SAFETY: as for `realloc`, whose caller promises that the size is not 0.
        let new = unsafe { self.alloc(wanted) };
        if !new.is_null() {
            // SAFETY: both are this long, and the new one overlaps nothing that was there.
            unsafe { old.copy_to_nonoverlapping(new, layout.size().min(size)) };
            // SAFETY: the old piece is this layout's, and nobody uses it any more.
            unsafe { self.dealloc(old, layout) };
        }
        new
    }
}

fn with_books(change: impl FnOnce(&mut Books)) {
    if let Some(mut books) = BOOKS.get() {
        change(&mut books);
        BOOKS.set(Some(books));
    }
}

/// A mapping of its own, aligned to huge pages; null when there is no memory for it.
fn allocate(len: usize) -> *mut u8 {
    let Some(huge) = BOOKS.get().map(|books| books.huge) else {
        return aligned(len).map_or(null_mut(), NonNull::as_ptr);
    };
    let reserved = if huge == Huge::Reserved { reserved(len) } else { None };
    let Some(start) = reserved.or_else(|| transparent(len, huge != Huge::Touched)) else { return null_mut() };
    with_books(|books| books.add(Piece { start: start.addr().get(), len, reserved: reserved.is_some() }));
    start.as_ptr()
}

/// On reserved huge pages, all of it or nothing.
fn reserved(len: usize) -> Option<NonNull<u8>> {
    let start = map(len, libc::MAP_HUGETLB | libc::MAP_HUGE_2MB)?;
    // The kernel may have promised more than the process's control group allows: to touch it would end the process.
    match fill(start, len) {
        Ok(()) => Some(start),
        Err(_) => {
            unmap(start.as_ptr(), len);
            None
        }
    }
}

/// On transparent huge pages as far as the system gives them.
fn transparent(len: usize, filled: bool) -> Option<NonNull<u8>> {
    let start = aligned(len)?;
    // What fails here is seen in what the kernel says afterwards, and the memory is there all the same.
    let _ = advise(start, len, libc::MADV_HUGEPAGE);
    if filled {
        let _ = fill(start, len);
    }
    Some(start)
}

/// Has the pages filled now. Kernels before Linux 5.14 fill them when they are first touched.
fn fill(start: NonNull<u8>, len: usize) -> io::Result<()> {
    match advise(start, len, libc::MADV_POPULATE_WRITE) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        result => result,
    }
}

/// Ordinary memory that begins and ends where a huge page could.
fn aligned(len: usize) -> Option<NonNull<u8>> {
    let roomy = map(len.checked_add(HUGE_PAGE)?, 0)?;
    let before = roomy.as_ptr().align_offset(HUGE_PAGE);
    let start = roomy.as_ptr().wrapping_add(before);
    if before > 0 {
        unmap(roomy.as_ptr(), before);
    }
    unmap(start.wrapping_add(len), HUGE_PAGE - before);
    NonNull::new(start)
}

fn map(len: usize, flags: i32) -> Option<NonNull<u8>> {
    let (access, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags);
    // SAFETY: a new mapping at an address of the kernel's choice takes nothing from anybody.
    let start = unsafe { libc::mmap(null_mut(), len, access, flags, -1, 0) };
    NonNull::new(start.cast()).filter(|_| start != libc::MAP_FAILED)
}

fn advise(start: NonNull<u8>, len: usize, advice: i32) -> io::Result<()> {
    // SAFETY: the range is a mapping of this module's that nobody uses yet; neither advice changes its contents.
    match unsafe { libc::madvise(start.as_ptr().cast(), len, advice) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// `start` and `len` are a mapping of this module's, or a part of one, that nobody uses any more.
fn unmap(start: *mut u8, len: usize) {
    // SAFETY: the callers give back what they have mapped and nobody uses.
    unsafe { libc::munmap(start.cast(), len) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_shared_out_to_the_pieces() {
        let smaps = "400000-600000 r-xp 00000000 08:01 12 /bin/true\nAnonHugePages:      2048 kB\n\
                     800000-e00000 rw-p 00000000 00:00 0 \nSize:  6144 kB\nAnonHugePages:      4096 kB\n\
                     ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n";
        let piece = |start, len| Piece { start, len, reserved: false };
        assert_eq!(transparent_bytes(smaps, &[&piece(0x80_0000, 0x20_0000)]), 0x20_0000);
        assert_eq!(
            transparent_bytes(smaps, &[&piece(0x80_0000, 0x40_0000), &piece(0xc0_0000, 0x20_0000)]),
            0x40_0000
        );
        assert_eq!(transparent_bytes(smaps, &[&piece(0x1000_0000, HUGE_PAGE)]), 0);
        assert_eq!(transparent_bytes("", &[&piece(0x80_0000, HUGE_PAGE)]), 0);
    }
}
