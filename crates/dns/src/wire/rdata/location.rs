//! Where a host is, LOC: RFC 1876 §2 and §3.
//!
//! Latitude and longitude count thousandths of a second of arc from the equator and the prime
//! meridian, altitude counts centimetres from 100 km below the reference. The three sizes have one
//! octet each: a digit, and the power of ten it counts centimetres by.

use std::fmt;

use doorway_base::{Malformed, Reader};

use super::parse::{Unexpected, Words};

const OCTETS: usize = 16;
/// The value of the equator and of the prime meridian.
const MIDDLE: u32 = 1 << 31;
/// The altitude of the reference, in centimetres.
const REFERENCE: i64 = 10_000_000;

/// Takes the rest of the RDATA. Only version 0 has a form that is known.
pub(super) fn check(inside: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let at = *inside;
    let octets = inside.take(inside.remaining(), "a location")?;
    if octets.is_empty() || octets[0] == 0 && octets.len() != OCTETS {
        return Err(at.malformed("a location of 16 octets"));
    }
    out.extend_from_slice(octets);
    Ok(())
}

/// Whether the location has the form that can be written.
pub(super) fn is_presentable(octets: &[u8]) -> bool {
    let Ok(octets) = <&[u8; OCTETS]>::try_from(octets) else { return false };
    let digits = |size: u8| size >> 4 <= 9 && size & 15 <= 9 && (size >> 4 > 0 || size == 0);
    octets[0] == 0
        && octets[1..4].iter().all(|&size| digits(size))
        && number(octets, 4).abs_diff(MIDDLE) <= 90 * 3_600_000
        && number(octets, 8).abs_diff(MIDDLE) <= 180 * 3_600_000
}

fn number(octets: &[u8], at: usize) -> u32 {
    octets.get(at..).and_then(|rest| rest.first_chunk::<4>()).map_or(0, |four| u32::from_be_bytes(*four))
}

pub(super) fn print(octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, north, south) in [(4, 'N', 'S'), (8, 'E', 'W')] {
        let value = number(octets, at);
        let arc = value.abs_diff(MIDDLE);
        let (degrees, minutes) = (arc / 3_600_000, arc / 60_000 % 60);
        let (seconds, thousandths) = (arc / 1000 % 60, arc % 1000);
        let half = if value >= MIDDLE { north } else { south };
        write!(f, "{degrees} {minutes} {seconds}.{thousandths:03} {half} ")?;
    }
    let altitude = i64::from(number(octets, 12)) - REFERENCE;
    let sign = if altitude < 0 { "-" } else { "" };
    write!(f, "{sign}{}.{:02}m", altitude.abs() / 100, altitude.abs() % 100)?;
    for &size in octets.get(1..4).unwrap_or_default() {
        let centimetres = u64::from(size >> 4) * 10_u64.pow(u32::from(size & 15));
        if size & 15 > 1 {
            write!(f, " {}m", centimetres / 100)?;
        } else {
            write!(f, " {}.{:02}m", centimetres / 100, centimetres % 100)?;
        }
    }
    Ok(())
}

pub(super) fn parse(words: &mut Words<'_, '_>, out: &mut Vec<u8>) -> Result<(), Unexpected> {
    let latitude =
        arc(words, 90, ["N", "S"], "degrees of latitude from 0 to 90", "N or S after the latitude")?;
    let longitude =
        arc(words, 180, ["E", "W"], "degrees of longitude from 0 to 180", "E or W after the longitude")?;
    const ALTITUDE: &str = "an altitude in metres, from -100000.00 to 42849672.95";
    let text = words.plain(ALTITUDE)?;
    let (below, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
    let altitude = hundredths(text).map(|value| REFERENCE + if below { -value } else { value });
    let altitude = altitude.and_then(|value| u32::try_from(value).ok());
    let altitude = altitude.ok_or_else(|| words.unexpected(ALTITUDE))?;
    // RFC 1876 §3: 1 m, 10 km and 10 m unless they are given.
    let mut sizes = [0x12, 0x16, 0x13];
    for size in &mut sizes {
        if words.is_empty() {
            break;
        }
        const SIZE: &str = "a size in metres, from 0 to 90000000.00";
        let text = words.plain(SIZE)?;
        *size = hundredths(text).and_then(power).ok_or_else(|| words.unexpected(SIZE))?;
    }
    out.push(0);
    out.extend(sizes);
    out.extend(latitude.to_be_bytes());
    out.extend(longitude.to_be_bytes());
    out.extend(altitude.to_be_bytes());
    Ok(())
}

// `degrees [minutes [seconds]] half`
fn arc(
    words: &mut Words<'_, '_>,
    degrees_max: u32,
    halves: [&str; 2],
    what: &'static str,
    half: &'static str,
) -> Result<u32, Unexpected> {
    let degrees: u32 = words.number(what)?;
    let mut arc = degrees.checked_mul(3_600_000).filter(|_| degrees <= degrees_max);
    let mut parts = 0;
    let positive = loop {
        let word = words.plain(half)?;
        if let Some(index) = halves.iter().position(|half| half.eq_ignore_ascii_case(word)) {
            break index == 0;
        }
        let part = match parts {
            0 => word.parse::<u32>().ok().filter(|&minutes| minutes < 60).map(|minutes| minutes * 60_000),
            1 => thousandths(word).filter(|&seconds| seconds < 60_000),
            _ => None,
        };
        parts += 1;
        arc = arc.zip(part).map(|(arc, part)| arc + part);
        if arc.is_none() {
            return Err(words.unexpected(if parts > 2 {
                half
            } else {
                "minutes or seconds of arc below 60"
            }));
        }
    };
    let arc = arc.filter(|&arc| arc <= degrees_max * 3_600_000);
    let arc = arc.ok_or_else(|| words.unexpected(what))?;
    Ok(if positive { MIDDLE + arc } else { MIDDLE - arc })
}

fn thousandths(text: &str) -> Option<u32> {
    decimal(text, 3).and_then(|value| u32::try_from(value).ok())
}

// Metres, the unit written or not, as centimetres.
fn hundredths(text: &str) -> Option<i64> {
    decimal(text.strip_suffix(['m', 'M']).unwrap_or(text), 2)
}

fn decimal(text: &str, places: usize) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
    if whole.is_empty() || whole.len() > 10 || !digits(whole) || !digits(part) || part.len() > places {
        return None;
    }
    let scale = 10_i64.pow((places - part.len()) as u32);
    let part = if part.is_empty() { 0 } else { part.parse().ok()? };
    Some(whole.parse::<i64>().ok()? * 10_i64.pow(places as u32) + part * scale)
}

// Centimetres as a digit and a power of ten, rounded down.
fn power(centimetres: i64) -> Option<u8> {
    let (mut digit, mut exponent) = (centimetres, 0);
    while digit > 9 {
        digit /= 10;
        exponent += 1;
    }
    (exponent <= 9).then_some((digit as u8) << 4 | exponent)
}
