//! The asynchronous client: one connection pool and one bearer token for all operations.

mod answer;
mod bearer;
mod challenge;
mod configuration;
mod connection;
mod decode;
mod entropy;
mod error;
mod mfa;
mod oauth;
mod retry;
mod tls;
mod trace;
mod user_list;
mod users;
mod wait;

pub use self::{
    challenge::Challenge,
    configuration::Configuration,
    connection::ApiClient,
    error::{ApiError, DecodeError, Error, Result},
    mfa::MultiFactorAuthenticationApi,
    oauth::OAuth2Api,
    user_list::{Page, UserQuery, UserStream},
    users::UsersApi,
    wait::Wait,
};
