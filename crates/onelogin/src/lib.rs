//! Client for OneLogin's multi-factor authentication API, and the wire types that factord serves it with.

pub mod models;
