//! The prefetch hint: the one place of this crate that needs `unsafe`.

/// Asks the processor to fetch the cache line that `place` begins in. Only a hint: it changes nothing that a
/// program can observe, and never faults, wherever `place` points.
#[inline(always)]
pub fn prefetch<T: ?Sized>(place: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "sse")]
        #[inline]
        fn hint(address: *const i8) {
            use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(address);
        }
        #[expect(unsafe_code, reason = "calling a function with a target feature")]
        // SAFETY: SSE is part of every x86_64 processor.
        unsafe {
            hint(place.cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
