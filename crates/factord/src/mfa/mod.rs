//! The core: every rule about factors, as functions of the user's state, a command, the time and a generator. No I/O,
//! no clock, no globals; whoever stores what is decided here is not its concern.

pub mod activation;
pub mod answer;
pub mod code;
pub mod comparison;
pub mod completion;
pub mod confirmation;
pub mod cores;
pub mod data;
pub mod decision;
pub mod device;
pub mod hardware;
pub mod history;
pub mod ids;
pub mod import;
pub mod noted;
pub mod notices;
pub mod page;
pub mod policy;
pub mod profile;
pub mod redirect;
pub mod refusal;
pub mod registration;
pub mod restored;
pub mod rules;
pub mod temporary_token;
pub mod throttle;
pub mod undelivered;
pub mod user;
pub mod values;
pub mod verification;

use crate::crypto::keys::Keys;
use crate::factor::catalogue::Catalogue;
use crate::factor::protect::subscription::Endpoints;
use crate::factor::webauthn::relying_party::RelyingParty;
use crate::messages::Texts;
use notices::Notices;
use policy::{Policies, Policy};
use redirect::RedirectPolicy;
use rules::Rules;
use url::Url;
use user::Profile;

#[cfg(test)]
pub mod tests;

/// What every decision knows besides the user: the numbers, the keys, the factors, and what the service is called.
#[derive(Clone, Debug)]
pub struct Core {
    /// The numbers of the rules.
    pub rules: Rules,
    /// The working keys.
    pub keys: Keys,
    /// The factors that are offered.
    pub catalogue: Catalogue,
    /// What messages and authenticator apps call the service.
    pub service_name: String,
    /// Where a `redirect_to` may point.
    pub redirects: RedirectPolicy,
    /// What which users may enrol, use and ask for.
    pub policies: Policies,
    /// What messages say.
    pub texts: Texts,
    /// Which notices are sent, and by what ways.
    pub notices: Notices,
    /// Who asks for WebAuthn keys; `None` where nobody can, since the service has no name.
    pub webauthn: Option<RelyingParty>,
    /// Whose servers may wake apps up; `None` leaves it to the apps to ask.
    pub push: Option<Endpoints>,
    /// Where people reach the service: every link begins with it.
    pub public_url: Url,
}

impl Core {
    /// The standard catalogue, and the defaults of all else: no browser is sent anywhere, there is no relying party, and there are
    /// no notices.
    pub fn new(keys: Keys, public_url: Url) -> Self {
        Self {
            rules: Rules::default(),
            keys,
            catalogue: Catalogue::standard(),
            service_name: "factord".to_owned(),
            redirects: RedirectPolicy::Origins(Vec::new()),
            policies: Policies::default(),
            texts: Texts::default(),
            notices: Notices::default(),
            webauthn: None,
            push: None,
            public_url,
        }
    }

    /// What holds for a user.
    pub fn policy(&self, profile: &Profile) -> &Policy {
        self.policies.of(profile)
    }

    /// The address of a page of the service.
    pub fn link(&self, path: &str) -> String {
        format!("{}{path}", self.public_url)
    }
}
