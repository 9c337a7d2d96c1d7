//! A zone written as a zone file: RFC 1035 §5, in the order of RFC 4034 §6.
//!
//! Two versions of a zone differ in the lines of the records that differ: there is one record a line, in
//! canonical order, and nothing on a line depends on another line. What is written reads back as the
//! same zone. Not here: whoever puts it on a disk.

use std::fmt::{self, Write as _};

use super::Zone;
use crate::wire::rdata::{self, canonical};
use crate::wire::{Class, Name, Record, Type};

/// Columns that owners are filled up to, so that the rest stands below itself.
const OWNER_COLUMNS: usize = 24;
/// Columns of a TTL; a longer one is written all the same.
const TTL_COLUMNS: usize = 6;
/// Columns of the mnemonic of a type.
const TYPE_COLUMNS: usize = 8;

impl Zone {
    /// The zone as a zone file, which begins with `$ORIGIN`. Owners within the zone are written relative
    /// to it; every record has its own TTL.
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let mut records: Vec<(Record, Vec<u8>)> = self
            .iter()
            .map(|record| {
                let mut data = Vec::new();
                canonical(record.kind, &record.rdata, &mut data);
                (record, data)
            })
            .collect();
        // RFC 4034 §6: by name, then by type, SOA before all, then by RDATA.
        records.sort_by(|(a, a_data), (b, b_data)| {
            let first = |record: &Record| (record.kind != Type::SOA, record.kind);
            a.name.cmp(&b.name).then_with(|| first(a).cmp(&first(b))).then_with(|| a_data.cmp(b_data))
        });
        writeln!(out, "$ORIGIN {}", self.apex())?;
        let mut line = String::new();
        for (record, _) in &records {
            line.clear();
            write_owner(&mut line, &record.name, self.apex())?;
            pad(&mut line, OWNER_COLUMNS);
            write!(line, "{:>TTL_COLUMNS$} {} {}", record.ttl, Class::IN, record.kind)?;
            let columns = line.rfind(' ').map_or(0, |space| space + 1 + TYPE_COLUMNS);
            pad(&mut line, columns);
            writeln!(out, "{line}{}", rdata::display(record.kind, &record.rdata))?;
        }
        Ok(())
    }
}

// At least one space.
fn pad(line: &mut String, columns: usize) {
    line.push(' ');
    while line.len() < columns {
        line.push(' ');
    }
}

fn write_owner(line: &mut String, name: &Name, apex: &Name) -> fmt::Result {
    let own = name.label_count() - apex.label_count();
    if own == 0 {
        return line.write_char('@');
    }
    match Name::from_labels(name.labels().take(own)) {
        // A whole name has its final dot, which would make it absolute.
        Some(relative) => {
            write!(line, "{relative}")?;
            line.pop();
            Ok(())
        }
        None => write!(line, "{name}"),
    }
}

#[cfg(test)]
mod tests {
    use doorway_base::Random;
    use proptest::prelude::*;

    use super::*;
    use crate::zone::{HashKey, file};

    fn read(text: &str) -> Zone {
        let secret = HashKey::new(&mut Random::new(1));
        let read = file::read(&"example.org".parse().unwrap(), "z", text.as_bytes(), secret);
        read.unwrap_or_else(|faults| panic!("{faults}")).0
    }

    fn written(zone: &Zone) -> String {
        let mut text = String::new();
        zone.write(&mut text).unwrap();
        text
    }

    #[test]
    fn a_zone_is_written_in_canonical_order_and_reads_back() {
        let text = "$TTL 60\n@ NS ns\n@ SOA ns root 1 2 3 4 5\nZ TXT \"a b\" c\nns 5 A 192.0.2.20\nns 5 A 192.0.2.3\n\
            a\\.b\\$ CAA 0 issue \"x\"\n\\@ A 192.0.2.1\n*.a.z MX 10 mail.example.com.\nempty.x TYPE731 \\# 0\n\
            a-label-that-is-longer-than-its-column A 192.0.2.1\n";
        let expected = "\
$ORIGIN example.org.
@                           60 IN SOA     ns.example.org. root.example.org. 1 2 3 4 5
@                           60 IN NS      ns.example.org.
\\@                          60 IN A       192.0.2.1
a-label-that-is-longer-than-its-column     60 IN A       192.0.2.1
a\\.b\\$                      60 IN CAA     0 issue \"x\"
ns                           5 IN A       192.0.2.3
ns                           5 IN A       192.0.2.20
empty.x                     60 IN TYPE731 \\# 0
z                           60 IN TXT     \"a b\" \"c\"
*.a.z                       60 IN MX      10 mail.example.com.
";
        let zone = read(text);
        assert_eq!(written(&zone), expected);
        assert_eq!(written(&read(expected)), expected);
        assert_eq!(read(expected).records(), zone.records());
    }

    #[test]
    fn the_order_of_the_lines_read_changes_no_line_written() {
        let lines = ["ns A 192.0.2.1", "b A 192.0.2.2", "a.b A 192.0.2.3", "c NS ns", "b MX 1 ns"];
        let start = "$TTL 60\n@ SOA ns root 1 2 3 4 5\n@ NS ns\n";
        let forth = read(&format!("{start}{}\n", lines.join("\n")));
        let mut back = lines;
        back.reverse();
        let back = read(&format!("{start}{}\n", back.join("\n")));
        assert_eq!(written(&forth), written(&back));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

        #[test]
        fn whatever_a_label_or_a_text_holds_it_reads_back(
            labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 1..4),
            text in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let owner = Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap().lowered();
            let name = owner.join(&"example.org".parse().unwrap()).unwrap();
            let data = [&[text.len() as u8], text.as_slice()].concat();
            let record = Record { name, kind: Type::TXT, class: Class::IN, ttl: 7, rdata: data };
            let zone = read(&format!("@ 60 SOA ns root 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n{record}\n"));
            let again = read(&written(&zone));
            prop_assert_eq!(written(&again), written(&zone));
            prop_assert!(again.iter().any(|other| other == record), "{}", written(&zone));
        }
    }
}
