//! Answers to challenges. A long code may need what is too slow for a store's transaction: it is done first, in the
//! workshop, and the decision gets its result.

use uuid::Uuid;

use super::{Error, Service};
use crate::audit::{Action, Reason};
use crate::clock;
use crate::factor::Work;
use crate::factor::webauthn::Answer;
use crate::mfa::answer::{Accepted, GiveAnswer, Origin, Outcome};
use crate::mfa::code::Code;
use crate::mfa::comparison::Evidence;
use crate::mfa::completion::{CompleteVerification, VerifyCode};
use crate::mfa::confirmation::ConfirmRegistration;
use crate::mfa::data::Data;
use crate::mfa::ids::{DeviceId, DeviceNumber, UserId};
use crate::mfa::noted::{About, NoteRefusal};
use crate::mfa::refusal::Refusal;
use crate::mfa::user::{Registration, User, Verification};

impl Service {
    /// verify_user_registration.
    ///
    /// # Errors
    /// As [`Service::decide`], [`Error::TooManyTries`] and [`Error::NoAnswer`].
    pub async fn confirm(
        &self,
        user: UserId,
        id: Uuid,
        code: Option<Code>,
    ) -> Result<Registration, Error> {
        let evidence = self
            .evidence_of_confirmation(user, id, code.as_ref())
            .await?;
        self.decide(user, ConfirmRegistration { id, code, evidence })
            .await
    }

    /// verify_user_registration with a credential.
    ///
    /// # Errors
    /// As [`Service::decide`].
    pub async fn register_credential(
        &self,
        user: UserId,
        id: Uuid,
        credential: serde_json::Value,
    ) -> Result<Registration, Error> {
        let command = GiveAnswer {
            id,
            from: Origin::Caller(None),
            answer: Data::of(&Answer::Caller(credential)),
        };
        match self.decide(user, command).await? {
            Outcome::Accepted(Accepted::Registration(registration)) => Ok(registration),
            _ => Err(Error::Refused(Refusal::NotFound)),
        }
    }

    /// verify_user_verification.
    ///
    /// # Errors
    /// As [`Service::decide`], [`Error::TooManyTries`] and [`Error::NoAnswer`].
    pub async fn complete(
        &self,
        user: UserId,
        mut command: CompleteVerification,
    ) -> Result<(), Error> {
        if let Some(code) = command.code.as_ref().filter(|code| code.is_long()) {
            let challenged = |pending: &Verification| pending.id == command.id;
            command.evidence = self
                .evidence(user, code, |user| {
                    let pending = user.mfa.verifications.iter().filter(|it| challenged(it));
                    pending.map(|pending| pending.device).collect()
                })
                .await?;
        }
        self.decide(user, command).await
    }

    /// create_device_verification with a code.
    ///
    /// # Errors
    /// As [`Service::decide`], [`Error::TooManyTries`] and [`Error::NoAnswer`].
    pub async fn verify(&self, user: UserId, mut command: VerifyCode) -> Result<(), Error> {
        if command.code.is_long() {
            let named = command.device.map(DeviceId::number);
            command.evidence = self
                .evidence(user, &command.code, |user| match named {
                    Some(device) => vec![device],
                    None => user
                        .mfa
                        .verifications
                        .iter()
                        .map(|pending| pending.device)
                        .collect(),
                })
                .await?;
        }
        self.decide(user, command).await
    }

    /// What the first of the devices that need it needs computed for `code`.
    async fn evidence(
        &self,
        user: UserId,
        code: &Code,
        devices: impl FnOnce(&User) -> Vec<DeviceNumber>,
    ) -> Result<Option<Evidence>, Error> {
        let (user, core) = (self.load(user, None).await?.user, self.core());
        if !user.profile.is_active() {
            return Ok(None);
        }
        let devices = devices(&user)
            .into_iter()
            .filter_map(|number| user.mfa.device(number));
        let rng = &mut clock::system_rng();
        let work = devices.into_iter().find_map(|device| {
            let factor = core.catalogue.factor(device.factor_id)?;
            if core.policy(&user.profile).disables(factor.description()) {
                return None;
            }
            Some((device.number, factor.prepare(device, code, rng)?))
        });
        let Some((device, work)) = work else {
            return Ok(None);
        };
        let action = Action::CompleteVerification;
        let data = self.work(user.id, action, device, work).await?;
        Ok(Some(Evidence { device, data }))
    }

    async fn evidence_of_confirmation(
        &self,
        user: UserId,
        id: Uuid,
        code: Option<&Code>,
    ) -> Result<Option<Data>, Error> {
        let (user, core) = (self.load(user, None).await?.user, self.core());
        let Some(pending) = user
            .mfa
            .registrations
            .iter()
            .find(|pending| pending.id == id && user.profile.is_active())
        else {
            return Ok(None);
        };
        let factor = core.catalogue.factor(pending.factor_id);
        let rng = &mut clock::system_rng();
        match factor
            .and_then(|factor| factor.prepare_confirmation(&core, user.id, pending, code, rng))
        {
            Some(work) => {
                let action = Action::ConfirmRegistration;
                let done = self.work(user.id, action, pending.device, work).await;
                done.map(Some)
            }
            None => Ok(None),
        }
    }

    /// Does the work for a code of `device`. That there were too many tries leaves an event, as every refusal does.
    async fn work(
        &self,
        user: UserId,
        action: Action,
        device: DeviceNumber,
        work: Work,
    ) -> Result<Data, Error> {
        let done = self.workshop.work(user, self.store.now(), work).await;
        if let Err(Error::TooManyTries(_)) = done {
            let noted = NoteRefusal {
                action,
                about: About::Device(device),
                reason: Reason::TooManyTries,
            };
            self.decide(user, noted).await?;
        }
        done
    }
}
