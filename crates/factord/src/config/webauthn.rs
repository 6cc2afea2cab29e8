//! `[webauthn]`: the relying party, and which keys are good enough.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use url::{Host, Url};
use uuid::Uuid;
use webauthn_rs_core::proto::AttestationCaList;

use super::Problem;
use super::layers::Source;
use super::values::{HostName, RedirectOrigin};
use crate::factor::webauthn::attestation;
use crate::factor::webauthn::relying_party::{RelyingParty, Settings, UserVerification};

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WebauthnTable {
    rp_id: Option<HostName>,
    origins: Vec<RedirectOrigin>,
    user_verification: UserVerification,
    attestation: Attestation,
    attestation_roots: Option<PathBuf>,
    aaguids: Vec<Uuid>,
}

/// What is asked of new keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Attestation {
    /// Nothing.
    #[default]
    None,
    /// Their maker's certificate.
    Direct,
}

impl WebauthnTable {
    /// The relying party of a service at `public_url`; `None` if that has an address instead of a name, since keys are
    /// bound to domains.
    pub(super) fn resolve(&self, public_url: &Url) -> (Option<RelyingParty>, Vec<Problem>) {
        let Some(Host::Domain(host)) = public_url.host() else {
            let set = *self != Self::default();
            let problem =
                "public_url has an address instead of a name, and keys are bound to names";
            return (
                None,
                set.then(|| problem_of("rp_id", problem))
                    .into_iter()
                    .collect(),
            );
        };
        let mut problems = Vec::new();
        let id = self.rp_id.as_ref().map_or(host, |id| id.0.as_str());
        if !is_within(id, host) {
            problems.push(problem_of(
                "rp_id",
                &format!("{id:?} is neither {host:?}, where people reach the service, nor a domain that it is in"),
            ));
        }
        let mut origins = vec![public_url.clone()];
        for RedirectOrigin(origin) in &self.origins {
            let url = Url::parse(&origin.ascii_serialization()).ok();
            match url.filter(|url| url.host_str().is_some_and(|host| is_within(id, host))) {
                Some(url) => origins.push(url),
                None => problems.push(problem_of(
                    "origins",
                    &format!(
                        "{:?} is not in the domain {id:?}, to which the keys are bound",
                        origin.ascii_serialization()
                    ),
                )),
            }
        }
        let attestation = self.authorities().unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        let party = RelyingParty::new(Settings {
            id,
            origins,
            user_verification: self.user_verification,
            attestation,
        });
        (Some(party), problems)
    }

    fn authorities(&self) -> Result<Option<AttestationCaList>, Problem> {
        match (self.attestation, &self.attestation_roots) {
            (Attestation::Direct, Some(path)) => read(path, &self.aaguids)
                .map(Some)
                .map_err(|error| problem_of("attestation_roots", &error)),
            (Attestation::Direct, None) => Err(problem_of(
                "attestation_roots",
                "it is missing. Name the file with the certificates of the makers whose keys are taken: without them \
                 any software could claim to be any key",
            )),
            (Attestation::None, Some(_)) => Err(problem_of("attestation_roots", UNUSED)),
            (Attestation::None, None) if !self.aaguids.is_empty() => {
                Err(problem_of("aaguids", UNUSED))
            }
            (Attestation::None, None) => Ok(None),
        }
    }
}

fn read(path: &Path, aaguids: &[Uuid]) -> Result<AttestationCaList, String> {
    let shown = path.display();
    let pem = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    attestation::authorities(&pem, aaguids).map_err(|error| format!("{shown}: {error}"))
}

/// Whether `host` is the domain `id` or below it.
fn is_within(id: &str, host: &str) -> bool {
    host.strip_suffix(id)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn problem_of(key: &str, message: &str) -> Problem {
    Problem {
        key: format!("webauthn.{key}"),
        source: Source::Resolved,
        message: message.to_owned(),
    }
}

const UNUSED: &str = "it has no effect unless webauthn.attestation is \"direct\"";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::factor::webauthn::soft_key::Maker;

    /// The keys that are complained of, and whether there is a relying party.
    fn resolved(public_url: &str, table: Value) -> (Vec<String>, bool) {
        let table: WebauthnTable = serde_json::from_value(table).unwrap();
        let (party, problems) = table.resolve(&Url::parse(public_url).unwrap());
        (
            problems.into_iter().map(|problem| problem.key).collect(),
            party.is_some(),
        )
    }

    #[test]
    fn keys_are_bound_to_the_host_or_to_a_domain_that_it_is_in() {
        let at = "https://mfa.example.com";
        for (table, complaints) in [
            (json!({}), vec![]),
            (json!({"rp_id": "mfa.example.com"}), vec![]),
            (
                json!({"rp_id": "example.com", "origins": ["https://app.example.com"]}),
                vec![],
            ),
            (json!({"rp_id": "ample.com"}), vec!["webauthn.rp_id"]),
            (
                json!({"rp_id": "other.example.com"}),
                vec!["webauthn.rp_id"],
            ),
            (
                json!({"origins": ["https://app.example.com"]}),
                vec!["webauthn.origins"],
            ),
            (
                json!({"rp_id": "example.com", "origins": ["https://evilexample.com"]}),
                vec!["webauthn.origins"],
            ),
        ] {
            assert_eq!(
                resolved(at, table.clone()),
                (complaints.into_iter().map(str::to_owned).collect(), true),
                "{table}"
            );
        }
    }

    #[test]
    fn a_service_without_a_name_has_no_relying_party() {
        assert_eq!(
            resolved("http://127.0.0.1:8080", json!({})),
            (vec![], false)
        );
        let (complaints, _) = resolved(
            "http://127.0.0.1:8080",
            json!({"user_verification": "preferred"}),
        );
        assert_eq!(complaints, ["webauthn.rp_id"]);
    }

    #[test]
    fn a_policy_of_attestation_needs_roots_and_nothing_of_it_is_set_in_vain() {
        let at = "https://mfa.example.com";
        let folder = tempfile::tempdir().unwrap();
        let file = |text: &str| {
            let path = folder.path().join(text.len().to_string());
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (good, bad) = (file(&Maker::of([7; 16]).root()), file("nonsense"));
        let aaguid = "07070707-0707-0707-0707-070707070707";
        for (table, complaint) in [
            (
                json!({"attestation": "direct", "attestation_roots": good, "aaguids": [aaguid]}),
                None,
            ),
            (
                json!({"attestation": "direct", "attestation_roots": bad}),
                Some("webauthn.attestation_roots"),
            ),
            (
                json!({"attestation": "direct"}),
                Some("webauthn.attestation_roots"),
            ),
            (
                json!({"attestation_roots": good}),
                Some("webauthn.attestation_roots"),
            ),
            (json!({"aaguids": [aaguid]}), Some("webauthn.aaguids")),
        ] {
            let (complaints, _) = resolved(at, table.clone());
            assert_eq!(complaints.first().map(String::as_str), complaint, "{table}");
        }
    }
}
