//! The cryptographic pieces: one-time codes, sealing at rest, keyed hashes, and bearer tokens.

pub mod keys;
pub mod otp;
pub mod sealing;
pub mod tokens;
pub mod web_push;
pub mod yubico_otp;
