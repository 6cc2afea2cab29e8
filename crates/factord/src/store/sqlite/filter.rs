//! Users by the fields of their profiles, in pages. Whatever the caller sent is bound, never part of a statement.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::users::StoredUser;
use crate::mfa::ids::UserId;
use crate::mfa::user::User;
use crate::store::deciding::wanted_form;
use crate::store::{StoreError, UserFilter, UserPage};

/// The users that `filter` picks.
pub(super) fn users(conn: &Connection, filter: &UserFilter) -> Result<UserPage, StoreError> {
    let mut conditions = Conditions::default();
    for (field, wanted) in &filter.equal {
        conditions.equal(field, wanted);
    }
    if let Some(ids) = &filter.ids {
        conditions.ids(ids);
    }
    for (field, at_or_after, time) in &filter.times {
        conditions.time(field, *at_or_after, time.seconds());
    }
    let total = conditions.count(conn)?;
    if let Some(after) = filter.after {
        conditions.add("id > ?", [Value::Integer(after.get())]);
    }
    Ok(UserPage {
        users: conditions.page(conn, filter.offset, filter.limit)?,
        total,
    })
}

/// What follows `WHERE`, and what is bound to its question marks.
#[derive(Default)]
struct Conditions {
    texts: Vec<&'static str>,
    values: Vec<Value>,
}

impl Conditions {
    fn add(&mut self, text: &'static str, values: impl IntoIterator<Item = Value>) {
        self.texts.push(text);
        self.values.extend(values);
    }

    fn equal(&mut self, field: &'static str, wanted: &str) {
        let wanted = wanted_form(field, wanted);
        let prefix = wanted.strip_suffix('*').map(starting_with);
        let like = prefix.is_some();
        let wanted = Value::Text(prefix.unwrap_or(wanted));
        match (field, like) {
            ("username", false) => self.add("username = ?", [wanted]),
            ("username", true) => self.add("username GLOB ?", [wanted]),
            ("email", false) => self.add("email = ?", [wanted]),
            ("email", true) => self.add("email GLOB ?", [wanted]),
            ("external_id", false) => self.add("external_id = ?", [wanted]),
            ("external_id", true) => self.add("external_id GLOB ?", [wanted]),
            (_, false) => self.add(
                "CAST(json_extract(profile, ?) AS TEXT) = ?",
                [path(field), wanted],
            ),
            (_, true) => self.add(
                "CAST(json_extract(profile, ?) AS TEXT) GLOB ?",
                [path(field), wanted],
            ),
        }
    }

    fn ids(&mut self, ids: &[UserId]) {
        let ids: Vec<_> = ids.iter().map(|id| id.get()).collect();
        self.add(
            "id IN (SELECT value FROM json_each(?))",
            [Value::Text(serde_json::json!(ids).to_string())],
        );
    }

    fn time(&mut self, field: &'static str, at_or_after: bool, seconds: i64) {
        let text = match (is_own(field), at_or_after) {
            (true, true) => "json_extract(profile, ?) >= ?",
            (true, false) => "json_extract(profile, ?) <= ?",
            (false, true) => "unixepoch(json_extract(profile, ?)) >= ?",
            (false, false) => "unixepoch(json_extract(profile, ?)) <= ?",
        };
        self.add(text, [path(field), Value::Integer(seconds)]);
    }

    fn count(&self, conn: &Connection) -> Result<usize, StoreError> {
        let sql = format!("SELECT count(*) FROM users{}", self.clause());
        let count = conn
            .prepare_cached(&sql)?
            .query_row(params_from_iter(&self.values), |row| row.get::<_, i64>(0))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    fn page(
        &self,
        conn: &Connection,
        offset: usize,
        limit: usize,
    ) -> Result<Vec<User>, StoreError> {
        let sql = format!(
            "SELECT profile, mfa, id FROM users{} ORDER BY id LIMIT ? OFFSET ?",
            self.clause()
        );
        let bounds = [limit, offset].map(|number| Value::Integer(super::integer(number)));
        let mut statement = conn.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(self.values.iter().chain(&bounds)))?;
        let mut users = Vec::new();
        while let Some(row) = rows.next()? {
            users.push(StoredUser::from_row(row)?.parse(super::user_id(row.get(2)?)?)?);
        }
        Ok(users)
    }

    fn clause(&self) -> String {
        if self.texts.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", self.texts.join(" AND "))
        }
    }
}

/// Where a field stands in the profile.
fn path(field: &str) -> Value {
    Value::Text(if is_own(field) {
        format!("$.{field}")
    } else {
        format!("$.attributes.{field}")
    })
}

/// Whether a profile has a field of its own for it; the others are among the attributes.
fn is_own(field: &str) -> bool {
    matches!(
        field,
        "username" | "email" | "phone" | "state" | "status" | "created_at" | "updated_at"
    )
}

/// The pattern for texts that start with `prefix`.
fn starting_with(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len() + 1);
    for character in prefix.chars() {
        if matches!(character, '*' | '?' | '[') {
            pattern.extend(['[', character, ']']);
        } else {
            pattern.push(character);
        }
    }
    pattern.push('*');
    pattern
}
