//! DPDK's own hash table, to be compared with: the packet path does not use it.

use crate::eal::Eal;
use crate::error::{Errno, Error};
use core::ffi::c_int;
use core::ptr::NonNull;
use dpdk_sys::rte_hash;
use std::ffi::CString;

/// Bytes of a key: a power of two that DPDK has a comparison of its own for.
pub const KEY_LEN: usize = 16;

/// Keys that one look-up takes, DPDK's limit.
const BULK_MAX: usize = 64;

const KEY_BYTES: u32 = 16;
const _: () = assert!(KEY_BYTES as usize == KEY_LEN);

/// Any socket's memory, DPDK's `SOCKET_ID_ANY`.
const SOCKET_ANY: c_int = -1;

/// `rte_hash` with CRC as its hash function.
#[derive(Debug)]
pub struct Hash(NonNull<rte_hash>);

impl Hash {
    /// An empty table for `entries` keys under a name of its own.
    ///
    /// # Errors
    /// [`Error::Name`] for a name with a NUL, [`Error::Hash`] when there is no memory or the name is taken.
    pub fn new(_: &Eal, name: &str, entries: u32) -> Result<Self, Error> {
        let c_name = CString::new(name).map_err(|_| Error::Name(name.to_owned()))?;
        // SAFETY: the name outlives the call; DPDK checks the numbers.
        let raw = unsafe { dpdk_sys::weir_hash_create(c_name.as_ptr(), entries, KEY_BYTES, SOCKET_ANY) };
        let failed = || Error::Hash { name: name.to_owned(), entries, errno: Errno::last() };
        NonNull::new(raw).map(Self).ok_or_else(failed)
    }

    /// Adds a key; its position, which no other key has. `None` when there is no room.
    pub fn add(&mut self, key: &[u8; KEY_LEN]) -> Option<u32> {
        // SAFETY: the table is alive, and the key as long as it was told.
        let position = unsafe { dpdk_sys::rte_hash_add_key(self.0.as_ptr(), key.as_ptr().cast()) };
        u32::try_from(position).ok()
    }

    /// The positions of up to 64 keys, negative for those that are not there.
    ///
    /// More do not compile.
    #[inline]
    pub fn look_up<const N: usize>(&self, keys: &[[u8; KEY_LEN]; N]) -> [i32; N] {
        const { assert!(N <= BULK_MAX) };
        #[expect(clippy::cast_possible_truncation, reason = "at most 64")]
        let count = N as u32;
        let mut pointers = keys.each_ref().map(|key| key.as_ptr().cast());
        let mut positions = [-1; N];
        // SAFETY: `N` pointers to whole keys, room for `N` positions, and the table is alive.
        let code = unsafe {
            dpdk_sys::rte_hash_lookup_bulk(
                self.0.as_ptr(),
                pointers.as_mut_ptr(),
                count,
                positions.as_mut_ptr(),
            )
        };
        debug_assert_eq!(code, 0, "the arguments are right");
        positions
    }
}

impl Drop for Hash {
    fn drop(&mut self) {
        // SAFETY: owned by `self`, which ends here.
        unsafe { dpdk_sys::rte_hash_free(self.0.as_ptr()) };
    }
}
