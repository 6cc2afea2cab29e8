//! A factor's own record inside a device, registration or verification: JSON that only the factor reads.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A JSON document of one factor's own making. The core stores it and never looks inside; it does not print.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Data(Box<RawValue>);

impl Data {
    /// Writes a record.
    ///
    /// # Panics
    /// If `record` cannot be JSON (a map whose keys are not strings): a mistake in the factor.
    #[expect(clippy::expect_used, reason = "a factor's record is plain fields")]
    pub fn of<T: Serialize>(record: &T) -> Self {
        Self(serde_json::value::to_raw_value(record).expect("a factor's record is plain fields"))
    }

    /// Reads the record back.
    ///
    /// # Errors
    /// [`Fault`] if the document is not a `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_json::from_str(self.0.get()).map_err(|_| Fault::Record)
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Data(…)")
    }
}

/// The empty record, `null`.
impl Default for Data {
    fn default() -> Self {
        Self(RawValue::NULL.to_owned())
    }
}

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

/// What is stored cannot be used: the decision fails closed, and an operator must look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A factor's record is not what that factor writes.
    #[error("a stored record is not of its factor's form")]
    Record,
    /// A sealed value does not open.
    #[error(transparent)]
    Sealed(#[from] crate::crypto::sealing::DoesNotOpen),
}
