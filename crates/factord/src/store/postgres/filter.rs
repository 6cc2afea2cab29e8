//! Users by the fields of their profiles, in pages. Whatever the caller sent is bound, never part of a statement.

use tokio_postgres::types::ToSql;

use super::Inner;
use super::error::corrupt;
use super::statement::without_nul;
use super::users::{parse, user_id};
use crate::clock::Timestamp;
use crate::store::deciding::wanted_form;
use crate::store::{StoreError, UserFilter, UserPage};

impl Inner {
    /// The users that `filter` picks.
    pub async fn users(&self, filter: &UserFilter) -> Result<UserPage, StoreError> {
        let mut conditions = Conditions::default();
        for (field, wanted) in &filter.equal {
            conditions.equal(field, wanted);
        }
        if let Some(ids) = &filter.ids {
            let ids: Vec<i64> = ids.iter().map(|id| id.get()).collect();
            let ids = conditions.bind(ids);
            conditions.texts.push(format!("id = ANY({ids})"));
        }
        for (field, at_or_after, time) in &filter.times {
            conditions.time(field, *at_or_after, *time);
        }
        let sql = format!("SELECT count(*) FROM users{}", conditions.clause());
        let rows = self.db.read(&sql, &conditions.values()).await?;
        let total = rows
            .first()
            .map(|row| row.try_get::<_, i64>(0).map_err(corrupt));
        let total = usize::try_from(total.transpose()?.unwrap_or_default()).unwrap_or_default();
        if let Some(after) = filter.after {
            let after = conditions.bind(after.get());
            conditions.texts.push(format!("id > {after}"));
        }
        let limit = conditions.bind(super::integer(filter.limit));
        let offset = conditions.bind(super::integer(filter.offset));
        let sql = format!(
            "SELECT id, profile, mfa FROM users{} ORDER BY id LIMIT {limit} OFFSET {offset}",
            conditions.clause()
        );
        let rows = self.db.read(&sql, &conditions.values()).await?;
        let users = rows.iter().map(|row| {
            let text = |index| row.try_get::<_, &str>(index).map_err(corrupt);
            parse(user_id(row, 0)?, text(1)?, text(2)?)
        });
        Ok(UserPage {
            users: users.collect::<Result<_, _>>()?,
            total,
        })
    }
}

/// What follows `WHERE`, and what is bound to it.
#[derive(Default)]
struct Conditions {
    texts: Vec<String>,
    values: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Conditions {
    fn bind(&mut self, value: impl ToSql + Sync + Send + 'static) -> String {
        self.values.push(Box::new(value));
        format!("${}", self.values.len())
    }

    fn values(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.values
            .iter()
            .map(|value| &**value as &(dyn ToSql + Sync))
            .collect()
    }

    fn equal(&mut self, field: &'static str, wanted: &str) {
        let wanted = without_nul(&wanted_form(field, wanted));
        let prefix = wanted.strip_suffix('*').map(starting_with);
        let operator = if prefix.is_some() { "LIKE" } else { "=" };
        let column = match field {
            "username" | "email" | "external_id" => field.to_owned(),
            _ => self.field(field),
        };
        let wanted = self.bind(prefix.unwrap_or(wanted));
        self.texts.push(format!("{column} {operator} {wanted}"));
    }

    fn time(&mut self, field: &'static str, at_or_after: bool, time: Timestamp) {
        let operator = if at_or_after { ">=" } else { "<=" };
        let column = self.field(field);
        let text = if is_own(field) {
            let seconds = self.bind(time.seconds());
            format!("({column})::bigint {operator} {seconds}")
        } else {
            // Texts of this form are in the order of time; a cast would fail on any other.
            let text = self.bind(time.to_string().trim_end_matches('Z').to_owned());
            format!(
                "{column} ~ '^\\d{{4}}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?Z$'
                 AND left({column}, 19) COLLATE \"C\" {operator} {text}"
            )
        };
        self.texts.push(text);
    }

    /// A field of the profile as text; a number in digits.
    fn field(&mut self, field: &'static str) -> String {
        let path = if is_own(field) {
            vec![field.to_owned()]
        } else {
            vec!["attributes".to_owned(), field.to_owned()]
        };
        let path = self.bind(path);
        // jsonb holds no NUL, and a profile may.
        format!("(replace(profile, '\\u0000', '\\ufffd')::jsonb #>> {path}::text[])")
    }

    fn clause(&self) -> String {
        if self.texts.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", self.texts.join(" AND "))
        }
    }
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
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}
