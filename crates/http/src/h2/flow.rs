//! Windows: how much DATA may be under way (RFC 9113 §5.2, §6.9).

use super::frame::MAX_31;
use super::settings::WINDOW_OCTETS;

/// Room that the peer gives. A change of its settings can make it negative (RFC 9113 §6.9.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendWindow(i64);

impl SendWindow {
    /// A window of so many octets.
    #[must_use]
    pub const fn new(octets: u32) -> Self {
        Self(octets as i64)
    }

    /// Octets that may be sent now.
    #[inline]
    #[must_use]
    pub const fn octets(self) -> usize {
        if self.0 > 0 { self.0 as usize } else { 0 }
    }

    /// Takes room for `octets` that are sent.
    #[inline]
    pub const fn take(&mut self, octets: usize) {
        self.0 -= octets as i64;
    }

    /// Gives more room, or less; false when the window becomes larger than 2^31-1.
    #[must_use]
    pub const fn change(&mut self, octets: i64) -> bool {
        self.0 += octets;
        self.0 <= MAX_31 as i64
    }
}

/// Room that this side gives, and takes back when content was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiveWindow {
    /// Octets that may still come.
    left: i64,
    /// Octets that were read, of which the peer was not told yet.
    unreturned: u32,
    /// How large it is when nothing is under way.
    octets: u32,
}

impl Default for ReceiveWindow {
    fn default() -> Self {
        Self::new(WINDOW_OCTETS)
    }
}

impl ReceiveWindow {
    /// A window of so many octets, which the peer knows of.
    #[must_use]
    pub const fn new(octets: u32) -> Self {
        Self { left: octets as i64, unreturned: 0, octets }
    }

    /// Takes room for octets that came; false when there is none.
    #[inline]
    #[must_use]
    pub const fn take(&mut self, octets: usize) -> bool {
        self.left -= octets as i64;
        self.left >= 0
    }

    /// Notes that so many octets were read; returns what to tell the peer once it is worth a frame.
    #[inline]
    pub const fn release(&mut self, octets: usize) -> Option<u32> {
        self.unreturned += octets as u32;
        if self.unreturned < self.octets / 2 { None } else { self.returned() }
    }

    /// Makes the window larger; returns what to tell the peer.
    pub const fn grow(&mut self, octets: u32) -> Option<u32> {
        let more = octets.saturating_sub(self.octets);
        self.octets += more;
        self.unreturned += more;
        self.returned()
    }

    /// How large it is when nothing is under way, in octets.
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.octets
    }

    /// Octets that may still come.
    #[must_use]
    pub const fn left(&self) -> i64 {
        self.left
    }

    const fn returned(&mut self) -> Option<u32> {
        let more = self.unreturned;
        self.unreturned = 0;
        self.left += more as i64;
        if more == 0 { None } else { Some(more) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_to_the_peer_may_fall_below_nothing_and_not_beyond_31_bits() {
        let mut window = SendWindow::new(10);
        window.take(4);
        assert!(window.change(-10));
        assert_eq!(window.octets(), 0);
        assert!(window.change(5));
        assert_eq!(window.octets(), 1);
        assert!(window.change(i64::from(MAX_31) - 1));
        assert!(!window.change(1));
    }

    #[test]
    fn the_peer_is_told_when_half_a_window_was_read() {
        let mut window = ReceiveWindow::new(100);
        assert!(window.take(100));
        assert_eq!((window.release(49), window.release(1), window.release(0)), (None, Some(50), None));
        assert!(window.take(50) && !window.take(1));
        let mut window = ReceiveWindow::new(100);
        assert_eq!((window.grow(250), window.grow(250), window.size()), (Some(150), None, 250));
    }
}
