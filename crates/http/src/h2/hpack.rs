//! HPACK: fields in few octets (RFC 7541).
//!
//! | file | what it holds |
//! | --- | --- |
//! | `integer.rs` | integers with a prefix |
//! | `huffman.rs` | the Huffman code, both ways |
//! | `table.rs` | the static and the dynamic table |
//! | [`Decoder`] | field blocks to fields |
//! | [`Encoder`] | fields to field blocks, with a dynamic table |
//!
//! Responses of the server do not use [`Encoder`]: their blocks are written without a dynamic table, so that a
//! ready-made response may be kept (`wire/field_block.rs`).

mod decode;
mod encode;
pub mod huffman;
pub(crate) mod integer;
mod table;

pub use decode::{Decoder, Strings};
pub use encode::{Encoder, Keep};
pub use table::{STATIC, TABLE_OCTETS};

#[cfg(test)]
mod tests;
