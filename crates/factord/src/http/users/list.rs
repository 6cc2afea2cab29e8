//! GET /api/2/users: the users that a filter picks, a page at a time.

use axum::Json;
use axum::extract::{Request, State};
use http::{HeaderMap, HeaderName, HeaderValue};
use onelogin::models::User;
use serde_json::{Map, Value};

use super::cursor::Cursor;
use super::query::Query;
use crate::auth::scope::Permission;
use crate::http::App;
use crate::http::error::Error;
use crate::http::openapi::Listing;
use crate::http::query;
use crate::mfa::user;
use crate::store::UserFilter;

/// List users
///
/// By rising id. A filter's value must be equal (whatever its case, for `username` and `email`); a `*` at its end stands for
/// anything. The scope Verify MFA finds a user by exact `username` only, and sees `id`, `state` and `status`.
#[utoipa::path(
    get,
    path = "/api/2/users",
    operation_id = "list_users2",
    tag = "Users",
    security(("bearer" = [])),
    params(Query),
    responses(
        (status = 200, description = "The users", body = [User],
            headers(
                ("After-Cursor" = String, description = "The `cursor` of the next page; absent on the last"),
                ("Before-Cursor" = String, description = "The `cursor` of the page before; absent on the first"),
                ("Current-Page" = u64, description = "The number of this page, from 1"),
                ("Page-Items" = u64, description = "How many users a page holds at most"),
                ("Total-Count" = u64, description = "How many users the filter picks"),
                ("Total-Pages" = u64, description = "How many pages that makes"),
            ),
            example = json!([{
                "id": 1, "username": "ada", "email": "ada@example.com", "phone": "+14155550100", "state": 1, "status": 1,
                "created_at": "2026-01-31T12:00:00Z", "updated_at": "2026-01-31T12:00:00Z"
            }])
        ),
        Listing,
    ),
)]
pub(in crate::http) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<(HeaderMap, Json<Vec<Map<String, Value>>>), Error> {
    let uri = request.uri().clone();
    let (caller, (), ()) = app.admit_caller(Permission::FindUser, request).await?;
    let query: Query = query::parse(&uri)?;
    let reads_all = caller.scope.allows(Permission::ReadUsers);
    if !reads_all && !query.is_exact_username() {
        return Err(Error::ScopeTooSmall);
    }
    let page = Page::of(&query)?;
    let filter = query.filter()?;
    let (users, more, total) = if reads_all || !query.has_wildcard() {
        page.load(&app, filter).await?
    } else {
        (Vec::new(), false, 0)
    };
    let headers = page.headers(users.last(), more, total);
    let shown = users.into_iter().map(|user| query.shown(user, reads_all));
    Ok((headers, Json(shown.collect())))
}

/// Which of the pages is wanted.
struct Page {
    limit: usize,
    cursor: Cursor,
}

impl Page {
    fn of(query: &Query) -> Result<Self, Error> {
        let cursor = match &query.cursor {
            Some(text) => text.parse().map_err(|_| Error::invalid("cursor"))?,
            None => Cursor::Page(query::positive("page", query.page.as_deref())?.unwrap_or(1)),
        };
        let limit = query::positive("limit", query.limit.as_deref())?.unwrap_or(DEFAULT_LIMIT);
        if limit > MOST {
            return Err(Error::invalid("limit"));
        }
        Ok(Self {
            limit: limit as usize,
            cursor,
        })
    }

    /// The users of the page, whether there are more behind them, and how many there are on all pages.
    async fn load(
        &self,
        app: &App,
        filter: UserFilter,
    ) -> Result<(Vec<user::User>, bool, usize), Error> {
        let (after, offset) = match self.cursor {
            Cursor::After { id, .. } => (Some(id), 0),
            Cursor::Page(page) => (None, (page as usize - 1).saturating_mul(self.limit)),
        };
        let filter = UserFilter {
            after,
            offset,
            limit: self.limit + 1,
            ..filter
        };
        let mut found = app.service.users(filter).await?;
        let more = found.users.len() > self.limit;
        found.users.truncate(self.limit);
        Ok((found.users, more, found.total))
    }

    /// The paging headers (contract, Users).
    fn headers(&self, last: Option<&user::User>, more: bool, total: usize) -> HeaderMap {
        let number = self.cursor.page();
        let mut headers = HeaderMap::from_iter([
            (CURRENT_PAGE, HeaderValue::from(number)),
            (PAGE_ITEMS, HeaderValue::from(self.limit)),
            (TOTAL_COUNT, HeaderValue::from(total)),
            (TOTAL_PAGES, HeaderValue::from(total.div_ceil(self.limit))),
        ]);
        let mut point = |name, cursor: Cursor| {
            if let Ok(value) = HeaderValue::try_from(cursor.to_string()) {
                headers.insert(name, value);
            }
        };
        if let Some(last) = last.filter(|_| more) {
            let page = number.saturating_add(1);
            point(AFTER_CURSOR, Cursor::After { id: last.id, page });
        }
        if number > 1 {
            point(BEFORE_CURSOR, Cursor::Page(number - 1));
        }
        headers
    }
}

const DEFAULT_LIMIT: u32 = 50;
const MOST: u32 = 100;
const AFTER_CURSOR: HeaderName = HeaderName::from_static("after-cursor");
const BEFORE_CURSOR: HeaderName = HeaderName::from_static("before-cursor");
const CURRENT_PAGE: HeaderName = HeaderName::from_static("current-page");
const PAGE_ITEMS: HeaderName = HeaderName::from_static("page-items");
const TOTAL_COUNT: HeaderName = HeaderName::from_static("total-count");
const TOTAL_PAGES: HeaderName = HeaderName::from_static("total-pages");
