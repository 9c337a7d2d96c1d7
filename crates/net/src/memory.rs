//! Advice to the system about large stretches of memory: tables that are read for long, and blocks
//! that are needed for a moment.

/// Asks the system to keep `table` in huge pages, so that reading here and there in it misses the
/// processor's address cache less often. Only advice; nothing changes where it is not taken.
///
/// Worth calling once for a table of several megabytes that has just been built; it moves the pages
/// together at once and costs about a millisecond for every four of them.
pub fn settle<T>(table: &[T]) {
    crate::sys::memory::collapse(table.as_ptr().addr(), size_of_val(table));
}

/// The same for room that is still to be filled: asks for huge pages from the start, so that it is filled
/// with one page fault for every 2 MiB. For room of several megabytes.
#[must_use]
pub fn in_huge_pages<T>(room: Vec<T>) -> Vec<T> {
    crate::sys::memory::expect(room.as_ptr().addr(), room.capacity() * size_of::<T>());
    room
}

/// Has the allocator give blocks of [`LARGE_OCTETS`] and more back to the system as soon as they are
/// free. Without this, one password check would leave its 19 MiB with the process for good.
pub fn give_large_blocks_back() {
    crate::sys::memory::map_blocks_from(LARGE_OCTETS);
}

/// From this size on a block of memory is mapped on its own.
pub const LARGE_OCTETS: usize = 4 << 20;
