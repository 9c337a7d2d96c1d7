//! The head of a response that is kept, ready to be sent: all but what differs from one answer to the next.

use crate::Status;
use crate::cache::Stored;
use crate::wire::response::{Form, ResponseWriter};

/// A head up to the fields that are added for each answer.
#[derive(Debug)]
pub(in crate::io) struct Heads {
    text: Box<[u8]>,
    block: Box<[u8]>,
}

impl Heads {
    /// The head of `stored`, with a content of so many octets.
    pub(super) fn new(stored: &Stored, octets: u64) -> Self {
        let written = |form| {
            let mut out = Vec::new();
            let status = Status::new(stored.status);
            let mut writer = ResponseWriter::begin(&mut out, form, status);
            for (name, value) in stored.fields.iter() {
                if !name.eq_ignore_ascii_case("content-length") {
                    writer.field(name, value);
                }
            }
            if !status.is_bodiless() {
                writer.number("Content-Length", octets);
            }
            out.into_boxed_slice()
        };
        Self { text: written(Form::Http1), block: written(Form::Http2) }
    }

    /// The head in this form; to be gone on with by [`ResponseWriter::resume`].
    pub(in crate::io) fn of(&self, form: Form) -> &[u8] {
        match form {
            Form::Http1 => &self.text,
            Form::Http2 => &self.block,
        }
    }
}
