//! One line about a message, for the trace: `home.arpa. SOA? id 4711`, `NOERROR aa 1 answer id 4711`.

use std::fmt::Write as _;

use doorway_base::Reader;

use crate::wire::{Class, Flags, Header, Opcode, Question};

/// Says in one line what a message is; also of one that is cut off or broken.
#[must_use]
pub fn summary(octets: &[u8]) -> String {
    let mut reader = Reader::new(octets);
    let Ok(header) = Header::read(&mut reader) else {
        return format!("{} octets, too few for a DNS message", octets.len());
    };
    let question = (header.counts[0] > 0).then(|| Question::read(&mut reader).ok()).flatten();
    let mut line = String::new();
    // Writing to a String cannot fail.
    if let Some(question) = &question {
        let _ = write!(line, "{} ", question.name);
        if question.class != Class::IN {
            let _ = write!(line, "{} ", question.class);
        }
        let _ = write!(line, "{}", question.kind);
    }
    let opcode = header.flags.opcode();
    if header.flags.has(Flags::QR) {
        let _ = write!(line, "{}{}", if question.is_some() { ": " } else { "" }, header.flags.rcode());
        for (bit, name) in [(Flags::AA, "aa"), (Flags::TC, "tc"), (Flags::RA, "ra")] {
            if header.flags.has(bit) {
                let _ = write!(line, " {name}");
            }
        }
        for (count, noun) in header.counts[1..].iter().zip(["answer", "authority", "additional"]) {
            if *count > 0 {
                let _ = write!(line, " {count} {noun}");
            }
        }
    } else {
        line.push('?');
    }
    if opcode != Opcode::QUERY {
        let _ = write!(line, " {opcode}");
    }
    let _ = write!(line, " id {}", header.id);
    line
}

#[cfg(test)]
mod tests {
    use super::summary;
    use crate::wire::{Class, Flags, Message, Question, Type};

    #[test]
    fn a_query_and_its_answer_read_as_one_line_each() {
        let question = Question { name: "home.arpa".parse().unwrap(), kind: Type::SOA, class: Class::IN };
        let mut message = Message { id: 4711, questions: vec![question], ..Message::default() };
        assert_eq!(summary(&message.to_octets().unwrap()), "home.arpa. SOA? id 4711");
        message.flags = Flags(Flags::QR | Flags::AA | 3);
        assert_eq!(summary(&message.to_octets().unwrap()), "home.arpa. SOA: NXDOMAIN aa id 4711");
    }

    #[test]
    fn broken_messages_have_a_line_too() {
        assert_eq!(summary(&[1, 2, 3]), "3 octets, too few for a DNS message");
        assert_eq!(summary(&[0x12, 0x67, 0x28, 0, 0, 1, 0, 0, 0, 0, 0, 0, 9]), "? UPDATE id 4711");
    }
}
