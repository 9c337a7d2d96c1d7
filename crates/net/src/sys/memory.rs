//! Asking for huge pages, and setting up the C library's allocator.
#![allow(unsafe_code, reason = "madvise takes an address range, and mallopt has no safe form")]

/// Octets of a huge page on every machine that has them in this size.
const HUGE_PAGE_OCTETS: usize = 2 << 20;

/// Has the kernel fill `octets` octets from `start` on with huge pages where they are first written.
pub(crate) fn expect(start: usize, octets: usize) {
    let from = start.next_multiple_of(HUGE_PAGE_OCTETS);
    let to = (start + octets) / HUGE_PAGE_OCTETS * HUGE_PAGE_OCTETS;
    if from < to {
        // SAFETY: as below, the range lies within memory that the caller owns, and advice changes how it is
        // mapped, never what it holds.
        unsafe {
            libc::madvise(from as *mut libc::c_void, to - from, libc::MADV_HUGEPAGE);
        }
    }
}

/// Has the kernel put the whole huge pages within `octets` octets from `start` on together.
pub(crate) fn collapse(start: usize, octets: usize) {
    let from = start.next_multiple_of(HUGE_PAGE_OCTETS);
    let to = (start + octets) / HUGE_PAGE_OCTETS * HUGE_PAGE_OCTETS;
    if from >= to {
        return;
    }
    // SAFETY: the range lies within memory that the caller borrows, and these two pieces of advice
    // change how it is mapped, never what it holds. Refusal is no error: it was only advice.
    unsafe {
        libc::madvise(from as *mut libc::c_void, to - from, libc::MADV_HUGEPAGE);
        libc::madvise(from as *mut libc::c_void, to - from, libc::MADV_COLLAPSE);
    }
}

/// Fixes the size from which the allocator maps blocks on their own, which otherwise grows with use.
pub(crate) fn map_blocks_from(octets: usize) {
    #[cfg(target_env = "gnu")]
    // SAFETY: a setting of the allocator; blocks that exist are not touched.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, octets as libc::c_int);
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = octets;
}
