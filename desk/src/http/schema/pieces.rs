//! Pieces that schemas are put together from: the vocabulary and the limits of `sync_protocol::record`.

use serde_json::Value;
use sync_protocol::record::vocabulary::{
    CATEGORIES, ITEM_OUTCOMES, PERSON_ROLES, PRECISIONS, STATUSES, TREATMENTS, ZONES,
};
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};

pub(super) const MAX_MINOR: u64 = sync_protocol::record::MAX_MINOR;

pub(in crate::http) fn nullable(kind: Type) -> SchemaType {
    SchemaType::from_iter([kind, Type::Null])
}

/// Text without control characters, or `null`.
pub(in crate::http) fn text<const MAX: usize>() -> Object {
    ObjectBuilder::new()
        .schema_type(nullable(Type::String))
        .max_length(Some(MAX))
        .pattern(Some(r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]*$"))
        .build()
}

/// Text with more in it than white space.
pub(in crate::http) fn filled<const MAX: usize>() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(MAX))
        .pattern(Some(r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]*[^\s\x00-\x1f][^\x00-\x08\x0b\x0c\x0e-\x1f]*$"))
        .build()
}

pub(in crate::http) fn whole<const LEAST: u64, const MOST: u64>() -> Object {
    ObjectBuilder::new()
        .schema_type(nullable(Type::Integer))
        .minimum(Some(LEAST))
        .maximum(Some(MOST))
        .build()
}

pub(in crate::http) fn time() -> Object {
    ObjectBuilder::new()
        .schema_type(nullable(Type::String))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .pattern(Some(r"^(19|20|21)\d\d-"))
        .description(Some("RFC 3339; answered in UTC"))
        .build()
}

pub(in crate::http) fn username() -> Object {
    ObjectBuilder::new()
        .schema_type(nullable(Type::String))
        .pattern(Some("^[A-Za-z0-9._-]{1,64}$"))
        .build()
}

pub(in crate::http) fn currency() -> Object {
    ObjectBuilder::new()
        .schema_type(nullable(Type::String))
        .pattern(Some("^[A-Z]{3}$"))
        .description(Some("ISO 4217"))
        .build()
}

pub(in crate::http) fn words(words: &[&str], or_null: bool) -> Object {
    let values = words.iter().map(|word| Value::from(*word)).chain(or_null.then_some(Value::Null));
    let kind = if or_null { nullable(Type::String) } else { Type::String.into() };
    ObjectBuilder::new().schema_type(kind).enum_values(Some(values)).build()
}

pub(in crate::http) fn category() -> Object {
    words(CATEGORIES, true)
}

pub(in crate::http) fn precision() -> Object {
    words(PRECISIONS, true)
}

pub(in crate::http) fn zone() -> Object {
    words(ZONES, true)
}

pub(in crate::http) fn treatment() -> Object {
    words(TREATMENTS, true)
}

pub(in crate::http) fn outcome() -> Object {
    words(ITEM_OUTCOMES, true)
}

pub(in crate::http) fn status() -> Object {
    words(STATUSES, false)
}

pub(in crate::http) fn first_status() -> Object {
    words(&["draft", "submitted"], true)
}

pub(in crate::http) fn roles() -> Schema {
    let list = ArrayBuilder::new().items(words(PERSON_ROLES, false)).min_items(Some(1)).unique_items(true).build();
    or_null(Schema::Array(list))
}

pub(in crate::http) fn tags() -> Schema {
    or_null(Schema::Array(ArrayBuilder::new().items(filled::<50>()).max_items(Some(20)).build()))
}

pub(in crate::http) fn or_null(schema: Schema) -> Schema {
    OneOfBuilder::new().item(schema).item(ObjectBuilder::new().schema_type(Type::Null)).into()
}

pub(in crate::http) fn custom() -> Object {
    let scalar = ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Number, Type::Boolean, Type::Null]))
        .max_length(Some(2000))
        .pattern(Some(r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]*$"))
        .build();
    let key = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[a-z0-9_]{1,50}$")).build();
    ObjectBuilder::new()
        .schema_type(nullable(Type::Object))
        .property_names(Some(Schema::Object(key)))
        .max_properties(Some(sync_protocol::record::MAX_CUSTOM))
        .additional_properties(Some(AdditionalProperties::RefOr(RefOr::T(Schema::Object(scalar)))))
        .description(Some("A company's own fields"))
        .build()
}
