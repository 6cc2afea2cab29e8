//! Answers to challenges. A long code may need a computation that is too slow for a store's transaction: it is done
//! here first, for few at a time, and the decision gets its result.

use std::sync::Arc;

use tokio::sync::Semaphore;
use uuid::Uuid;

use super::rate_limit::RateLimiter;
use super::{Error, Service};
use crate::clock;
use crate::factor::Work;
use crate::factor::webauthn::Answer;
use crate::mfa::answer::{Accepted, GiveAnswer, Origin, Outcome};
use crate::mfa::code::Code;
use crate::mfa::comparison::Evidence;
use crate::mfa::completion::{CompleteVerification, VerifyCode};
use crate::mfa::confirmation::ConfirmRegistration;
use crate::mfa::data::{Data, Fault};
use crate::mfa::ids::{DeviceId, DeviceNumber, UserId};
use crate::mfa::refusal::Refusal;
use crate::mfa::user::{Registration, User, Verification};

/// Where slow computations are done.
pub(super) struct Workshop {
    places: Arc<Semaphore>,
    tries: RateLimiter,
}

impl Default for Workshop {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            tries: RateLimiter::with_window(Some(TRIES_A_MINUTE), MINUTE),
        }
    }
}

impl Service {
    /// verify_user_registration.
    ///
    /// # Errors
    /// As [`Service::decide`], and [`Error::TooManyTries`].
    pub async fn confirm(
        &self,
        user: UserId,
        id: Uuid,
        code: Option<Code>,
    ) -> Result<Registration, Error> {
        let evidence = self.evidence_of_confirmation(user, id).await?;
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
    /// As [`Service::decide`], and [`Error::TooManyTries`].
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
    /// As [`Service::decide`], and [`Error::TooManyTries`].
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
        let devices = devices(&user)
            .into_iter()
            .filter_map(|number| user.mfa.device(number));
        let work = devices.into_iter().find_map(|device| {
            let factor = core.catalogue.factor(device.factor_id)?;
            if core.policy(&user.profile).disables(factor.description()) {
                return None;
            }
            Some((device.number, factor.prepare(device, code)?))
        });
        let Some((device, work)) = work else {
            return Ok(None);
        };
        let data = self.work(user.id, work).await?;
        Ok(Some(Evidence { device, data }))
    }

    async fn evidence_of_confirmation(
        &self,
        user: UserId,
        id: Uuid,
    ) -> Result<Option<Data>, Error> {
        let (user, core) = (self.load(user, None).await?.user, self.core());
        let Some(pending) = user
            .mfa
            .registrations
            .iter()
            .find(|pending| pending.id == id)
        else {
            return Ok(None);
        };
        let factor = core.catalogue.factor(pending.factor_id);
        let rng = &mut clock::system_rng();
        match factor.and_then(|factor| factor.prepare_confirmation(&core, user.id, pending, rng)) {
            Some(work) => self.work(user.id, work).await.map(Some),
            None => Ok(None),
        }
    }

    /// Does a computation when there is a place for it.
    async fn work(&self, user: UserId, work: Work) -> Result<Data, Error> {
        let key = user.to_string();
        self.workshop
            .tries
            .admit(&key, self.store.now())
            .map_err(Error::TooManyTries)?;
        let places = Arc::clone(&self.workshop.places);
        // The semaphore is never closed, and a computation that panics has found something stored to be unusable.
        let fault = || Error::Refused(Refusal::Fault(Fault::Record));
        let _place = places.acquire().await.map_err(|_| fault())?;
        tokio::task::spawn_blocking(work).await.map_err(|_| fault())
    }
}

/// Computations at once in the process: each takes 19 MiB.
const AT_ONCE: usize = 2;
/// Computations that one user may cause in a minute.
const TRIES_A_MINUTE: u32 = 10;
const MINUTE: i64 = 60;
