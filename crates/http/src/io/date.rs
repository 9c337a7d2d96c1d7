//! The wall clock as a Date field, written once a second.

use doorway_base::UnixTime;

use crate::wire::date::{DATE_OCTETS, write_date};

/// The current second and its text.
#[derive(Debug)]
pub(super) struct DateCache {
    wall: UnixTime,
    text: [u8; DATE_OCTETS],
}

impl DateCache {
    pub(super) fn at(wall: UnixTime) -> Self {
        Self { wall, text: write_date(wall) }
    }

    /// Moves on to `wall`.
    pub(super) fn advance(&mut self, wall: UnixTime) {
        if wall.as_secs() != self.wall.as_secs() {
            self.text = write_date(wall);
        }
        self.wall = wall;
    }

    pub(super) const fn wall(&self) -> UnixTime {
        self.wall
    }

    pub(super) const fn text(&self) -> &[u8; DATE_OCTETS] {
        &self.text
    }
}
