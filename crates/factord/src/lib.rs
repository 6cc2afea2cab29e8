//! placeholder

pub mod config;
pub mod net;
pub mod telemetry;
