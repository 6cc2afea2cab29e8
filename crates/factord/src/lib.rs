//! factord: a multi-factor authentication service, wire-compatible with OneLogin's MFA API v2.
//!
//! One road for every request: `http` parses and renders, [`service`] loads and commits, [`mfa`] decides, [`store`]
//! keeps, [`delivery`] sends. `docs/architecture.md` says why.

pub mod audit;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod delivery;
pub mod factor;
pub mod http;
pub mod messages;
pub mod mfa;
pub mod net;
pub mod node;
pub mod service;
pub mod store;
pub mod telemetry;
