//! Enrolling a device: a registration is created, and read until it is confirmed or ends.

use uuid::Uuid;

use super::Core;
use super::data::{Data, Fault};
use super::decision::{Decide, Draft, Link, Reads};
use super::ids::DeviceId;
use super::refusal::Refusal;
use super::user::{Device, Ending, Finished, Registration, Status, User};
use super::values::Values;
use crate::audit::Action;
use crate::clock::Timestamp;
use crate::delivery::message::Channel;
use crate::factor::{Ceremony, Codes, Description, Factor, Issued, Shown};

/// create_factor_registration.
#[derive(Debug)]
pub struct CreateRegistration {
    /// The factor to enrol.
    pub factor_id: i64,
    /// The name of the device.
    pub display_name: String,
    /// Seconds until it expires.
    pub expires_in: Option<i64>,
    /// Whether the caller vouches that the user's phone or address is proven.
    pub verified: bool,
    /// Where the browser goes after a page.
    pub redirect_to: Option<String>,
    /// The text of the message.
    pub custom_message: Option<String>,
}

/// A registration, and what its caller may see.
#[derive(Debug)]
pub struct RegistrationView {
    /// The registration.
    pub registration: Registration,
    /// Its factor, unless it is offered no more.
    pub factor: Option<&'static Description>,
    /// What is shown while it is pending.
    pub shown: Shown,
}

impl Decide for CreateRegistration {
    type Answer = RegistrationView;
    const ACTION: Action = Action::CreateRegistration;

    fn reads(&self, core: &Core, user: &User) -> Reads {
        let factor = core.catalogue.factor(self.factor_id);
        Reads {
            destination: factor.and_then(|factor| destination(factor.description(), user)),
            ..Reads::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<RegistrationView, Refusal> {
        if !draft.user.profile.is_active() {
            return Err(Refusal::NotActive);
        }
        let (factor, expires_in) = self.check(draft)?;
        let description = factor.description();
        let destination = destination(description, draft.user);
        let mut registration = Registration {
            id: super::ids::draw_uuid(draft.rng, draft.moment),
            device: draft.draw_device_number(),
            factor_id: self.factor_id,
            display_name: self.display_name.clone(),
            created_at: draft.now,
            expires_at: draft.now.plus(expires_in),
            status: Status::Pending,
            ending: None,
            destination,
            guesses: 0,
            redirect_to: self.redirect_to.clone(),
            data: Data::default(),
        };
        let issued = if self.verified {
            Issued::default()
        } else {
            self.start(draft, factor, &registration)?
        };
        draft.end_registrations(Ending::Superseded, |older| {
            older.factor_id == registration.factor_id
        });
        if self.verified {
            registration.finish(None);
            let device = registration.device(draft.now, Data::default());
            draft.add_device(device);
            let finished = Finished::Registration(registration.clone());
            draft.effects.finished.push(finished);
        } else {
            registration.data = issued.data;
            draft.user.mfa.registrations.push(registration.clone());
            draft.effects.messages.extend(issued.message);
            let expires_at = registration.expires_at;
            let links = issued.links.into_iter();
            let links = links.map(|token| Link::until(token, expires_at));
            draft.effects.links.extend(links);
        }
        draft.record(
            Some(DeviceId::Device(registration.device)),
            Self::ACTION,
            None,
        );
        Ok(RegistrationView {
            registration,
            factor: Some(description),
            shown: issued.shown,
        })
    }
}

impl CreateRegistration {
    /// Checks the values, and gives the factor and the seconds until the registration expires.
    fn check(&self, draft: &Draft<'_>) -> Result<(&'static dyn Factor, i64), Refusal> {
        let (core, user) = (draft.core, &*draft.user);
        let mut values = Values::default();
        let expires_in = values.expires_in(self.expires_in, core.policy(&user.profile));
        values.display_name(&self.display_name);
        values.redirect_to(self.redirect_to.as_deref(), &core.redirects);
        let factor = core.catalogue.factor(self.factor_id);
        let factor =
            factor.filter(|factor| may_enrol(core, user, self.factor_id, factor.description()));
        let Some(factor) = factor else {
            values.require("factor_id", false);
            values.check()?;
            return Err(Refusal::invalid("factor_id"));
        };
        let description = factor.description();
        if let Some(field) = description.channel.and_then(destination_field) {
            values.require(field, destination(description, user).is_some());
        }
        let may_be_verified = description.channel.is_some() && description.codes != Codes::None;
        values.require("verified", !self.verified || may_be_verified);
        if description.channel == Some(Channel::Sms) {
            values.custom_message(self.custom_message.as_deref(), expires_in);
        }
        values.check()?;
        Ok((factor, expires_in))
    }

    /// Asks the factor to start, and counts the message that it sends.
    fn start(
        &self,
        draft: &mut Draft<'_>,
        factor: &dyn Factor,
        registration: &Registration,
    ) -> Result<Issued, Refusal> {
        let issued = factor.enrol(&mut Ceremony {
            destination: registration.destination.as_deref(),
            custom_message: self.custom_message.as_deref(),
            redirect_to: self.redirect_to.as_deref(),
            display_name: Some(&self.display_name),
            ..draft.ceremony(
                registration.id,
                registration.device,
                registration.expires_at,
            )
        })?;
        if issued.message.is_some() {
            draft
                .history
                .admit_registration(registration.id, draft.now, &draft.core.rules)
                .map_err(|enough| Refusal::TooManyMessages(enough.0))?;
        }
        Ok(issued)
    }
}

impl Registration {
    /// The device that the registration becomes.
    pub(super) fn device(&self, now: Timestamp, data: Data) -> Device {
        Device {
            disabled: false,
            number: self.device,
            factor_id: self.factor_id,
            display_name: self.display_name.clone(),
            created_at: now,
            imported: false,
            destination: self.destination.clone(),
            throttle: super::throttle::Throttle::default(),
            last_code: None,
            data,
        }
    }
}

/// get_user_registration: how a registration stands at `now`, and what is shown of it while it is pending. `finished`
/// is the finished one with this id, if there is one.
///
/// # Errors
/// [`Fault`] if what is stored of it cannot be used.
pub fn view(
    core: &Core,
    user: &User,
    finished: Option<&Finished>,
    id: Uuid,
    now: Timestamp,
) -> Result<Option<RegistrationView>, Fault> {
    let Some(mut registration) = find(user, &[], finished, id).cloned() else {
        return Ok(None);
    };
    let factor = core.catalogue.factor(registration.factor_id);
    if registration.status == Status::Pending && registration.expires_at <= now {
        registration.finish(Some(Ending::Expired));
    }
    let shown = match factor {
        Some(factor) if registration.status == Status::Pending => {
            factor.show(core, user.id, &user.profile, &registration)?
        }
        _ => Shown::default(),
    };
    Ok(Some(RegistrationView {
        registration,
        factor: factor.map(Factor::description),
        shown,
    }))
}

/// What get_auth_factors lists: the factors that this user may still enrol.
pub fn enrollable(core: &Core, user: &User) -> impl Iterator<Item = (i64, &'static Description)> {
    let offered = core.catalogue.offered();
    offered.filter(|(id, description)| may_enrol(core, user, *id, description))
}

/// Passes if what is pending may still become a device.
pub(super) fn still_offered(
    core: &Core,
    user: &User,
    pending: &Registration,
) -> Result<(), Refusal> {
    let factor = core.catalogue.described(pending.factor_id);
    factor
        .filter(|factor| may_enrol(core, user, pending.factor_id, factor))
        .map(drop)
        .ok_or(Refusal::FactorDisabled)
}

/// Whether the user's policy offers the factor, and has room for one more device of it.
fn may_enrol(core: &Core, user: &User, factor_id: i64, description: &Description) -> bool {
    let policy = core.policy(&user.profile);
    let devices = user.mfa.devices.iter();
    let enrolled = devices
        .filter(|device| device.factor_id == factor_id && !device.imported)
        .count();
    policy.offers(description)
        && (enrolled < policy.devices(description) || description.replaces_older)
}

/// Where messages of the factor go for this user.
fn destination(description: &Description, user: &User) -> Option<String> {
    match destination_field(description.channel?)? {
        "phone" => user.profile.phone.clone(),
        _ => user.profile.email.clone(),
    }
    .filter(|destination| !destination.is_empty())
}

/// The field of the profile that says where messages by this channel go.
const fn destination_field(channel: Channel) -> Option<&'static str> {
    match channel {
        Channel::Sms | Channel::Voice => Some("phone"),
        Channel::Email => Some("email"),
        Channel::Push => None,
    }
}

pub(super) fn find<'a>(
    user: &'a User,
    just_finished: &'a [Finished],
    finished: Option<&'a Finished>,
    id: Uuid,
) -> Option<&'a Registration> {
    let ended = just_finished
        .iter()
        .chain(finished)
        .find_map(|finished| match finished {
            Finished::Registration(registration) if registration.id == id => Some(registration),
            _ => None,
        });
    user.mfa
        .registrations
        .iter()
        .find(|registration| registration.id == id)
        .or(ended)
}
