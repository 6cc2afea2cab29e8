//! Liberal reading: the fields of a request or response as clients in the field really send them.
//!
//! A number may be a decimal string and a string a number, a boolean may be spelt out, and `null` is an absent field.
//! Errors name the JSON type that was expected and never repeat the value, which may be a secret.

use std::{fmt, marker::PhantomData};

use secrecy::SecretString;
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde_json::{Map, Value};

/// A value that can be read from more than one JSON type. What a method does not take is a type error.
pub(crate) trait Lenient: Sized {
    /// The JSON types that are taken, as an error names them after "expected".
    const EXPECTED: &'static str;

    fn from_integer(_: i128) -> Option<Self> {
        None
    }

    fn from_text(_: &str) -> Option<Self> {
        None
    }

    fn from_boolean(_: bool) -> Option<Self> {
        None
    }

    /// A number beyond 128 bits, or with a fraction: only its size and sign can still matter.
    fn from_float(_: f64) -> Option<Self> {
        None
    }
}

/// Reads a field that must be there.
pub(crate) fn required<'de, T: Lenient, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    deserializer.deserialize_any(LenientVisitor(PhantomData))
}

/// Reads a field that may be absent or `null`. Needs `#[serde(default)]` beside it.
pub(crate) fn optional<'de, T: Lenient, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Ok(Option::<Wrapped<T>>::deserialize(deserializer)?.map(|wrapped| wrapped.0))
}

/// Reads a text of a request that must be there: a string and nothing else.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(required::<Text, D>(deserializer)?.0)
}

/// Reads a text of a request that may be absent or `null`. Needs `#[serde(default)]` beside it.
pub(crate) fn optional_text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    Ok(optional::<Text, D>(deserializer)?.map(|text| text.0))
}

/// A text that is sent: a string alone, since no client sends another type for one.
struct Text(String);

impl Lenient for Text {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Option<Self> {
        Some(Self(text.to_owned()))
    }
}

/// Reads a field whose absence, or `null`, means the default. Needs `#[serde(default)]` beside it.
pub(crate) fn or_default<'de, T: Lenient + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(optional(deserializer)?.unwrap_or_default())
}

/// Reads a list, or a single value in a list's place. Needs `#[serde(default)]` beside it.
pub(crate) fn list<'de, T: Lenient, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    let list = Option::<OneOrMany<Wrapped<T>>>::deserialize(deserializer)?;
    Ok(list.map(|OneOrMany(items)| items.into_iter().map(|wrapped| wrapped.0).collect()))
}

/// Reads any JSON object. Needs `#[serde(default)]` beside it.
pub(crate) fn object<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Value>, D::Error> {
    Ok(map(deserializer)?.map(Value::Object))
}

/// Reads any JSON object. Needs `#[serde(default)]` beside it.
pub(crate) fn map<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Map<String, Value>>, D::Error> {
    match Option::<Value>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err(D::Error::invalid_type(
            Unexpected::Other("another type"),
            &"an object",
        )),
    }
}

/// Reads an object of a response that is of use only in its known shape. Anything else counts as absent, and is not quoted.
pub(crate) fn object_or_none<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?.filter(Value::is_object);
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}

/// As [`object_or_none`], with the default for what is absent.
pub(crate) fn object_or_default<'de, T: DeserializeOwned + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(object_or_none(deserializer)?.unwrap_or_default())
}

impl Lenient for i64 {
    const EXPECTED: &'static str = "an integer or a decimal string";

    /// A number beyond 64 bits reads as the nearest bound: it is an integer, so its value is judged, not its type.
    fn from_integer(integer: i128) -> Option<Self> {
        Some(
            integer
                .clamp(i128::from(i64::MIN), i128::from(i64::MAX))
                .try_into()
                .unwrap_or(i64::MAX),
        )
    }

    fn from_text(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(text.parse().unwrap_or(if text.starts_with('-') {
            i64::MIN
        } else {
            i64::MAX
        }))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the cast saturates, which is what is meant"
    )]
    fn from_float(float: f64) -> Option<Self> {
        (float.fract() == 0.0).then_some(float as i64)
    }
}

impl Lenient for u64 {
    const EXPECTED: &'static str = "a non-negative integer or a decimal string";

    fn from_integer(integer: i128) -> Option<Self> {
        integer.try_into().ok()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse().ok())
            .flatten()
    }
}

impl Lenient for u16 {
    const EXPECTED: &'static str = "an integer or a decimal string";

    fn from_integer(integer: i128) -> Option<Self> {
        integer.try_into().ok()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Lenient for String {
    const EXPECTED: &'static str = "a string";

    fn from_integer(integer: i128) -> Option<Self> {
        Some(integer.to_string())
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Lenient for SecretString {
    const EXPECTED: &'static str = "a string";

    fn from_integer(integer: i128) -> Option<Self> {
        Some(integer.to_string().into())
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(text.into())
    }
}

impl Lenient for bool {
    const EXPECTED: &'static str = "a boolean, \"true\" or \"false\"";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => None,
        }
    }

    fn from_boolean(boolean: bool) -> Option<Self> {
        Some(boolean)
    }
}

struct Wrapped<T>(T);

impl<'de, T: Lenient> Deserialize<'de> for Wrapped<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        required(deserializer).map(Self)
    }
}

struct LenientVisitor<T>(PhantomData<T>);

impl<'de, T: Lenient> Visitor<'de> for LenientVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(T::EXPECTED)
    }

    fn visit_i64<E: Error>(self, integer: i64) -> Result<T, E> {
        self.visit_i128(i128::from(integer))
    }

    fn visit_u64<E: Error>(self, integer: u64) -> Result<T, E> {
        self.visit_i128(i128::from(integer))
    }

    fn visit_i128<E: Error>(self, integer: i128) -> Result<T, E> {
        let kind = if integer < 0 {
            "a negative number"
        } else {
            "a number"
        };
        T::from_integer(integer).ok_or_else(|| E::invalid_type(Unexpected::Other(kind), &self))
    }

    fn visit_f64<E: Error>(self, float: f64) -> Result<T, E> {
        let kind = if float.fract() == 0.0 {
            "a number of this size"
        } else {
            "a fractional number"
        };
        T::from_float(float).ok_or_else(|| E::invalid_type(Unexpected::Other(kind), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text)
            .ok_or_else(|| E::invalid_type(Unexpected::Other("another string"), &self))
    }

    fn visit_bool<E: Error>(self, boolean: bool) -> Result<T, E> {
        T::from_boolean(boolean)
            .ok_or_else(|| E::invalid_type(Unexpected::Other("a boolean"), &self))
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        Err(E::invalid_type(Unexpected::Other("null"), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<T, A::Error> {
        Err(A::Error::invalid_type(Unexpected::Other("an array"), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        // serde_json's arbitrary_precision, where some crate turns it on, shows a number as a map: read past it.
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Err(A::Error::invalid_type(
            Unexpected::Other("an object"),
            &self,
        ))
    }
}

/// A list, or one value that stands for a list of one.
pub(crate) struct OneOrMany<T>(pub(crate) Vec<T>);

impl<'de, T: Lenient> Deserialize<'de> for OneOrMany<Wrapped<T>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}

struct OneOrManyVisitor<T>(PhantomData<T>);

impl<'de, T: Lenient> Visitor<'de> for OneOrManyVisitor<T> {
    type Value = OneOrMany<Wrapped<T>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "an array, each item {}", T::EXPECTED)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<OneOrMany<Wrapped<T>>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(OneOrMany(items))
    }

    fn visit_i64<E: Error>(self, integer: i64) -> Result<OneOrMany<Wrapped<T>>, E> {
        one(LenientVisitor(PhantomData).visit_i64(integer))
    }

    fn visit_u64<E: Error>(self, integer: u64) -> Result<OneOrMany<Wrapped<T>>, E> {
        one(LenientVisitor(PhantomData).visit_u64(integer))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMany<Wrapped<T>>, E> {
        one(LenientVisitor(PhantomData).visit_str(text))
    }
}

fn one<T, E>(item: Result<T, E>) -> Result<OneOrMany<Wrapped<T>>, E> {
    item.map(|item| OneOrMany(vec![Wrapped(item)]))
}
