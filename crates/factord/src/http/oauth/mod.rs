//! Tokens for applications (contract, Authorization). Errors here have the shape of the older API.

mod client;
pub(super) mod rate_limit;
pub(super) mod revoke;
pub(super) mod token;
