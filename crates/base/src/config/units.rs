//! Durations and sizes as people write them: `"1h30m"`, `"64KiB"`.

use std::time::Duration;

const DURATION_UNITS: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Reads a duration: numbers with the units d, h, m, s, ms, us, each at most once, largest first.
///
/// # Errors
/// Says what to write instead.
pub fn duration(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("write a number and a unit, such as \"30s\"".to_owned());
    }
    let mut micros: u64 = 0;
    let mut units_left = DURATION_UNITS.as_slice();
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let after = after.trim_start();
        let unit_octets = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_octets);
        if unit.is_empty() {
            return Err(format!(
                "give the number its unit: \"{number}s\" for seconds, \"{number}m\" for minutes"
            ));
        }
        let Some((_, unit_micros)) = DURATION_UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("the units are d, h, m, s, ms and us; `{unit}` is none of them"));
        };
        let Some(position) = units_left.iter().position(|(name, _)| *name == unit) else {
            return Err("write each unit once, the largest first, such as \"1h30m\"".to_owned());
        };
        units_left = &units_left[position + 1..];
        micros = number
            .checked_mul(*unit_micros)
            .and_then(|part| micros.checked_add(part))
            .ok_or("that is longer than 500 000 years")?;
        rest = after.trim_start();
    }
    Ok(Duration::from_micros(micros))
}

/// Writes a duration so that [`duration`] reads it back; what is below a microsecond is dropped.
#[must_use]
pub fn duration_text(span: Duration) -> String {
    let mut micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    if micros == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, unit_micros) in DURATION_UNITS {
        if micros >= unit_micros {
            text.push_str(&format!("{}{unit}", micros / unit_micros));
            micros %= unit_micros;
        }
    }
    text
}

/// Reads a number of octets: `"512"`, `"512B"`, `"64KiB"`, `"2 GiB"`, or in thousands `"2GB"`.
///
/// # Errors
/// Says what to write instead.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split_number(text.trim())?;
    let unit = unit.trim_start();
    if unit.is_empty() {
        return Ok(number);
    }
    let Some((_, octets)) = SIZE_UNITS.iter().find(|(name, _)| *name == unit) else {
        let meant = match unit.chars().next().map(|first| first.to_ascii_uppercase()) {
            Some(first @ ('K' | 'M' | 'G' | 'T')) => format!("{number}{first}iB"),
            _ => format!("{number}KiB"),
        };
        return Err(format!("`{unit}` is no unit of size; did you mean \"{meant}\"?"));
    };
    number.checked_mul(*octets).ok_or_else(|| "that is more than 16 EiB".to_owned())
}

/// Writes a number of octets in the largest binary unit that divides it.
#[must_use]
pub fn size_text(octets: u64) -> String {
    let (unit, unit_octets) = SIZE_UNITS[..4]
        .iter()
        .find(|(_, unit_octets)| octets >= *unit_octets && octets.is_multiple_of(*unit_octets))
        .unwrap_or(&("B", 1));
    format!("{}{unit}", octets / unit_octets)
}

fn split_number(text: &str) -> Result<(u64, &str), String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    if number.is_empty() {
        return Err("a number has to stand before each unit".to_owned());
    }
    if rest.starts_with('.') {
        return Err(
            "write whole numbers; a smaller unit is exact, such as \"1h30m\" or \"1536KiB\"".to_owned()
        );
    }
    Ok((number.parse().map_err(|_| "the number is too large".to_owned())?, rest))
}
