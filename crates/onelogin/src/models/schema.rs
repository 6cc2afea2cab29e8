//! What the OpenAPI description says of fields that are read liberally. These types only describe; nothing holds them.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{
            AdditionalProperties, AnyOfBuilder, KnownFormat, ObjectBuilder, SchemaFormat, Type,
        },
    },
};

use super::{Otp, Status, Time};

macro_rules! describe {
    ($type:ty, $name:literal, $schema:expr) => {
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }

        impl ToSchema for $type {
            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
        }
    };
}

/// An integer, or the same in a string.
pub(crate) struct Integer;
/// A boolean, or the same in a string.
pub(crate) struct Boolean;
/// A string, or an integer that stands for its decimal form.
pub(crate) struct Text;
/// An object of attributes that the installation defines.
pub(crate) struct Attributes;
/// A one-time password.
pub(crate) type Code = Otp;

describe!(
    Integer,
    "Integer",
    any_of(
        "An integer, or its decimal form in a string.",
        [
            ObjectBuilder::new().schema_type(Type::Integer),
            ObjectBuilder::new()
                .schema_type(Type::String)
                .pattern(Some("^-?[0-9]+$"))
        ]
    )
);

describe!(
    Boolean,
    "Boolean",
    any_of(
        "A boolean, or the word in a string.",
        [
            ObjectBuilder::new().schema_type(Type::Boolean),
            ObjectBuilder::new()
                .schema_type(Type::String)
                .enum_values(Some(["true", "false", "True", "False", "TRUE", "FALSE"])),
        ]
    )
);

describe!(
    Text,
    "Text",
    any_of(
        "A string, or an integer that stands for its decimal form.",
        [
            ObjectBuilder::new().schema_type(Type::String),
            ObjectBuilder::new().schema_type(Type::Integer)
        ]
    )
);

describe!(
    Attributes,
    "Attributes",
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("Attributes that the installation defines."))
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
);

describe!(
    Otp,
    "Otp",
    any_of(
        "A one-time password. A number is padded with zeros to the factor's length, a string counts as it is.",
        [
            ObjectBuilder::new().schema_type(Type::String),
            ObjectBuilder::new()
                .schema_type(Type::Integer)
                .minimum(Some(0))
                .maximum(Some(u64::MAX)),
        ]
    )
);

describe!(
    Status,
    "Status",
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("How a registration or a verification stands."))
        .enum_values(Some(["pending", "accepted", "rejected"]))
);

describe!(
    Time,
    "Time",
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .description(Some("A point in time: UTC, RFC 3339, whole seconds."))
        .examples(["2020-07-21T20:26:44Z"])
);

fn any_of<const N: usize>(description: &str, kinds: [ObjectBuilder; N]) -> Schema {
    // anyOf, not oneOf: in JSON Schema 1.0 is an integer and nothing here excludes the other.
    let builder = AnyOfBuilder::new().description(Some(description));
    kinds.into_iter().fold(builder, AnyOfBuilder::item).into()
}
