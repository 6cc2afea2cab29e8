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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::auth::scope::Scope;
    use crate::http::tests::{Answer, Client, Server};

    async fn make(client: &Client<'_>, body: Value) -> i64 {
        client.post("/api/2/users", body).await.body["id"]
            .as_i64()
            .unwrap()
    }

    fn ids(answer: &Answer) -> Vec<i64> {
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer
            .body
            .as_array()
            .unwrap()
            .iter()
            .map(|user| user["id"].as_i64().unwrap())
            .collect()
    }

    #[tokio::test]
    async fn a_client_finds_a_user_by_name_and_reads_id_and_state() {
        let server = Server::new();
        let admin = server.admin().await;
        admin.person().await;
        admin.person().await;
        insta::assert_json_snapshot!(
            admin
                .get("/api/2/users?username=PERSON1&mappings=sync")
                .await
                .shown()
        );
    }

    #[tokio::test]
    async fn every_filter_picks_its_users() {
        let server = Server::new();
        let admin = server.admin().await;
        let ada = make(&admin, json!({
            "username": "ada", "email": "ada+x@example.com", "firstname": "Ada", "lastname": "King", "external_id": "e1",
            "samaccountname": "sam", "directory_id": 5
        })).await;
        server.advance(100);
        let bob = make(
            &admin,
            json!({"username": "bob", "firstname": "Bob", "lastname": "Kingsley"}),
        )
        .await;
        for (query, expected) in [
            ("username=ada", vec![ada]),
            ("email=ADA%2Bx%40example.com", vec![ada]),
            ("firstname=Ada&lastname=King", vec![ada]),
            ("firstname=Ada&lastname=Kingsley", vec![]),
            ("lastname=King*", vec![ada, bob]),
            ("external_id=e1", vec![ada]),
            ("samaccountname=sam", vec![ada]),
            ("directory_id=5", vec![ada]),
            ("user_ids=2,%201", vec![ada, bob]),
            ("user_ids=99", vec![]),
            ("created_since=2023-11-14T22:13:21Z", vec![bob]),
            ("created_since=2023-11-15", vec![]),
            ("created_until=2023-11-14T23:13:20%2B01:00", vec![ada]),
            (
                "updated_until=2023-11-14T22:13:20.5Z&updated_since=2023-11-14",
                vec![ada],
            ),
            ("last_login_since=2000-01-01", vec![]),
            ("firstname=%25", vec![]),
            ("firstname='%20or%201=1", vec![]),
            ("unknown=1", vec![ada, bob]),
        ] {
            assert_eq!(
                ids(&admin.get(&format!("/api/2/users?{query}")).await),
                expected,
                "{query}"
            );
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_or_looked_for_is_named() {
        let server = Server::new();
        let admin = server.admin().await;
        for (query, parameter) in [
            ("limit=101", "limit"),
            ("limit=0", "limit"),
            ("limit=abc", "limit"),
            ("limit=-1", "limit"),
            ("page=0", "page"),
            ("page=x", "page"),
            ("cursor=nonsense", "cursor"),
            ("cursor=", "cursor"),
            ("user_ids=1,abc", "user_ids"),
            ("user_ids=", "user_ids"),
            ("created_since=yesterday", "created_since"),
            ("updated_until=", "updated_until"),
            ("app_id=7", "app_id"),
            ("custom_attributes.shoe=38", "custom_attributes"),
        ] {
            admin
                .get(&format!("/api/2/users?{query}"))
                .await
                .invalid(&[parameter]);
        }
        let refused = admin.get("/api/2/users?limit=1&limit=2").await;
        refused.bad_request("the query cannot be read: duplicate field `limit`");
    }

    #[tokio::test]
    async fn pages_by_cursor_and_by_number_show_everybody_once() {
        let server = Server::new();
        let admin = server.admin().await;
        let mut all = Vec::new();
        for number in 0..7 {
            all.push(
                make(
                    &admin,
                    json!({"username": format!("paged{number}"), "lastname": "Paged"}),
                )
                .await,
            );
            make(&admin, json!({"username": format!("other{number}")})).await;
        }
        let path = "/api/2/users?lastname=Paged&limit=3";
        let (mut seen, mut next) = (Vec::new(), path.to_owned());
        for number in ["1", "2", "3"] {
            let (by_cursor, by_number) = (
                admin.get(&next).await,
                admin.get(&format!("{path}&page={number}")).await,
            );
            assert_eq!(by_cursor.body, by_number.body);
            for page in [&by_cursor, &by_number] {
                for (name, value) in [
                    ("current-page", number),
                    ("page-items", "3"),
                    ("total-count", "7"),
                    ("total-pages", "3"),
                ] {
                    assert_eq!(page.header(name), Some(value), "{name}");
                }
                assert_eq!(page.header("after-cursor").is_some(), number != "3");
                assert_eq!(page.header("before-cursor").is_some(), number != "1");
            }
            seen.extend(ids(&by_cursor));
            next = format!(
                "{path}&cursor={}",
                by_cursor.header("after-cursor").unwrap_or_default()
            );
        }
        assert_eq!(seen, all);
        let second = admin.get(&format!("{path}&page=2")).await;
        let back = admin
            .get(&format!(
                "{path}&cursor={}",
                second.header("before-cursor").unwrap()
            ))
            .await;
        assert_eq!(ids(&back), all[..3]);
        let beyond = admin.get(&format!("{path}&page=4294967295")).await;
        assert_eq!(
            (ids(&beyond), beyond.header("after-cursor")),
            (vec![], None)
        );
    }

    #[tokio::test]
    async fn a_cursor_misses_nobody_when_others_go() {
        let server = Server::new();
        let admin = server.admin().await;
        for number in 1..=4 {
            make(&admin, json!({"username": format!("user{number}")})).await;
        }
        let first = admin.get("/api/2/users?limit=2").await;
        admin.delete("/api/2/users/1").await;
        let next = admin
            .get(&format!(
                "/api/2/users?limit=2&cursor={}",
                first.header("after-cursor").unwrap()
            ))
            .await;
        assert_eq!((ids(&first), ids(&next)), (vec![1, 2], vec![3, 4]));
    }

    #[tokio::test]
    async fn fifty_are_shown_unless_up_to_a_hundred_are_asked_for() {
        let server = Server::new();
        let admin = server.admin().await;
        for number in 0..101 {
            make(&admin, json!({"username": format!("user{number}")})).await;
        }
        assert_eq!(ids(&admin.get("/api/2/users").await).len(), 50);
        assert_eq!(ids(&admin.get("/api/2/users?limit=100").await).len(), 100);
    }

    #[tokio::test]
    async fn only_the_fields_that_are_asked_for_are_shown_and_the_id() {
        let server = Server::new();
        let admin = server.admin().await;
        admin.person().await;
        let shown = admin
            .get("/api/2/users?fields=username,%20state,nothing")
            .await
            .body;
        assert_eq!(shown, json!([{"id": 1, "username": "person0", "state": 1}]));
    }

    #[tokio::test]
    async fn a_login_page_finds_a_user_by_exact_name_and_sees_three_fields() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let page = server.client(Scope::VerifyMfa).await;
        let expected = json!([{"id": person.id, "state": 1, "status": 1}]);
        for query in [
            "username=person0",
            "username=Person0",
            "username=person0&fields=id,email,state,status&limit=1",
        ] {
            assert_eq!(
                page.get(&format!("/api/2/users?{query}")).await.body,
                expected,
                "{query}"
            );
        }
        for almost in ["person", "person00", "perso*", "*", "%25", "", "person0*"] {
            let found = page.get(&format!("/api/2/users?username={almost}")).await;
            assert_eq!(
                (ids(&found), found.header("total-count")),
                (vec![], Some("0")),
                "{almost}"
            );
        }
        for query in [
            "",
            "email=person0@example.com",
            "user_ids=1",
            "username=person0&email=person0@example.com",
            "username=person0&created_since=2000-01-01",
            "firstname=Ada",
        ] {
            let refused = page.get(&format!("/api/2/users?{query}")).await;
            refused.forbidden("The scope of the credential does not allow this");
        }
    }
}
