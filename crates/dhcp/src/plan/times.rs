//! How long leases last, and when clients are to renew them. RFC 2131 §4.4.5.

use super::PlanFault;

/// How long leases last, in seconds; `u32::MAX` is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTimes {
    /// When the client does not say.
    pub default: u32,
    /// At least.
    pub min: u32,
    /// At most.
    pub max: u32,
    /// When the client asks for more (T1), in thousandths of the lease.
    pub renewal_permille: u32,
    /// When it asks anybody (T2), in thousandths of the lease.
    pub rebinding_permille: u32,
}

impl Default for LeaseTimes {
    /// Four hours, between a minute and a week; T1 at half, T2 at seven eighths (RFC 2131 §4.4.5).
    fn default() -> Self {
        Self { default: 4 * 3600, min: 60, max: 7 * 86_400, renewal_permille: 500, rebinding_permille: 875 }
    }
}

impl LeaseTimes {
    /// How long a lease lasts for a client that asks for `wanted`.
    #[must_use]
    pub fn seconds(&self, wanted: Option<u32>) -> u32 {
        wanted.unwrap_or(self.default).clamp(self.min, self.max)
    }

    /// T1 of a lease, in seconds.
    #[must_use]
    pub fn renewal(&self, seconds: u32) -> u32 {
        part(seconds, self.renewal_permille)
    }

    /// T2 of a lease, in seconds.
    #[must_use]
    pub fn rebinding(&self, seconds: u32) -> u32 {
        part(seconds, self.rebinding_permille)
    }

    pub(super) fn check(&self, of: &str) -> Result<(), PlanFault> {
        if self.min == 0 || self.min > self.default || self.default > self.max {
            return Err(PlanFault(format!("lease times of {of}: shortest, usual and longest do not ascend")));
        }
        if self.renewal_permille > self.rebinding_permille || self.rebinding_permille > 1000 {
            return Err(PlanFault(format!("lease times of {of}: T1, T2 and the end do not ascend")));
        }
        Ok(())
    }
}

fn part(seconds: u32, permille: u32) -> u32 {
    if seconds == u32::MAX { u32::MAX } else { (u64::from(seconds) * u64::from(permille) / 1000) as u32 }
}
