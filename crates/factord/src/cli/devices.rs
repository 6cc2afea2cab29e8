//! `factord user devices`: what a user has enrolled, and how each device stands.

use serde::Serialize;

use super::data::Data;
use super::user::existing;
use crate::clock::Timestamp;
use crate::mfa::Core;
use crate::mfa::ids::DeviceId;
use crate::mfa::throttle::Gate;
use crate::mfa::user::{Device, User};

/// Lists the devices of the user whom `text` means.
pub(super) async fn list(data: &Data, text: &str) -> anyhow::Result<()> {
    let node = data.open().await?;
    let user = existing(&node, text).await?;
    let (core, now) = (node.service.core(), node.store.now());
    let shown: Vec<_> = user
        .mfa
        .devices
        .iter()
        .map(|device| Shown::of(&core, &user, device, now))
        .collect();
    let rows: Vec<_> = shown.iter().map(Shown::row).collect();
    data.output.list(&shown, HEADINGS, &rows)
}

#[derive(Serialize)]
struct Shown<'a> {
    device_id: String,
    factor: Option<&'static str>,
    display_name: &'a str,
    /// What the factor says of it, such as how many recovery codes are left.
    detail: Option<String>,
    state: &'static str,
    /// Seconds until a code is looked at again.
    delay: Option<u64>,
    /// Wrong codes in a row.
    failures: u32,
    created_at: String,
}

impl<'a> Shown<'a> {
    fn of(core: &Core, user: &User, device: &'a Device, now: Timestamp) -> Self {
        let factor = core.catalogue.factor(device.factor_id);
        let is_enabled =
            factor.is_some_and(|factor| !core.policy(&user.profile).disables(factor.description()));
        let gate = if !is_enabled {
            Gate::FactorDisabled
        } else if device.disabled {
            Gate::Disabled
        } else {
            device.throttle.gate(now, &core.rules)
        };
        let (state, delay) = match gate {
            Gate::Open => ("working", None),
            Gate::Delayed(seconds) => ("delayed", Some(seconds)),
            Gate::Disabled => ("disabled", None),
            Gate::FactorDisabled => ("factor disabled", None),
        };
        Self {
            device_id: DeviceId::Device(device.number).to_string(),
            factor: factor.map(|factor| factor.description().key),
            display_name: &device.display_name,
            detail: factor.and_then(|factor| factor.detail(device)),
            state,
            delay,
            failures: device.throttle.failures,
            created_at: device.created_at.to_string(),
        }
    }

    fn row(&self) -> Vec<String> {
        let state = match self.delay {
            Some(seconds) => format!("{} ({seconds} s)", self.state),
            None => self.state.to_owned(),
        };
        vec![
            self.device_id.clone(),
            self.factor.unwrap_or("-").to_owned(),
            self.display_name.to_owned(),
            self.detail.clone().unwrap_or_default(),
            state,
            self.failures.to_string(),
            self.created_at.clone(),
        ]
    }
}

const HEADINGS: &[&str] = &[
    "ID", "FACTOR", "NAME", "DETAIL", "STATE", "FAILURES", "CREATED",
];
