//! What a database is made of: its tables, and their rows in a form that is the same for every engine.

use data_encoding::BASE64_NOPAD;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::TransferError;
use crate::crypto::keys::Keys;

/// A table, with what of it goes into a stream.
#[derive(Debug)]
pub struct Table {
    /// Its name, in the database and in the stream.
    pub name: &'static str,
    /// Its columns, in the order of a row; the first is what rows are read in order of.
    pub columns: &'static [(&'static str, Type)],
}

/// What a column holds. Each may be NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A number.
    Integer,
    /// A text.
    Text,
    /// Bytes.
    Bytes,
    /// 16 bytes, which PostgreSQL has a type of its own for.
    Uuid,
}

/// The value of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// None.
    Null,
    /// A number.
    Integer(i64),
    /// A text.
    Text(String),
    /// Bytes, those of a UUID too.
    Bytes(Vec<u8>),
}

/// A row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The place of its table among [`TABLES`].
    pub table: usize,
    /// Its values, in the order of the table's columns.
    pub values: Vec<Value>,
}

impl Row {
    /// The row as a line of JSON: the table's name, and the values; bytes in base64.
    pub fn to_json(&self) -> String {
        let mut json = vec![serde_json::Value::from(TABLES[self.table].name)];
        json.extend(self.values.iter().map(|value| match value {
            Value::Null => serde_json::Value::Null,
            Value::Integer(number) => (*number).into(),
            Value::Text(text) => text.as_str().into(),
            Value::Bytes(bytes) => BASE64_NOPAD.encode(bytes).into(),
        }));
        serde_json::Value::from(json).to_string()
    }

    /// Reads what [`Row::to_json`] wrote; `None` if it is something else.
    pub fn from_json(json: &[u8]) -> Option<Self> {
        let mut json = serde_json::from_slice::<Vec<serde_json::Value>>(json)
            .ok()?
            .into_iter();
        let name = json.next()?;
        let table = TABLES.iter().position(|table| name == table.name)?;
        let columns = TABLES[table].columns;
        let values: Vec<Value> = json
            .zip(columns)
            .map(|(value, (_, kind))| read(value, *kind))
            .collect::<Option<_>>()?;
        (values.len() == columns.len()).then_some(Self { table, values })
    }

    /// The text in a column; empty if there is none.
    pub fn text(&self, column: usize) -> &str {
        match self.values.get(column) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// The number in a column; 0 if there is none.
    pub fn integer(&self, column: usize) -> i64 {
        match self.values.get(column) {
            Some(Value::Integer(number)) => *number,
            _ => 0,
        }
    }
}

fn read(value: serde_json::Value, kind: Type) -> Option<Value> {
    use serde_json::Value as Json;
    Some(match (value, kind) {
        (Json::Null, _) => Value::Null,
        (Json::Number(number), Type::Integer) => Value::Integer(number.as_i64()?),
        (Json::String(text), Type::Text) => Value::Text(text),
        (Json::String(text), Type::Bytes) => {
            Value::Bytes(BASE64_NOPAD.decode(text.as_bytes()).ok()?)
        }
        (Json::String(text), Type::Uuid) => {
            let bytes = BASE64_NOPAD.decode(text.as_bytes()).ok()?;
            (bytes.len() == 16).then_some(Value::Bytes(bytes))?
        }
        _ => return None,
    })
}

/// How many rows a table has, and a hash of them that does not depend on their order, since engines keep them in different
/// ones: the sum of the keyed hashes of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// How many.
    pub count: u64,
    hash: Sum,
}

impl Tally {
    /// The hash, in hexadecimal digits.
    pub fn hash(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.hash.0)
    }
}

/// 256 bits, added without what does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum([u8; 32]);

impl Sum {
    fn add(&mut self, other: &[u8]) {
        let mut carry = 0;
        for (digit, other) in self.0.iter_mut().zip(other).rev() {
            let sum = u16::from(*digit) + u16::from(*other) + carry;
            [_, *digit] = sum.to_be_bytes();
            carry = sum >> 8;
        }
    }
}

impl Serialize for Sum {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Sum {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes());
        let bytes = bytes.map_err(serde::de::Error::custom)?;
        let bytes = bytes.try_into();
        bytes
            .map(Self)
            .map_err(|_| serde::de::Error::custom("expected 32 bytes"))
    }
}

/// The tally of each table, in the order of [`TABLES`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals(pub [Tally; TABLES.len()]);

impl Totals {
    /// The totals by the names of the tables.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, Tally)> + '_ {
        TABLES.iter().map(|table| table.name).zip(self.0)
    }

    /// Whether these are the same as `other`.
    ///
    /// # Errors
    /// [`TransferError::Differs`], which calls these the rows at `place`.
    pub fn check(&self, other: &Self, place: &'static str) -> Result<(), TransferError> {
        for ((table, mine), theirs) in self.named().zip(other.0) {
            if mine != theirs {
                return Err(TransferError::Differs { table, place });
            }
        }
        Ok(())
    }
}

/// Totals that are being added up.
pub struct Tallying {
    mac: Hmac<Sha256>,
    totals: Totals,
}

impl Tallying {
    /// Nothing yet. The same rows give the same hashes wherever they are, if the key is the same.
    pub fn new(keys: &Keys) -> Self {
        Self {
            mac: keys.transfer_mac(),
            totals: Totals([Tally::default(); TABLES.len()]),
        }
    }

    /// Adds a row, which is `json` as a line.
    pub fn add(&mut self, table: usize, json: &str) {
        let mut mac = self.mac.clone();
        mac.update(json.as_bytes());
        let tally = &mut self.totals.0[table];
        tally.count += 1;
        tally.hash.add(&mac.finalize().into_bytes());
    }

    /// What it comes to.
    pub fn totals(self) -> Totals {
        self.totals
    }
}

/// Everything that goes into a stream. Left out is what is computed from the rest (what users are looked up by, when
/// something of theirs expires next), what has a meaning for one database alone (versions of rows, the chain by
/// which SQLite finds what a user has finished), and requests counted by the nodes in the current hour.
pub const TABLES: [Table; 13] = [
    table("settings", &[("name", Type::Text), ("value", Type::Text)]),
    table(
        "users",
        &[
            ("id", Type::Integer),
            ("last_event", Type::Integer),
            ("profile", Type::Text),
            ("mfa", Type::Text),
        ],
    ),
    table(
        "finished",
        &[
            ("finished_at", Type::Integer),
            ("user_id", Type::Integer),
            ("id", Type::Uuid),
            ("document", Type::Text),
        ],
    ),
    table(
        "audit_events",
        &[
            ("id", Type::Integer),
            ("user_id", Type::Integer),
            ("at", Type::Integer),
            ("device", Type::Text),
            ("action", Type::Text),
            ("reason", Type::Text),
            ("count", Type::Integer),
            ("previous", Type::Integer),
            ("credential", Type::Text),
        ],
    ),
    table(
        "deleted_users",
        &[("id", Type::Integer), ("last_event", Type::Integer)],
    ),
    table(
        "messages",
        &[
            ("id", Type::Integer),
            ("user_id", Type::Integer),
            ("at", Type::Integer),
            ("not_before", Type::Integer),
            ("attempts", Type::Integer),
            ("expires_at", Type::Integer),
            ("sealed", Type::Text),
        ],
    ),
    table(
        "outbox",
        &[
            ("id", Type::Integer),
            ("user_id", Type::Integer),
            ("at", Type::Integer),
            ("attempts", Type::Integer),
            ("sealed", Type::Text),
        ],
    ),
    table(
        "histories",
        &[
            ("destination", Type::Bytes),
            ("history", Type::Text),
            ("updated_at", Type::Integer),
        ],
    ),
    table(
        "hardware",
        &[
            ("id", Type::Text),
            ("user_id", Type::Integer),
            ("device", Type::Integer),
            ("document", Type::Text),
        ],
    ),
    table(
        "links",
        &[
            ("token", Type::Bytes),
            ("user_id", Type::Integer),
            ("expires_at", Type::Integer),
        ],
    ),
    table(
        "credentials",
        &[
            ("id", Type::Text),
            ("secret", Type::Bytes),
            ("scope", Type::Text),
            ("created_at", Type::Integer),
            ("revoked_at", Type::Integer),
        ],
    ),
    table(
        "tokens",
        &[
            ("access", Type::Bytes),
            ("refresh", Type::Bytes),
            ("credential", Type::Text),
            ("scope", Type::Text),
            ("created_at", Type::Integer),
            ("expires_at", Type::Integer),
        ],
    ),
    // No table: the last ids that were given to users and messages, which are never given again.
    table("counters", &[("name", Type::Text), ("last", Type::Integer)]),
];

const fn table(name: &'static str, columns: &'static [(&'static str, Type)]) -> Table {
    Table { name, columns }
}
