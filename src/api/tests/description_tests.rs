//! Tests of the descriptions of operations and types.

use std::collections::HashSet;

use crate::api::operation::BodyKind;
use crate::api::schema::{Description, Direction};
use crate::api::{OPERATIONS, TYPES};
use crate::transport::{Idempotency, Method};

#[test]
fn operation_names_are_unique() {
    let mut seen = HashSet::new();
    for operation in OPERATIONS {
        for name in [operation.name, operation.sdk_method, operation.c_function] {
            assert!(seen.insert(name), "{name} is not unique");
        }
    }
}

#[test]
fn types_are_listed_after_the_types_of_their_fields() {
    let mut known: HashSet<&str> = [
        "String",
        "bool",
        "u32",
        "Option",
        "Vec",
        "Timestamp",
        "Secret",
        "Json",
        "Number",
        "FailoverStep",
    ]
    .into();
    for description in TYPES {
        if let Description::Object { fields, .. } = description {
            for field in *fields {
                for name in field.rust_type.split(|c: char| !c.is_alphanumeric()) {
                    assert!(
                        name.is_empty() || known.contains(name),
                        "{}.{}: {name} is not in TYPES before it",
                        description.name(),
                        field.name
                    );
                }
            }
        }
        assert!(
            known.insert(description.name()),
            "{} is not unique",
            description.name()
        );
    }
}

#[test]
fn types_contain_all_bodies_of_operations() {
    for operation in OPERATIONS {
        for (schema, direction) in [
            (&operation.body, Direction::Request),
            (&operation.response, Direction::Response),
        ] {
            if let Some(BodyKind::Object(description) | BodyKind::List(description)) =
                schema.as_ref().map(|schema| &schema.kind)
            {
                let name = description.name();
                assert!(TYPES.iter().any(|known| known.name() == name), "{name}");
                let Description::Object {
                    direction: found, ..
                } = description
                else {
                    panic!("{name} is not an object");
                };
                assert_eq!(*found, direction, "{name}");
            }
        }
    }
}

#[test]
fn only_get_operations_are_safe() {
    for operation in OPERATIONS {
        assert_eq!(
            operation.idempotency == Idempotency::Safe,
            operation.method == Method::Get,
            "{}",
            operation.name
        );
        if operation.idempotency == Idempotency::NonIdempotent {
            assert!(
                operation.recovery_hint.is_some(),
                "{} has no hint",
                operation.name
            );
        }
    }
}
