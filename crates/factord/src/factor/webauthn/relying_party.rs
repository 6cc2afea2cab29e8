//! The relying party: who asks for keys, from which pages, and which keys are good enough. The one place that calls
//! webauthn-rs.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::{Host, Url};
use webauthn_rs_core::WebauthnCore;
use webauthn_rs_core::error::WebauthnError;
use webauthn_rs_core::proto::{
    AttestationCaList, AttestationConveyancePreference, AuthenticationState, CollectedClientData,
    Credential, CredentialID, ParsedAttestationData, PublicKeyCredential,
    RegisterPublicKeyCredential, RegistrationState, UserVerificationPolicy,
};

use crate::mfa::data::{Data, Fault};

/// Who asks for keys, and which are good enough.
#[derive(Clone, Debug)]
pub struct RelyingParty {
    library: WebauthnCore,
    user_verification: UserVerification,
    /// The authorities whose authenticators are taken; `None` takes all.
    attestation: Option<AttestationCaList>,
}

/// Whether a key must know who uses it, by PIN or biometry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserVerification {
    /// Each use proves that the person was verified.
    #[default]
    Required,
    /// Keys that cannot verify the person are taken too; those that did so at their enrolment must go on.
    Preferred,
}

/// What a relying party is made of.
#[derive(Debug)]
pub struct Settings<'a> {
    /// Its id: a domain, to which every key is bound for ever.
    pub id: &'a str,
    /// The origins of the pages on which a ceremony may run.
    pub origins: Vec<Url>,
    /// Whether the person must be verified.
    pub user_verification: UserVerification,
    /// The authorities whose authenticators are taken; `None` takes all, and asks for no attestation.
    pub attestation: Option<AttestationCaList>,
}

/// Whom a key is made for.
pub(super) struct Account<'a> {
    pub(super) handle: [u8; 16],
    pub(super) name: &'a str,
    /// What the service is called.
    pub(super) service: &'a str,
}

/// Options in their JSON form, and what the library must know again.
type Started<S> = Result<(Data, S), Fault>;

impl RelyingParty {
    /// A relying party as it is set up.
    pub fn new(settings: Settings<'_>) -> Self {
        let library = WebauthnCore::new_unsafe_experts_only(
            // What authenticators show is said at each ceremony.
            settings.id,
            settings.id,
            settings.origins,
            Duration::ZERO,
            None,
            None,
        );
        Self {
            library,
            user_verification: settings.user_verification,
            attestation: settings.attestation,
        }
    }

    /// The one of a service at `public_url`, with the defaults for everything else. `None` if that has an address
    /// instead of a name: keys are bound to domains.
    pub fn at(public_url: &Url) -> Option<Self> {
        let Some(Host::Domain(id)) = public_url.host() else {
            return None;
        };
        Some(Self::new(Settings {
            id,
            origins: vec![public_url.clone()],
            user_verification: UserVerification::default(),
            attestation: None,
        }))
    }

    /// Starts the making of a key that is none of `others`.
    pub(super) fn creation(
        &self,
        account: &Account<'_>,
        others: Vec<CredentialID>,
        challenge: [u8; 32],
        seconds: i64,
    ) -> Started<RegistrationState> {
        let attestation = match self.attestation {
            Some(_) => AttestationConveyancePreference::Direct,
            None => AttestationConveyancePreference::None,
        };
        let builder = self
            .library
            .new_challenge_register_builder(&account.handle, account.name, account.name)
            .map_err(|_| UNUSABLE)?
            .user_verification_policy(self.policy())
            .attestation(attestation)
            .exclude_credentials(Some(others));
        let (response, state) = self
            .library
            .generate_challenge_register(builder)
            .map_err(|_| UNUSABLE)?;
        let mut options = response.public_key;
        account.service.clone_into(&mut options.rp.name);
        options.challenge = challenge.to_vec();
        options.timeout = Some(milliseconds(seconds));
        Ok((Data::of(&options), challenged_by(&state, challenge)?))
    }

    /// The key that was made, if everything about it is right.
    pub(super) fn created(
        &self,
        credential: Value,
        state: &RegistrationState,
    ) -> Result<Credential, WebauthnError> {
        let credential: RegisterPublicKeyCredential = serde_json::from_value(credential)?;
        let authorities = self.attestation.as_ref();
        let mut key = self
            .library
            .register_credential(&credential, state, authorities)?;
        // The certificates have done their duty; without a policy nobody asked for them.
        key.attestation.data = ParsedAttestationData::None;
        Ok(key)
    }

    /// Starts a use of `key`.
    pub(super) fn request(
        &self,
        key: Credential,
        challenge: [u8; 32],
        seconds: i64,
    ) -> Started<AuthenticationState> {
        let builder = self
            .library
            .new_challenge_authenticate_builder(vec![key], Some(self.policy()))
            .map_err(|_| UNUSABLE)?;
        let started = self.library.generate_challenge_authenticate(builder);
        let (response, mut state) = started.map_err(|_| UNUSABLE)?;
        // The key is the device's, as it is when the answer comes.
        state.set_allowed_credentials(Vec::new());
        let mut options = response.public_key;
        options.challenge = challenge.to_vec();
        options.timeout = Some(milliseconds(seconds));
        Ok((Data::of(&options), challenged_by(&state, challenge)?))
    }

    /// The key as it goes on, if it was used and everything about that is right.
    pub(super) fn asserted(
        &self,
        credential: Value,
        state: &AuthenticationState,
        mut key: Credential,
    ) -> Result<Credential, WebauthnError> {
        let credential: PublicKeyCredential = serde_json::from_value(credential)?;
        let client: CollectedClientData =
            serde_json::from_slice(&credential.response.client_data_json)?;
        // The library asks this of new keys alone.
        if client.cross_origin == Some(true) {
            return Err(WebauthnError::CredentialCrossOrigin);
        }
        let used = self
            .library
            .authenticate_single_credential(&credential, state, &key)?;
        key.counter = used.counter();
        key.backup_state = used.backup_state();
        Ok(key)
    }

    const fn policy(&self) -> UserVerificationPolicy {
        match self.user_verification {
            UserVerification::Required => UserVerificationPolicy::Required,
            UserVerification::Preferred => UserVerificationPolicy::Preferred,
        }
    }
}

/// The same state with a challenge from the generator of the decision: the library draws its own, and what it keeps can
/// only be written in its JSON form.
fn challenged_by<S: Serialize + DeserializeOwned>(
    state: &S,
    challenge: [u8; 32],
) -> Result<S, Fault> {
    let mut json = serde_json::to_value(state).map_err(|_| Fault::Record)?;
    json["challenge"] = Value::String(BASE64URL_NOPAD.encode(&challenge));
    serde_json::from_value(json).map_err(|_| Fault::Record)
}

fn milliseconds(seconds: i64) -> u32 {
    u32::try_from(seconds.saturating_mul(1000)).unwrap_or(0)
}

/// The library refuses to start only on a user without a name or a key without a policy.
const UNUSABLE: Fault = Fault::Record;
