//! What gateways ask and report of a call (docs/factors/voice.md): every request is signed, in Twilio's way or in ours, and is
//! answered in the same way, by TwiML or by JSON.

pub(super) mod call;
mod digits;
mod greet;
mod status;

use askama::Template;
use axum::RequestPartsExt;
use axum::extract::{Path, Request};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Uri};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::error::Error;
use super::{App, AppState, body};
use crate::audit::{Action, Reason};
use crate::crypto::tokens::TokenHash;
use crate::factor::voice::CODE_DIGITS;
use crate::mfa::noted::About;
use call::{Call, Spoken};

/// The operations for gateways, which sign instead of bearing a token.
pub(super) fn operations() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(greet::handler))
        .routes(routes!(digits::handler))
        .routes(routes!(status::handler))
}

/// A request whose signature is right.
struct Asked {
    /// The call that the link is about; `None` if it leads nowhere.
    call: Option<Call>,
    fields: Fields,
    way: Way,
}

/// In which way a gateway speaks.
enum Way {
    Twilio,
    Webhook,
}

/// What a gateway says: a form with Twilio's names, or JSON.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct Fields {
    /// What was typed.
    #[serde(alias = "Digits")]
    #[schema(examples("123456"))]
    digits: Option<String>,
    /// How the call stands: `completed`, `busy`, `no-answer`, `failed` or `canceled`; anything else is passed over.
    #[serde(alias = "CallStatus")]
    #[schema(examples("completed"))]
    status: Option<String>,
}

/// What the phone shall say, for a webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ToSay {
    /// The language (BCP 47).
    #[schema(examples("en-US"))]
    language: &'static str,
    /// The sentences.
    say: Vec<String>,
    /// Whether digits are then to be heard and posted to `…/digits`; if not, or if none come, the call ends.
    gather: Option<Gather>,
}

/// How digits are heard.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Gather {
    /// How many there are; `#` ends them sooner.
    digits: usize,
    /// How long each is waited for.
    seconds: u8,
}

#[derive(Template)]
#[template(path = "call.xml")]
struct Twiml<'a> {
    language: &'a str,
    say: &'a [String],
    goodbye: &'a str,
    gather_to: Option<&'a str>,
    digits: usize,
    seconds: u8,
}

/// The link's parts and the request's own.
type Links = (String, SecretString);

impl AppState {
    /// Reads a gateway's request about a call. One that is not signed as it must be is noted and refused.
    async fn hear(&self, request: Request) -> Result<Asked, Error> {
        let (mut parts, mut body) = request.into_parts();
        let Path((id, token)) = parts
            .extract::<Path<Links>>()
            .await
            .map_err(|_| Error::Forged)?;
        let bytes = self.read(&parts.headers, &mut body).await?;
        let id = id.parse::<Uuid>().ok();
        let Some(way) = self.signed(&parts.headers, &parts.uri, &bytes) else {
            if let Some(id) = id {
                let (link, about) = (TokenHash::of_secret(&token), About::Pending(id));
                self.note_refused(link, Action::CompleteVerification, about, Reason::NotSigned)
                    .await?;
            }
            return Err(Error::Forged);
        };
        let fields = match way {
            Way::Twilio => body::form(&bytes)?,
            Way::Webhook => body::json(&bytes)?,
        };
        let call = match id {
            Some(id) => Call::find(self, id, token).await?,
            None => None,
        };
        Ok(Asked { call, fields, way })
    }

    /// By whom a request is signed, if it is.
    fn signed(&self, headers: &HeaderMap, uri: &Uri, body: &[u8]) -> Option<Way> {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let path = uri.path_and_query()?.as_str();
        let url = self.service.core().link(path.strip_prefix('/')?);
        if let Some(signature) = header("x-twilio-signature") {
            let form: Vec<_> = url::form_urlencoded::parse(body).collect();
            let form: Vec<_> = form
                .iter()
                .map(|(name, value)| (&**name, &**value))
                .collect();
            let is_theirs = self.gateways.is_twilio(&url, &form, signature);
            return is_theirs.then_some(Way::Twilio);
        }
        let (signature, timestamp) = (header("factord-signature")?, header("factord-timestamp")?);
        let now = self.service.store().now();
        let body = std::str::from_utf8(body).ok()?;
        let is_theirs = self
            .gateways
            .is_webhook(now, timestamp, &url, body, signature);
        is_theirs.then_some(Way::Webhook)
    }
}

impl Way {
    /// What the phone shall say, in the way that the gateway speaks.
    fn render(&self, call: Option<&Call>, spoken: Spoken) -> Result<Response, Error> {
        match self {
            Self::Webhook => Ok(axum::Json(ToSay {
                language: spoken.language,
                gather: spoken.gathers.then_some(Gather {
                    digits: CODE_DIGITS,
                    seconds: PATIENCE,
                }),
                say: spoken.say,
            })
            .into_response()),
            Self::Twilio => {
                let action = call.filter(|_| spoken.gathers).map(Call::digits_url);
                let page = Twiml {
                    language: spoken.language,
                    say: &spoken.say,
                    goodbye: &spoken.goodbye,
                    gather_to: action.as_deref(),
                    digits: CODE_DIGITS,
                    seconds: PATIENCE,
                };
                let xml = page.render().map_err(|error| {
                    tracing::error!(%error, "a call's page cannot be rendered");
                    Error::Internal
                })?;
                let xml_type = HeaderValue::from_static("application/xml; charset=utf-8");
                Ok(([(CONTENT_TYPE, xml_type)], xml).into_response())
            }
        }
    }
}

/// Seconds that a digit is waited for: long enough to look from the phone to the screen.
const PATIENCE: u8 = 15;

#[cfg(test)]
mod tests;
