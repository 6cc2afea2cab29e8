//! How a registration or verification stands, and the status object of the older API.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::lenient::{self, Lenient};

/// How a registration or a verification stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// Not completed yet. Also what a body without a status means.
    #[default]
    Pending,
    /// Completed.
    Accepted,
    /// Refused, failed or expired.
    Rejected,
    /// A word that this version does not know, kept as it came.
    Other(String),
}

impl Status {
    /// The word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Other(word) => word,
        }
    }

    /// Whether nothing more will happen: accepted or rejected.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Accepted | Self::Rejected)
    }
}

impl From<&str> for Status {
    fn from(word: &str) -> Self {
        match word {
            "pending" => Self::Pending,
            "accepted" => Self::Accepted,
            "rejected" => Self::Rejected,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Lenient for Status {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Option<Self> {
        Some(text.into())
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient::or_default(deserializer)
    }
}

/// The status object of the older API: `{"error": true, "code": 401, "type": "Unauthorized", "message": "…"}`.
///
/// The token endpoints answer errors with it, and an accepted code is confirmed by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StatusBody {
    /// Whether the request failed.
    pub error: bool,
    /// The HTTP status again.
    #[cfg_attr(feature = "openapi", schema(examples(200)))]
    pub code: u16,
    /// One word: `success`, or the name of the error.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(examples("success")))]
    pub kind: String,
    /// The same for people.
    #[cfg_attr(feature = "openapi", schema(examples("Success")))]
    pub message: String,
}

impl StatusBody {
    /// The status of a request that did what it was meant to: 200, `success`, `Success`.
    pub fn success() -> Self {
        Self {
            error: false,
            code: 200,
            kind: "success".to_owned(),
            message: "Success".to_owned(),
        }
    }

    /// The status of a request that failed.
    pub fn failure(code: u16, kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            error: true,
            code,
            kind: kind.into(),
            message: message.into(),
        }
    }
}

impl<'de> Deserialize<'de> for StatusBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StatusBodyVisitor)
    }
}

/// Takes the object, and a bare word in its place.
struct StatusBodyVisitor;

impl<'de> Visitor<'de> for StatusBodyVisitor {
    type Value = StatusBody;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a status object or a string")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<StatusBody, E> {
        Ok(StatusBody {
            kind: word.to_owned(),
            message: word.to_owned(),
            ..StatusBody::default()
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<StatusBody, A::Error> {
        #[derive(Deserialize)]
        struct Fields {
            #[serde(default, deserialize_with = "lenient::or_default")]
            error: bool,
            #[serde(default, deserialize_with = "lenient::or_default")]
            code: i64,
            #[serde(default, rename = "type", deserialize_with = "lenient::or_default")]
            kind: String,
            #[serde(default, deserialize_with = "lenient::or_default")]
            message: String,
        }
        let Fields {
            error,
            code,
            kind,
            message,
        } = Fields::deserialize(MapAccessDeserializer::new(map))?;
        Ok(StatusBody {
            error,
            code: code.try_into().unwrap_or_default(),
            kind,
            message,
        })
    }
}
