//! Users: where a user id comes from.

use reqwest::Method;

use super::{
    ApiClient, Page, Result, UserQuery, UserStream,
    answer::Answer,
    connection::{Call, json},
    retry::Repeat,
};
use crate::models::{User, UserId, UserRequest};

/// Creates, finds, changes and deletes users.
#[derive(Clone, Debug)]
pub struct UsersApi {
    client: ApiClient,
}

impl UsersApi {
    /// The API over a client.
    pub fn new(client: &ApiClient) -> Self {
        Self {
            client: client.clone(),
        }
    }

    /// One page of the users that a query finds: `GET /api/2/users`.
    ///
    /// # Errors
    ///
    /// See [`Error`](super::Error). A `limit` over 100 is refused with 422.
    pub async fn list_users(&self, query: &UserQuery) -> Result<Page<User>> {
        let answer = self
            .call("list_users", Method::GET, None, &query.pairs(), None)
            .await?;
        Ok(Page::new(answer.list()?, &answer.headers))
    }

    /// All users that a query finds. Pages are fetched as they are needed.
    pub fn users(&self, query: UserQuery) -> UserStream {
        UserStream::new(self.clone(), query)
    }

    /// The user of this name, if there is one.
    ///
    /// # Errors
    ///
    /// See [`Error`](super::Error).
    pub async fn find_by_username(&self, username: &str) -> Result<Option<User>> {
        let page = self
            .list_users(&UserQuery::new().username(username))
            .await?;
        Ok(page.items.into_iter().find(|user| {
            user.username
                .as_deref()
                .is_none_or(|name| name.eq_ignore_ascii_case(username))
        }))
    }

    /// Creates a user: `POST /api/2/users`. `email` or `username` is required.
    ///
    /// # Errors
    ///
    /// See [`Error`](super::Error).
    pub async fn create_user(&self, request: &UserRequest) -> Result<User> {
        self.call("create_user", Method::POST, None, &[], json(request)?)
            .await?
            .object()
    }

    /// One user: `GET /api/2/users/{id}`.
    ///
    /// # Errors
    ///
    /// See [`Error`](super::Error).
    pub async fn get_user(&self, user_id: impl Into<UserId>) -> Result<User> {
        self.call("get_user", Method::GET, Some(user_id.into()), &[], None)
            .await?
            .object()
    }

    /// Changes the fields that are given: `PUT /api/2/users/{id}`.
    ///
    /// # Errors
    ///
    /// See [`Error`](super::Error).
    pub async fn update_user(
        &self,
        user_id: impl Into<UserId>,
        request: &UserRequest,
    ) -> Result<User> {
        self.call(
            "update_user",
            Method::PUT,
            Some(user_id.into()),
            &[],
            json(request)?,
        )
        .await?
        .object()
    }

    /// Deletes a user with all devices: `DELETE /api/2/users/{id}`.
    ///
    /// # Errors
    ///
    /// See [`Error`](super::Error).
    pub async fn delete_user(&self, user_id: impl Into<UserId>) -> Result<()> {
        self.call(
            "delete_user",
            Method::DELETE,
            Some(user_id.into()),
            &[],
            None,
        )
        .await
        .map(drop)
    }

    async fn call(
        &self,
        operation: &'static str,
        method: Method,
        user_id: Option<UserId>,
        query: &[(&str, String)],
        body: Option<Vec<u8>>,
    ) -> Result<Answer> {
        let id = user_id.map(|id| id.to_string());
        let path: Vec<&str> = ["api", "2", "users"]
            .into_iter()
            .chain(id.as_deref())
            .collect();
        let repeat = if method == Method::GET {
            Repeat::Harmless
        } else {
            Repeat::Harmful
        };
        self.client
            .send(Call {
                operation,
                method,
                path: &path,
                query,
                body,
                repeat,
            })
            .await
    }
}
