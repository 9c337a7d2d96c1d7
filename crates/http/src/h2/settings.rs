//! SETTINGS (RFC 9113 §6.5.2, RFC 9218 §2.1).

use super::frame::{Header, Kind, MAX_31, PAYLOAD_OCTETS};
use super::rule::{self, Rule};

/// SETTINGS_HEADER_TABLE_SIZE.
pub const HEADER_TABLE_SIZE: u16 = 1;
/// SETTINGS_ENABLE_PUSH.
pub const ENABLE_PUSH: u16 = 2;
/// SETTINGS_MAX_CONCURRENT_STREAMS.
pub const MAX_CONCURRENT_STREAMS: u16 = 3;
/// SETTINGS_INITIAL_WINDOW_SIZE.
pub const INITIAL_WINDOW_SIZE: u16 = 4;
/// SETTINGS_MAX_FRAME_SIZE.
pub const MAX_FRAME_SIZE: u16 = 5;
/// SETTINGS_MAX_HEADER_LIST_SIZE.
pub const MAX_HEADER_LIST_SIZE: u16 = 6;
/// SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441 §3).
pub const ENABLE_CONNECT_PROTOCOL: u16 = 8;
/// SETTINGS_NO_RFC7540_PRIORITIES (RFC 9218 §2.1).
pub const NO_RFC7540_PRIORITIES: u16 = 9;

/// The window that streams and the connection begin with unless a setting says otherwise.
pub const WINDOW_OCTETS: u32 = 65_535;

/// What a peer said in its SETTINGS, or what holds until it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Octets of the dynamic table that field blocks to it may use.
    pub header_table_octets: u32,
    /// Whether it takes pushed responses.
    pub push: bool,
    /// How many streams may be opened towards it.
    pub streams_max: u32,
    /// Octets of DATA that a stream to it may begin with.
    pub window_octets: u32,
    /// Longest frame payload that it takes.
    pub frame_octets_max: usize,
    /// Longest list of fields that it takes, in octets as RFC 7541 §4.1 counts them.
    pub field_list_octets_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            header_table_octets: 4096,
            push: true,
            streams_max: u32::MAX,
            window_octets: WINDOW_OCTETS,
            frame_octets_max: PAYLOAD_OCTETS,
            field_list_octets_max: u32::MAX,
        }
    }
}

impl Settings {
    /// Takes over the payload of a SETTINGS frame, in its order; settings that nobody knows are passed
    /// over.
    ///
    /// # Errors
    /// The rule that a value breaks.
    pub fn apply(&mut self, payload: &[u8]) -> Result<(), &'static Rule> {
        let bounded =
            |value: u32, max: u32| if value <= max { Ok(value) } else { Err(&rule::SETTINGS_VALUE) };
        for setting in payload.chunks_exact(6) {
            let &[i0, i1, v0, v1, v2, v3] = setting else { continue };
            let value = u32::from_be_bytes([v0, v1, v2, v3]);
            match u16::from_be_bytes([i0, i1]) {
                HEADER_TABLE_SIZE => self.header_table_octets = value,
                ENABLE_PUSH => self.push = bounded(value, 1)? == 1,
                MAX_CONCURRENT_STREAMS => self.streams_max = value,
                INITIAL_WINDOW_SIZE if value > MAX_31 => return Err(&rule::SETTINGS_WINDOW),
                INITIAL_WINDOW_SIZE => self.window_octets = value,
                MAX_FRAME_SIZE if value < PAYLOAD_OCTETS as u32 => return Err(&rule::SETTINGS_VALUE),
                MAX_FRAME_SIZE => self.frame_octets_max = bounded(value, (1 << 24) - 1)? as usize,
                MAX_HEADER_LIST_SIZE => self.field_list_octets_max = value,
                ENABLE_CONNECT_PROTOCOL | NO_RFC7540_PRIORITIES => drop(bounded(value, 1)?),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Appends a SETTINGS frame.
pub fn write(out: &mut Vec<u8>, settings: &[(u16, u32)]) {
    let header = Header { length: settings.len() * 6, kind: Kind::SETTINGS, flags: 0, stream: 0 };
    out.extend_from_slice(&header.octets());
    for (setting, value) in settings {
        out.extend_from_slice(&setting.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h2::frame::HEADER_OCTETS;

    #[track_caller]
    fn check(settings: &[(u16, u32)], expected: Result<Settings, &str>) {
        let mut out = Vec::new();
        write(&mut out, settings);
        let mut found = Settings::default();
        let applied = found.apply(&out[HEADER_OCTETS..]);
        assert_eq!(applied.map(|()| found).map_err(|rule| rule.code), expected, "{settings:?}");
    }

    #[test]
    fn each_setting_is_taken_over_and_unknown_ones_are_passed_over() {
        let all = [(1, 0), (2, 0), (3, 7), (4, MAX_31), (5, 20_000), (6, 9), (8, 1), (9, 1), (0xff, 3)];
        let expected = Settings {
            header_table_octets: 0,
            push: false,
            streams_max: 7,
            window_octets: MAX_31,
            frame_octets_max: 20_000,
            field_list_octets_max: 9,
        };
        check(&all, Ok(expected));
        check(&[(3, 1), (3, 2)], Ok(Settings { streams_max: 2, ..Settings::default() }));
    }

    #[test]
    fn a_value_that_is_not_defined_is_refused() {
        for wrong in [(2, 2), (5, 16_383), (5, 1 << 24), (8, 2), (9, 2)] {
            check(&[wrong], Err("settings_value"));
        }
        check(&[(4, 1 << 31)], Err("settings_window"));
    }
}
