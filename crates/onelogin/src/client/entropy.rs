//! The one place that asks the system for randomness. It spreads retries and polls over time; no secret comes from here.

/// A number from 0 (included) to 1 (excluded).
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place of the client that draws"
)]
pub(crate) fn jitter() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5, // all that is lost is the spread
    }
}
