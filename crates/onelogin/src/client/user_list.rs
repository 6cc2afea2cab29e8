//! Lists of users: what to look for, a page at a time.

use std::collections::VecDeque;

use futures_core::Stream;
use reqwest::header::HeaderMap;

use super::{Result, UsersApi};
use crate::models::{Time, User, UserId};

/// Which users to list, and how many at a time. Filters must all hold.
#[derive(Clone, Debug, Default)]
pub struct UserQuery {
    parameters: Vec<(&'static str, String)>,
    custom_attributes: Vec<(String, String)>,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The cursor of the next page, absent on the last one.
    pub after_cursor: Option<String>,
    /// The cursor of the page before.
    pub before_cursor: Option<String>,
    /// The number of this page, from 1.
    pub current_page: Option<u64>,
    /// How many items all pages hold.
    pub total_count: Option<u64>,
    /// How many pages there are.
    pub total_pages: Option<u64>,
}

/// All users that a query finds, a page at a time.
#[derive(Debug)]
pub struct UserStream {
    api: UsersApi,
    query: UserQuery,
    ready: VecDeque<User>,
    next: Next,
}

/// Which page comes next.
#[derive(Debug)]
enum Next {
    First,
    Cursor(String),
    Page(u64),
    None,
}

macro_rules! filters {
    ($($(#[doc = $doc:literal])* $name:ident: $type:ty;)*) => {
        $(
            $(#[doc = $doc])*
            pub fn $name(self, value: impl Into<$type>) -> Self {
                self.set(stringify!($name), value.into().to_string())
            }
        )*
    };
}

impl UserQuery {
    /// All users, 50 at a time.
    pub fn new() -> Self {
        Self::default()
    }

    filters! {
        /// Only the user with this e-mail address. `*` stands for any text where the service allows it.
        email: String;
        /// Only the user with this name.
        username: String;
        /// Only users with this first name.
        firstname: String;
        /// Only users with this last name.
        lastname: String;
        /// Only the user with this id in another directory.
        external_id: String;
        /// Only the user with this name in Active Directory.
        samaccountname: String;
        /// Only users of this directory.
        directory_id: i64;
        /// Only users created since then.
        created_since: Time;
        /// Only users created until then.
        created_until: Time;
        /// Only users changed since then.
        updated_since: Time;
        /// Only users changed until then.
        updated_until: Time;
        /// Only users who have logged in since then.
        last_login_since: Time;
        /// Only users who logged in last before then.
        last_login_until: Time;
        /// How many users a page holds: at most 100, by default 50.
        limit: u32;
        /// Which page, from 1.
        page: u64;
        /// The page that a cursor of another page points to.
        cursor: String;
    }

    /// Only these users.
    pub fn user_ids(self, ids: impl IntoIterator<Item = UserId>) -> Self {
        let ids: Vec<_> = ids.into_iter().map(|id| id.to_string()).collect();
        self.set("user_ids", ids.join(","))
    }

    /// Only these fields of each user. The `id` is always among them.
    pub fn fields<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let names: Vec<_> = ["id"]
            .into_iter()
            .chain(names.into_iter().filter(|name| *name != "id"))
            .collect();
        self.set("fields", names.join(","))
    }

    /// Only users whose custom attribute has this value.
    pub fn custom_attribute(mut self, name: &str, value: impl Into<String>) -> Self {
        self.custom_attributes
            .push((format!("custom_attributes.{name}"), value.into()));
        self
    }

    fn set(mut self, name: &'static str, value: String) -> Self {
        self.parameters.retain(|(set, _)| *set != name);
        self.parameters.push((name, value));
        self
    }

    pub(crate) fn pairs(&self) -> Vec<(&str, String)> {
        let attributes = self
            .custom_attributes
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()));
        self.parameters
            .iter()
            .map(|(name, value)| (*name, value.clone()))
            .chain(attributes)
            .collect()
    }
}

impl<T> Page<T> {
    pub(crate) fn new(items: Vec<T>, headers: &HeaderMap) -> Self {
        let text = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .filter(|text| !text.is_empty())
        };
        let number = |name: &str| text(name).and_then(|text| text.parse().ok());
        Self {
            items,
            after_cursor: text("after-cursor").map(str::to_owned),
            before_cursor: text("before-cursor").map(str::to_owned),
            current_page: number("current-page"),
            total_count: number("total-count"),
            total_pages: number("total-pages"),
        }
    }
}

impl UserStream {
    pub(crate) fn new(api: UsersApi, query: UserQuery) -> Self {
        Self {
            api,
            query,
            ready: VecDeque::new(),
            next: Next::First,
        }
    }

    /// The next user, or nothing after the last one. After an error the same page can be asked for again.
    pub async fn next(&mut self) -> Option<Result<User>> {
        loop {
            if let Some(user) = self.ready.pop_front() {
                return Some(Ok(user));
            }
            let query = match &self.next {
                Next::First => self.query.clone(),
                Next::Cursor(cursor) => self.query.clone().cursor(cursor.as_str()),
                Next::Page(page) => self.query.clone().page(*page),
                Next::None => return None,
            };
            match self.api.list_users(&query).await {
                Ok(page) => self.turn(page),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// The same as a [`Stream`], which ends after an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<User>> + Send {
        futures_util::stream::unfold(Some(self), async |state| {
            let mut users = state?;
            match users.next().await? {
                Ok(user) => Some((Ok(user), Some(users))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    fn turn(&mut self, page: Page<User>) {
        let here = page
            .current_page
            .filter(|_| page.total_pages > page.current_page);
        self.next = match (page.after_cursor, here) {
            _ if page.items.is_empty() => Next::None,
            // A cursor that leads to itself would never end.
            (Some(cursor), _) if !matches!(&self.next, Next::Cursor(same) if *same == cursor) => {
                Next::Cursor(cursor)
            }
            (None, Some(number)) => Next::Page(number + 1),
            _ => Next::None,
        };
        self.ready.extend(page.items);
    }
}
