//! Sending what was committed: each message at least once, never before its commit.

mod breaker;
pub mod callback;
pub mod dispatcher;
pub mod faults;
mod http;
mod lanes;
mod letter;
pub mod message;
pub mod outbox;
pub mod provider;
pub mod router;
pub mod settings;
pub mod smtp;
pub mod twilio;
pub mod web_push;
pub mod webhook;

pub(crate) use http::{client, is_loopback, short_body};
