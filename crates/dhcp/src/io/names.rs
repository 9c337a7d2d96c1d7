//! Who puts the names of leases into zones. The program hands over its own name server.

use doorway_net::BoxFuture;
use doorway_store::Batch;

use crate::name::NameChange;

/// Writes the rows of the leases, once it is known which full name each change led to: `None` for a lease
/// that ended, and for one whose name could not be had.
pub type Rows = Box<dyn FnOnce(&[Option<String>]) -> Batch + Send>;

/// Most changes in one call.
pub const CHANGES_MAX: usize = 500;

/// Makes what leases mean for DNS true.
pub trait Names: Send + Sync {
    /// Makes all of `changes`, at most [`CHANGES_MAX`], and writes what `rows` gives for them, in one transaction. A change that a rule
    /// forbids (the name is another's, or stands in the zone file) leads to another name or to none; that is
    /// no error and leaves its neighbours alone. Returns the name that each change led to.
    fn change(
        &self,
        changes: Vec<NameChange>,
        rows: Rows,
    ) -> BoxFuture<'_, Result<Vec<Option<String>>, NamesError>>;
}

/// Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamesError(pub String);

impl std::fmt::Display for NamesError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the names of leases could not be written: {}", self.0)
    }
}

impl std::error::Error for NamesError {}
