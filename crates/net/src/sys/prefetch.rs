//! Memory asked for before it is needed.
#![allow(unsafe_code, reason = "the instruction has no safe form")]

/// Octets that one look ahead brings near: three lines of the cache.
const OCTETS: usize = 192;

/// Has the processor fetch the memory at `place` into its cache, if there is such memory. Nothing is read
/// and nothing can go wrong, wherever `place` leads.
#[inline]
pub(crate) fn prefetch(place: *const u8) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..OCTETS).step_by(64) {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint; an address that is not mapped is ignored.
        unsafe { _mm_prefetch(place.wrapping_add(line).cast(), _MM_HINT_T0) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (place, OCTETS);
}
