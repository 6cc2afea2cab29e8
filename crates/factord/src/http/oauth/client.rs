//! Which application asks: by HTTP Basic, by OneLogin's own header, or by fields of the body (contract, Authorization).

use axum::extract::Request;
use bytes::Bytes;
use data_encoding::BASE64;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::auth::Credential;
use crate::http::AppState;
use crate::http::body::{self, MediaType};
use crate::http::error::Error;

/// A request of an application that has proven who it is.
pub(super) struct ClientRequest {
    /// The application.
    pub(super) client: Credential,
    media_type: MediaType,
    body: Bytes,
}

impl ClientRequest {
    /// Lets a request in: media type 415, size 413, the body 400 where the client is named in it, the client 401.
    pub(super) async fn admit(app: &AppState, request: Request) -> Result<Self, Error> {
        let (parts, mut body) = request.into_parts();
        let admitted = Self::check(app, &parts.headers, &mut body).await;
        if admitted.is_err() {
            app.drain(&parts.headers, body).await;
        }
        admitted
    }

    async fn check(
        app: &AppState,
        headers: &HeaderMap,
        body: &mut axum::body::Body,
    ) -> Result<Self, Error> {
        let media_type = MediaType::of(headers);
        if media_type == MediaType::Other {
            return Err(Error::UnsupportedMediaType);
        }
        let body = app.read(headers, body).await?;
        let named = match in_header(headers) {
            Some(client) => client,
            None => parse::<InBody>(media_type, &body)?.named()?,
        };
        let (Some(id), Some(secret)) = (named.client_id, named.client_secret) else {
            return Err(Error::InvalidClient);
        };
        let client = app.access.credential(&id, &secret).await?;
        Ok(Self {
            client: client.ok_or(Error::InvalidClient)?,
            media_type,
            body,
        })
    }

    /// The fields of the body: 400 if they cannot be read.
    pub(super) fn fields<T: DeserializeOwned>(&self) -> Result<T, Error> {
        parse(self.media_type, &self.body)
    }
}

/// A client as it names itself in the body. What is no string is not repeated in the refusal, as a reader would.
#[derive(Deserialize)]
struct InBody {
    client_id: Option<Value>,
    client_secret: Option<Value>,
}

impl InBody {
    fn named(self) -> Result<Named, Error> {
        let text = |field, value| match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Error::bad_request(format!("{field} must be a string"))),
        };
        Ok(Named {
            client_id: text("client_id", self.client_id)?,
            client_secret: text("client_secret", self.client_secret)?.map(SecretString::from),
        })
    }
}

/// A client as it names itself.
#[derive(Default)]
struct Named {
    client_id: Option<String>,
    client_secret: Option<SecretString>,
}

fn parse<T: DeserializeOwned>(media_type: MediaType, body: &[u8]) -> Result<T, Error> {
    match media_type {
        MediaType::Form => body::form(body),
        MediaType::Json | MediaType::Other => body::json(body),
    }
}

/// `Basic …`, or `client_id:ID, client_secret:SECRET`. A header of another kind (a bearer token) names no client.
fn in_header(headers: &HeaderMap) -> Option<Named> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?.trim();
    if let Some((scheme, rest)) = value.split_once(' ')
        && scheme.eq_ignore_ascii_case("basic")
    {
        return Some(basic(rest.trim()).unwrap_or_default());
    }
    let (first, second) = value.split_once(',')?;
    Some(Named {
        client_id: Some(labelled(first, "client_id")?.to_owned()),
        client_secret: Some(labelled(second, "client_secret")?.into()),
    })
}

/// RFC 7617: base64 of `id:secret`.
fn basic(encoded: &str) -> Option<Named> {
    let decoded = Zeroizing::new(BASE64.decode(encoded.as_bytes()).ok()?);
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(Named {
        client_id: Some(id.to_owned()),
        client_secret: Some(secret.into()),
    })
}

fn labelled<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let (name, value) = text.split_once(':')?;
    (name.trim() == label).then_some(value.trim())
}

#[cfg(test)]
mod unit_tests {
    use http::HeaderValue;
    use secrecy::ExposeSecret;

    use super::*;

    fn named(value: &'static str) -> Option<(String, String)> {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]);
        let named = in_header(&headers)?;
        Some((
            named.client_id?,
            named.client_secret?.expose_secret().to_owned(),
        ))
    }

    #[test]
    fn a_client_is_named_by_either_header() {
        let expected = Some(("Aladdin".to_owned(), "open sesame".to_owned()));
        for header in [
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", // RFC 7617 section 2
            "basic  QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "client_id:Aladdin, client_secret:open sesame",
            "client_id: Aladdin,client_secret: open sesame",
        ] {
            assert_eq!(named(header), expected, "{header}");
        }
        for header in [
            "",
            "Basic",
            "Basic !",
            "Basic QQ==",
            "Bearer x",
            "client_id:a",
            "client_secret:a, client_id:b",
        ] {
            assert_eq!(named(header), None, "{header}");
        }
    }
}
