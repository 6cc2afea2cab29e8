//! placeholder

pub mod config;
pub mod net;
