//! Who calls: credentials, their scopes, and the bearer tokens they are given (contract, Authorization).

pub mod scope;

use secrecy::SecretString;

use crate::clock::Timestamp;
use crate::crypto::tokens::TokenHash;
use scope::Scope;

/// An API credential: the client id and secret of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The client id.
    pub id: String,
    /// The hash of the client secret.
    pub secret: TokenHash,
    /// What its tokens may do.
    pub scope: Scope,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was revoked; it gives no tokens since, and those it gave are void.
    pub revoked_at: Option<Timestamp>,
}

/// A pair of bearer tokens as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPair {
    /// The hash of the access token.
    pub access: TokenHash,
    /// The hash of the refresh token.
    pub refresh: TokenHash,
    /// The credential that it was given to.
    pub credential: String,
    /// What it may do.
    pub scope: Scope,
    /// When it was given.
    pub created_at: Timestamp,
    /// The first moment at which the access token is void.
    pub expires_at: Timestamp,
}

/// A pair of bearer tokens, the one time that it is shown.
#[derive(Debug)]
pub struct IssuedPair {
    /// The access token.
    pub access: SecretString,
    /// The refresh token.
    pub refresh: SecretString,
    /// When it was given.
    pub created_at: Timestamp,
}

/// Seconds that an access token lives (contract, POST /auth/oauth2/v2/token).
pub const ACCESS_TOKEN_SECONDS: i64 = 36_000;
