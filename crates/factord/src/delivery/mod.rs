//! Sending what was committed: each message at least once, never before its commit.

pub mod dispatcher;
pub mod message;
pub mod outbox;
