//! A text that is not what it has to be.

/// Why a text is not the name that it should be: prose for the person who sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

/// Such an error, as a result.
///
/// # Errors
/// Always.
pub fn malformed<T>(why: impl Into<String>) -> Result<T, Malformed> {
    Err(Malformed(why.into()))
}
