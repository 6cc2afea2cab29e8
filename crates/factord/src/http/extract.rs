//! Letting a request in: bearer token 401, scope 403, rate limit 429, `user_id` 400, media type and size 415
//! and 413, body 400, in this order (contract, Fine points). What comes after is decided by the core.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use axum::RequestPartsExt;
use axum::body::Body;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Visitor};

use super::AppState;
use super::bearer;
use super::body::{self, MediaType};
use super::error::Error;
use crate::auth::scope::Permission;
use crate::mfa::ids::UserId;
use crate::service::access::Caller;

impl AppState {
    /// Lets a request in that its caller has `permission` for, and gives what its path and its body say.
    pub(super) async fn admit<P: FromPath, B: FromBody>(
        &self,
        permission: Permission,
        request: Request,
    ) -> Result<(P, B), Error> {
        let (_, path, body) = self.admit_caller(permission, request).await?;
        Ok((path, body))
    }

    /// The same, with who it is that calls.
    pub(super) async fn admit_caller<P: FromPath, B: FromBody>(
        &self,
        permission: Permission,
        request: Request,
    ) -> Result<(Caller, P, B), Error> {
        let (mut parts, mut body) = request.into_parts();
        let admitted = self.check(permission, &mut parts, &mut body).await;
        if admitted.is_err() {
            self.drain(&parts.headers, body).await;
        }
        admitted
    }

    async fn check<P: FromPath, B: FromBody>(
        &self,
        permission: Permission,
        parts: &mut Parts,
        body: &mut Body,
    ) -> Result<(Caller, P, B), Error> {
        let caller = bearer::caller(self, &parts.headers).await?;
        if !caller.scope.allows(permission) {
            return Err(Error::ScopeTooSmall);
        }
        let now = self.service.store().now();
        self.access
            .rate_limiter
            .admit(&caller.credential, now)
            .map_err(Error::TooManyRequests)?;
        let path = P::from_path(parts).await?;
        let body = B::from_body(self, &parts.headers, body).await?;
        Ok((caller, path, body))
    }

    /// Reads a body, as [`body::read`].
    pub(super) async fn read(&self, headers: &HeaderMap, body: &mut Body) -> Result<Bytes, Error> {
        let _waits = self.observe.waits();
        body::read(headers, body, self.body_bytes, self.body_timeout).await
    }

    /// Takes what is still under way of a body that nobody wants, as [`body::drain`].
    pub(super) async fn drain(&self, headers: &HeaderMap, body: Body) {
        let _waits = self.observe.waits();
        body::drain(headers, body, self.body_timeout).await;
    }

    /// Reads the body of a request that needs no token.
    pub(super) async fn read_body<B: FromBody>(&self, request: Request) -> Result<B, Error> {
        let (parts, mut body) = request.into_parts();
        B::from_body(self, &parts.headers, &mut body).await
    }

    /// 404 for an id that no device, registration or verification can have: it reads exactly like one of another user.
    pub(super) async fn nothing(&self, user: UserId) -> Error {
        match self.service.user(user).await {
            Ok(_) => Error::NotFound,
            Err(error) => error.into(),
        }
    }
}

/// What the path of a request says.
pub(super) trait FromPath: Sized {
    /// Reads it: 400 if the `user_id` is malformed.
    async fn from_path(parts: &mut Parts) -> Result<Self, Error>;
}

/// A path that names nobody.
impl FromPath for () {
    async fn from_path(_: &mut Parts) -> Result<Self, Error> {
        Ok(())
    }
}

/// `…/{user_id}`.
impl FromPath for UserId {
    async fn from_path(parts: &mut Parts) -> Result<Self, Error> {
        let Path(Segment(user)) = parts.extract().await.map_err(|error| garbage(&error))?;
        user.ok_or_else(malformed_user_id)
    }
}

/// `…/{user_id}/…/{id}`; the id is `None` if nothing can have it.
impl<T: FromStr + Send + 'static> FromPath for (UserId, Option<T>) {
    async fn from_path(parts: &mut Parts) -> Result<Self, Error> {
        let Path((Segment(user), Segment(id))) =
            parts.extract().await.map_err(|error| garbage(&error))?;
        Ok((user.ok_or_else(malformed_user_id)?, id))
    }
}

/// A path that is not UTF-8 once it is decoded: its `user_id` is malformed, or its other id is nobody's.
fn garbage(rejection: &PathRejection) -> Error {
    match rejection {
        PathRejection::FailedToDeserializePathParams(error) => match error.kind() {
            ErrorKind::InvalidUtf8InPathParam { key } if key != "user_id" => Error::NotFound,
            _ => malformed_user_id(),
        },
        _ => Error::Internal,
    }
}

fn malformed_user_id() -> Error {
    Error::bad_request("user_id must be a positive integer of at most 64 bits")
}

/// One segment of a path, parsed without a copy; `None` if it is malformed.
struct Segment<T>(Option<T>);

impl<'de, T: FromStr> Deserialize<'de> for Segment<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SegmentVisitor(PhantomData))
    }
}

struct SegmentVisitor<T>(PhantomData<T>);

impl<T: FromStr> Visitor<'_> for SegmentVisitor<T> {
    type Value = Segment<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a segment of a path")
    }

    fn visit_str<E>(self, text: &str) -> Result<Segment<T>, E> {
        Ok(Segment(text.parse().ok()))
    }
}

/// What the body of a request says.
pub(super) trait FromBody: Sized {
    /// Reads it: 415, 413, 408 or 400 if it cannot be.
    async fn from_body(app: &AppState, headers: &HeaderMap, body: &mut Body)
    -> Result<Self, Error>;
}

/// A body that nobody looks at.
impl FromBody for () {
    async fn from_body(_: &AppState, _: &HeaderMap, _: &mut Body) -> Result<Self, Error> {
        Ok(())
    }
}

/// A JSON object.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromBody for Json<T> {
    async fn from_body(
        app: &AppState,
        headers: &HeaderMap,
        body: &mut Body,
    ) -> Result<Self, Error> {
        if MediaType::of(headers) != MediaType::Json {
            return Err(Error::UnsupportedMediaType);
        }
        let bytes = app.read(headers, body).await?;
        body::json(&bytes).map(Self)
    }
}
