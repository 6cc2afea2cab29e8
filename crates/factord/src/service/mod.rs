//! The shell around the core: load, decide, commit. Nothing here is a rule; nothing here knows the wire.

pub mod access;
mod answers;
pub mod cleaner;
pub mod pushes;
pub mod rate_limit;
mod workshop;

use std::sync::Arc;

use uuid::Uuid;

use pushes::Pushes;
use workshop::Workshop;

use crate::factor::{Description, NoAnswer};
use crate::mfa::cores::Cores;
use crate::mfa::decision::Decide;
use crate::mfa::ids::{DeviceId, UserId};
use crate::mfa::refusal::Refusal;
use crate::mfa::registration::{self, RegistrationView};
use crate::mfa::user::{Device, Profile, User, Verification};
use crate::mfa::verification::{CreateVerification, VerificationView};
use crate::mfa::{Core, verification};
use crate::store::{self, Loaded, Store, StoreError, UserFilter, UserPage};

/// The operations on users and their factors.
#[derive(Clone)]
pub struct Service {
    cores: Cores,
    store: Arc<dyn Store>,
    workshop: Arc<Workshop>,
    pushes: Arc<Pushes>,
}

/// Why an operation was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such user.
    #[error("no such user")]
    NoSuchUser,
    /// The rules say no.
    #[error("refused")]
    Refused(Refusal),
    /// The user has tried so many long codes that the next waits for this many seconds.
    #[error("too many tries")]
    TooManyTries(u64),
    /// Another service that is needed did not answer.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// The database could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A device or a temporary token as get_authentication_devices lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedDevice {
    /// Its id.
    pub id: DeviceId,
    /// The name that the caller gave it.
    pub display_name: String,
    /// The wire's `type_display_name`.
    pub type_display_name: &'static str,
    /// The wire's `auth_factor_name`.
    pub auth_factor_name: &'static str,
    /// Whether it is the oldest device that the user may use.
    pub default: bool,
}

impl Service {
    /// The service over one store, whose decisions know the same core.
    pub fn new(cores: impl Into<Cores>, store: Arc<dyn Store>) -> Self {
        Self {
            cores: cores.into(),
            store,
            workshop: Arc::default(),
            pushes: Arc::default(),
        }
    }

    /// What every decision knows, as it stands now.
    pub fn core(&self) -> Arc<Core> {
        self.cores.current()
    }

    /// The store beneath.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The apps that wait for a push.
    pub const fn pushes(&self) -> &Arc<Pushes> {
        &self.pushes
    }

    /// What limits how often a user's codes cause work: to be shared with other nodes.
    pub fn limiters(&self) -> [Arc<rate_limit::RateLimiter>; 2] {
        self.workshop.limiters()
    }

    /// Decides a command about a user; what it answers is durable.
    ///
    /// # Errors
    /// [`Error`], with nothing changed but what the refusal itself counts.
    pub async fn decide<D: Decide>(&self, user: UserId, command: D) -> Result<D::Answer, Error> {
        let answer = store::decide(&*self.store, user, command).await?;
        Ok(answer.ok_or(Error::NoSuchUser)??)
    }

    /// create_device_verification without a code; an app that waits for it is told.
    ///
    /// # Errors
    /// As [`Service::decide`].
    pub async fn challenge(
        &self,
        user: UserId,
        command: CreateVerification,
    ) -> Result<VerificationView, Error> {
        let view = self.decide(user, command).await?;
        self.pushes.announce(user, view.verification.device);
        Ok(view)
    }

    /// get_auth_factors: what the user may still enrol.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`] or [`Error::Store`].
    pub async fn factors(&self, user: UserId) -> Result<Vec<(i64, &'static Description)>, Error> {
        let loaded = self.load(user, None).await?;
        Ok(registration::enrollable(&self.core(), &loaded.user).collect())
    }

    /// get_authentication_devices: the confirmed devices, and the temporary tokens that are alive.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`] or [`Error::Store`].
    pub async fn devices(&self, user: UserId) -> Result<Vec<ListedDevice>, Error> {
        let Loaded { user, now, .. } = self.load(user, None).await?;
        let core = self.core();
        let policy = core.policy(&user.profile);
        let usable = |device: &Device| {
            let factor = core.catalogue.described(device.factor_id);
            factor.is_some_and(|factor| !policy.disables(factor))
        };
        let default = user.mfa.devices.iter().position(usable);
        let devices = user
            .mfa
            .devices
            .into_iter()
            .enumerate()
            .map(|(index, device)| {
                let factor = core.catalogue.described(device.factor_id);
                ListedDevice {
                    id: DeviceId::Device(device.number),
                    display_name: device.display_name,
                    type_display_name: factor.map_or("", |factor| factor.name),
                    auth_factor_name: factor.map_or("", |factor| factor.auth_factor_name),
                    default: Some(index) == default,
                }
            });
        let alive = user
            .mfa
            .temporary_tokens
            .into_iter()
            .filter(|token| token.expires_at > now);
        let tokens = alive.map(|token| ListedDevice {
            id: token.device_id(),
            display_name: TEMPORARY_TOKEN.to_owned(),
            type_display_name: TEMPORARY_TOKEN,
            auth_factor_name: TEMPORARY_TOKEN,
            default: false,
        });
        Ok(devices.chain(tokens).collect())
    }

    /// get_user_registration.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] if the user has no such registration, or it finished too long ago.
    pub async fn registration(&self, user: UserId, id: Uuid) -> Result<RegistrationView, Error> {
        let Loaded {
            user,
            finished,
            now,
        } = self.load(user, Some(id)).await?;
        let view = registration::view(&self.core(), &user, finished.as_ref(), id, now)
            .map_err(Refusal::Fault)?;
        Ok(view.ok_or(Refusal::NotFound)?)
    }

    /// get_user_verification.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] if the user has no such verification, or it finished too long ago.
    pub async fn verification(&self, user: UserId, id: Uuid) -> Result<Verification, Error> {
        let Loaded {
            user,
            finished,
            now,
        } = self.load(user, Some(id)).await?;
        Ok(verification::view(&user, finished.as_ref(), id, now).ok_or(Refusal::NotFound)?)
    }

    /// The user.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`] or [`Error::Store`].
    pub async fn user(&self, user: UserId) -> Result<User, Error> {
        Ok(self.load(user, None).await?.user)
    }

    /// Creates a user.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the username is taken.
    pub async fn create_user(&self, profile: Profile) -> Result<User, Error> {
        Ok(self.store.create_user(profile).await?)
    }

    /// The users that a filter picks.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn users(&self, filter: UserFilter) -> Result<UserPage, Error> {
        Ok(self.store.users(filter).await?)
    }

    async fn load(&self, user: UserId, finished: Option<Uuid>) -> Result<Loaded, Error> {
        self.store
            .load(user, finished)
            .await?
            .ok_or(Error::NoSuchUser)
    }
}

const TEMPORARY_TOKEN: &str = "Temporary MFA Token";
