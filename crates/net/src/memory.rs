//! Memory that is read all over and for long: large tables.

/// Asks the system to keep `table` in huge pages, so that reading here and there in it misses the
/// processor's address cache less often. Only advice; nothing changes where it is not taken.
///
/// Worth calling once for a table of several megabytes that has just been built; it moves the pages
/// together at once and costs about a millisecond for every four of them.
pub fn settle<T>(table: &[T]) {
    crate::sys::memory::collapse(table.as_ptr().addr(), size_of_val(table));
}
