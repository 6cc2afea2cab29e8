//! Client for OneLogin's multi-factor authentication API, and the wire types that factord serves it with.

#[cfg(feature = "client")]
mod client;
pub mod models;

#[cfg(feature = "client")]
pub use client::{
    ApiClient, ApiError, Challenge, Configuration, DecodeError, Error,
    MultiFactorAuthenticationApi, OAuth2Api, Page, Result, UserQuery, UserStream, UsersApi, Wait,
};
