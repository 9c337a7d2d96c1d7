//! `dig +annotate` on the screen: every octet of the query and of the answer, in 100 columns.

use doorway_dns::client::annotate::{Line, annotate};
use doorway_dns::client::report::Arrival;

use crate::screen::{BOLD, DIM, GREEN, PLAIN, YELLOW};

/// Octets on a line.
const OCTETS: usize = 8;
/// Columns of the field's name.
const FIELD: usize = 17;
/// Columns of the whole line.
const COLUMNS: usize = 100;

/// A query and its answer.
pub(super) fn exchange(query: &[u8], answer: &[u8], arrival: &Arrival) -> String {
    let Arrival { server, carrier, took, .. } = arrival;
    let mut text = format!("{BOLD}Query{PLAIN} of {} octets to {server} over {carrier}\n", query.len());
    text.push_str(&message(query));
    let micros = took.as_micros();
    let took = format!("{}.{:03} ms", micros / 1000, micros % 1000);
    text.push_str(&format!("\n{BOLD}Answer{PLAIN} of {} octets after {took}\n", answer.len()));
    text.push_str(&message(answer));
    text.push('\n');
    text
}

/// One message, a line for each field.
fn message(octets: &[u8]) -> String {
    let mut text = String::new();
    for line in annotate(octets) {
        match line {
            Line::Heading { depth: 0, text: heading } => {
                text.push_str(&format!("\n  {BOLD}{}{PLAIN}\n", heading.to_uppercase()));
            }
            Line::Heading { text: heading, .. } => {
                text.push_str(&format!("  {YELLOW}{heading}{PLAIN}\n"));
            }
            Line::Bits { bits, field, value } => {
                text.push_str(&format!("        {DIM}{bits:<24}{PLAIN} {field:<FIELD$} {value}\n"));
            }
            Line::Octets { at, length, field, value } => {
                field_lines(&mut text, (at, &octets[at..at + length]), &field, &value);
            }
        }
    }
    text
}

fn field_lines(text: &mut String, (at, octets): (usize, &[u8]), field: &str, value: &str) {
    let room = COLUMNS - (8 + 3 * OCTETS + 1 + FIELD + 1);
    let characters: Vec<char> = value.chars().collect();
    let mut values = characters.chunks(room).map(|part| part.iter().collect::<String>());
    let mut rows = octets.chunks(OCTETS).enumerate();
    let mut field = field;
    loop {
        let (row, value) = (rows.next(), values.next());
        if row.is_none() && value.is_none() {
            return;
        }
        let (place, hex) = match row {
            Some((index, row)) => {
                let hex: Vec<String> = row.iter().map(|octet| format!("{octet:02x}")).collect();
                (format!("{:>6}", at + index * OCTETS), hex.join(" "))
            }
            None => (" ".repeat(6), String::new()),
        };
        let value = value.unwrap_or_default();
        let line = format!("{DIM}{place}{PLAIN}  {GREEN}{hex:<24}{PLAIN} {field:<FIELD$} {value}");
        text.push_str(line.trim_end());
        text.push('\n');
        field = "";
    }
}
