//! An answer that has no records: header and question of the request, and a response code.

use doorway_base::{Reader, Writer};

use super::code::{Opcode, Rcode};
use super::header::{Flags, HEADER_OCTETS, Header};
use super::message::Question;
use super::name::NAME_OCTETS_MAX;

/// The answer to `request` that says `rcode` and nothing more. The question is repeated when there is
/// exactly one that can be read; a request shorter than a header has no answer, and gets no octets.
#[must_use]
pub fn without_records(request: &[u8], rcode: Rcode) -> Vec<u8> {
    let mut room = [0; HEADER_OCTETS + NAME_OCTETS_MAX + 4];
    let mut writer = Writer::new(&mut room);
    let mut reader = Reader::new(request);
    let Ok(header) = Header::read(&mut reader) else { return Vec::new() };
    let question = Question::read(&mut reader).ok().filter(|_| header.counts[0] == 1);
    let mut flags = header.flags.response(rcode);
    // RFC 1996 §4.7: the answer to a NOTIFY has AA.
    if flags.opcode() == Opcode::NOTIFY && rcode == Rcode::NOERROR {
        flags.0 |= Flags::AA;
    }
    Header { id: header.id, flags, counts: [u16::from(question.is_some()), 0, 0, 0] }.write(&mut writer);
    if let Some(question) = question {
        writer.put(question.name.as_octets());
        writer.put_u16(question.kind.0);
        writer.put_u16(question.class.0);
    }
    writer.written().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_repeated_when_it_can_be_read() {
        let request =
            [&[0, 9, 0x29, 0, 0, 1, 0, 7, 0, 0, 0, 0][..], &[1, b'x', 0, 0, 6, 0, 1, 9, 9]].concat();
        let answer = without_records(&request, Rcode::REFUSED);
        assert_eq!(answer[..12], [0, 9, 0xa9, 5, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(answer[12..], request[12..19]);
        for length in 12..19 {
            let answer = without_records(&request[..length], Rcode::FORMERR);
            assert_eq!(answer, [0, 9, 0xa9, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
        for length in 0..12 {
            assert!(without_records(&request[..length], Rcode::FORMERR).is_empty());
        }
    }
}
