//! Macro that declares the objects of the API with their decoding, encoding and description.
//!
//! Not derived with serde, because objects keep unknown fields, for which `serde(flatten)` would
//! buffer every object; because the API sometimes omits fields that it documents as required; and
//! because the types of all four languages come from one declaration. Must not depend on
//! operations.

/// Declares an object of the API.
///
/// `response struct` or `request struct`, then for each field: its presence, its name and type in
/// Rust, and its name in JSON. Unknown fields are kept in `extra`. Of duplicate fields the last one
/// wins, as in most JSON decoders.
///
/// Presences: `required`; `optional`, with an `Option` type; `defaulted`, documented as required but
/// default if absent; `omittable`, the same with an `Option` type, for types without a default and
/// for strings that are empty until there is a value.
macro_rules! api_object {
    (
        $(#[doc = $doc:literal])*
        $direction:ident struct $name:ident {
            $(
                $(#[doc = $field_doc:literal])*
                $presence:ident $field:ident: $type:ty = $json:literal,
            )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        #[allow(unreachable_pub, reason = "some are request bodies that are not exported")]
        pub struct $name {
            $( $(#[doc = $field_doc])* pub $field: $type, )*
            /// Fields that this version does not know.
            pub extra: $crate::api::extra::Extra,
        }

        $crate::api::object_macro::api_object!(@default $direction $name { $($presence $field)* } $($field)*);

        // The walk marks the fields that are present in the bits of a `u64`.
        const _: () = assert!(<[&str]>::len(&[$($json),*]) <= u64::BITS as usize);

        impl $crate::api::schema::Describe for $name {
            const DESCRIPTION: &'static $crate::api::schema::Description =
                &$crate::api::schema::Description::Object {
                    name: stringify!($name),
                    doc: concat!($($doc, "\n"),*),
                    direction: $crate::api::object_macro::api_object!(@direction $direction),
                    fields: &[ $( $crate::api::schema::Field {
                        name: stringify!($field),
                        json: $json,
                        rust_type: stringify!($type),
                        presence: $crate::api::object_macro::api_object!(@presence $presence),
                        doc: concat!($($field_doc, "\n"),*),
                        schema: <$type as $crate::api::schema::HasSchema>::SCHEMA,
                    }, )* ],
                };
        }

        impl $crate::api::schema::HasSchema for $name {
            const SCHEMA: $crate::api::schema::JsonSchema = $crate::api::schema::JsonSchema::Described(
                <$name as $crate::api::schema::Describe>::DESCRIPTION,
            );
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                #[allow(non_camel_case_types, dead_code)]
                enum Index { $($field,)* }

                #[allow(unused_variables, reason = "an object may have no field")]
                let blanks = self.extra.blanks();
                let mut map = serializer.serialize_map(None)?;
                $(
                    $crate::api::object_macro::api_object!(
                        @encode $presence $direction map, $json, self.$field, blanks, Index::$field as u32
                    );
                )*
                self.extra.encode(&mut map)?;
                map.end()
            }
        }

        const _: () = {
            #[derive(Default)]
            pub(crate) struct Builder {
                $( $field: $crate::api::object_macro::api_object!(@place $presence $type), )*
            }

            #[allow(non_camel_case_types, dead_code)]
            enum Index { $($field,)* }

            impl $crate::api::place::ObjectBuilder for Builder {
                fn description(&self) -> &'static $crate::api::schema::Description {
                    <$name as $crate::api::schema::Describe>::DESCRIPTION
                }

                fn place(&mut self, position: usize) -> Option<$crate::api::place::Place<'_>> {
                    match position {
                        $( position if position == Index::$field as usize => {
                            Some($crate::api::place::Decode::place(&mut self.$field))
                        } )*
                        _ => None,
                    }
                }
            }

            impl $crate::api::place::Object for $name {
                type Builder = Builder;

                #[allow(unused_mut, unused_variables, reason = "an object may have no field")]
                fn build(
                    builder: Builder,
                    mut blanks: $crate::api::extra::Blanks,
                    extra: $crate::api::extra::Extra,
                ) -> Option<Self> {
                    Some($name {
                        $( $field: $crate::api::object_macro::api_object!(
                            @build $presence builder.$field, blanks, Index::$field as u32
                        ), )*
                        extra: extra.with_blanks(blanks),
                    })
                }
            }

            impl $crate::api::place::Decode for $name {
                fn place(value: &mut Option<Self>) -> $crate::api::place::Place<'_> {
                    $crate::api::place::Place::Object(value)
                }
            }
        };

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[allow(non_camel_case_types, dead_code)]
                enum Index { $($field,)* }

                #[allow(non_camel_case_types)]
                enum Key { $($field,)* Unknown(String) }

                impl<'de> serde::Deserialize<'de> for Key {
                    fn deserialize<D: serde::Deserializer<'de>>(
                        deserializer: D,
                    ) -> Result<Self, D::Error> {
                        struct KeyVisitor;
                        impl serde::de::Visitor<'_> for KeyVisitor {
                            type Value = Key;
                            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                                f.write_str("the name of a field")
                            }
                            fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Key, E> {
                                Ok(match key {
                                    $( $json => Key::$field, )*
                                    _ => Key::Unknown(key.to_owned()),
                                })
                            }
                        }
                        deserializer.deserialize_identifier(KeyVisitor)
                    }
                }

                struct ObjectVisitor;
                impl<'de> serde::de::Visitor<'de> for ObjectVisitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("an object (", stringify!($name), ")"))
                    }
                    fn visit_map<M: serde::de::MapAccess<'de>>(
                        self,
                        mut map: M,
                    ) -> Result<$name, M::Error> {
                        $( $crate::api::object_macro::api_object!(@declare $presence $field: $type); )*
                        let mut extra = $crate::api::extra::Extra::default();
                        #[allow(unused_mut, reason = "an object may have no field")]
                        let mut blanks = $crate::api::extra::Blanks::default();
                        while let Some(key) = map.next_key::<Key>()? {
                            match key {
                                $( Key::$field => {
                                    $field = $crate::api::object_macro::api_object!(
                                        @decode $presence map, blanks, Index::$field as u32
                                    );
                                } )*
                                Key::Unknown(name) => extra.insert(name, map.next_value()?),
                            }
                        }
                        Ok($name {
                            $( $field: $crate::api::object_macro::api_object!(
                                @settle $presence $field $json, blanks, Index::$field as u32
                            ), )*
                            extra: extra.with_blanks(blanks),
                        })
                    }
                }
                deserializer.deserialize_map(ObjectVisitor)
            }
        }
    };
    // A response has a default for a `defaulted` field that is absent, unless it has required
    // fields itself. A request must be complete.
    (@default response $name:ident { required $($rest:ident)* } $($field:ident)*) => {};
    (@default response $name:ident { $skipped:ident $skipped_too:ident $($rest:ident)* } $($field:ident)*) => {
        $crate::api::object_macro::api_object!(@default response $name { $($rest)* } $($field)*);
    };
    (@default response $name:ident {} $($field:ident)*) => {
        impl Default for $name {
            fn default() -> Self {
                $name {
                    $( $field: Default::default(), )*
                    extra: Default::default(),
                }
            }
        }
    };
    (@default request $name:ident { $($rest:ident)* } $($field:ident)*) => {};
    (@direction response) => { $crate::api::schema::Direction::Response };
    (@direction request) => { $crate::api::schema::Direction::Request };
    (@presence required) => { $crate::api::schema::Presence::Required };
    (@presence defaulted) => { $crate::api::schema::Presence::Defaulted };
    (@presence optional) => { $crate::api::schema::Presence::Optional };
    (@presence omittable) => { $crate::api::schema::Presence::Defaulted };
    (@encode omittable $($rest:tt)*) => {
        $crate::api::object_macro::api_object!(@encode optional $($rest)*)
    };
    (@encode optional $direction:ident $map:ident, $json:literal, $value:expr, $blanks:ident, $position:expr) => {
        if $value.is_some() || $blanks.was_null($position) {
            $map.serialize_entry($json, &$value)?;
        } else if $blanks.was_empty($position) {
            $map.serialize_entry($json, "")?;
        }
    };
    (@encode defaulted $direction:ident $map:ident, $json:literal, $value:expr, $blanks:ident, $position:expr) => {
        // Unless the caller set it after decoding.
        if $blanks.was_null($position) && $crate::api::extra::is_default(&$value) {
            $map.serialize_entry($json, &())?;
        } else if !($crate::api::object_macro::api_object!(@may_omit $direction)
            && $blanks.was_absent($position)
            && $crate::api::extra::is_default(&$value))
        {
            $map.serialize_entry($json, &$value)?;
        }
    };
    // A request must be complete, also with objects of a response.
    (@may_omit request) => { false };
    (@may_omit response) => { true };
    (@encode required $direction:ident $map:ident, $json:literal, $value:expr, $blanks:ident, $position:expr) => {
        $map.serialize_entry($json, &$value)?;
    };
    (@place required $type:ty) => { Option<$type> };
    (@place defaulted $type:ty) => { Option<$type> };
    (@place $optional:ident $type:ty) => { $type };
    (@build required $value:expr, $blanks:ident, $position:expr) => { $value? };
    (@build defaulted $value:expr, $blanks:ident, $position:expr) => {
        $value.unwrap_or_else(|| {
            $blanks.set_default($position);
            Default::default()
        })
    };
    (@build $optional:ident $value:expr, $blanks:ident, $position:expr) => { $value };
    (@declare required $field:ident: $type:ty) => { let mut $field: Option<$type> = None; };
    (@declare defaulted $field:ident: $type:ty) => { let mut $field: Option<$type> = None; };
    (@declare $optional:ident $field:ident: $type:ty) => { let mut $field: $type = None; };
    (@decode required $map:ident, $blanks:ident, $position:expr) => { Some($map.next_value()?) };
    (@decode $presence:ident $map:ident, $blanks:ident, $position:expr) => {
        $map.next_value_seed($blanks.field($position))?
    };
    (@settle required $field:ident $json:literal, $blanks:ident, $position:expr) => {
        $field.ok_or_else(|| serde::de::Error::missing_field($json))?
    };
    (@settle defaulted $field:ident $json:literal, $blanks:ident, $position:expr) => {
        $field.unwrap_or_else(|| {
            $blanks.set_default($position);
            Default::default()
        })
    };
    (@settle $optional:ident $field:ident $json:literal, $blanks:ident, $position:expr) => { $field };
}
pub(crate) use api_object;

#[cfg(test)]
#[allow(unreachable_pub)] // the macros declare public types
mod tests {
    use serde::Serialize;

    use crate::api::enum_macro::api_enum;
    use crate::api::id_macro::api_id;
    use crate::api::json::Number;
    use crate::api::place::Decode;
    use crate::api::text_decoder;
    use crate::api::timestamp::Timestamp;

    api_object! {
        /// An item.
        response struct Item {
            /// Its id.
            required id: String = "id",
            /// Its label.
            defaulted label: String = "label",
            /// Its color.
            defaulted color: Color = "color",
            /// Its size.
            optional size: Option<Number> = "size",
            /// What it is made of.
            optional parts: Option<Vec<Part>> = "parts",
        }
    }

    api_object! {
        /// A part of an item.
        response struct Part {}
    }

    api_enum! {
        /// A color.
        enum Color {
            /// Red.
            Red = "red",
        }
    }

    api_id! {
        /// The id of an item.
        struct ItemId;
    }

    api_object! {
        /// A visit.
        response struct Visit {
            /// Whose it was.
            omittable owner: Option<ItemId> = "owner",
            /// When it changed.
            optional changed: Option<Timestamp> = "changed",
            /// When it was used.
            omittable used: Option<Timestamp> = "used",
            /// When it was made.
            defaulted made: Timestamp = "made",
        }
    }

    api_object! {
        /// An order.
        request struct Order {
            /// What is ordered.
            required item: String = "item",
            /// A note.
            defaulted note: String = "note",
        }
    }

    /// Decodes JSON with both decoders, which must agree.
    fn decode<T: Decode + Serialize>(json: &str) -> serde_json::Result<T> {
        let encode = |value: &T| serde_json::to_string(value).unwrap();
        let decoded = serde_json::from_str(json);
        let mut value = None;
        let is_decoded = text_decoder::decode(json, T::place(&mut value));
        assert_eq!(
            value.as_ref().filter(|_| is_decoded).map(encode),
            decoded.as_ref().ok().map(encode)
        );
        decoded
    }

    fn item(json: &str) -> serde_json::Result<Item> {
        decode(json)
    }

    #[test]
    fn unknown_fields_and_values_are_encoded_verbatim() {
        let json = concat!(
            r#"{"id":"a","label":"b","color":"green","size":123456789012345678901234567890,"#,
            r#""parts":[],"new":{"b":1e400,"a":[1.0,null]}}"#,
        );
        let decoded = item(json).unwrap();
        assert_eq!(decoded.color, Color::from("green"));
        assert_eq!(format!("{:?}", decoded.color), r#"Unknown("green")"#);
        assert_eq!(
            decoded.extra.get("new").unwrap().as_str(),
            r#"{"b":1e400,"a":[1.0,null]}"#
        );
        assert_eq!(serde_json::to_string(&decoded).unwrap(), json);
    }

    #[test]
    fn absent_and_null_fields_decode_alike() {
        let absent = item(r#"{"id":"a"}"#).unwrap();
        let null =
            item(r#"{"id":"a","label":null,"color":null,"size":null,"parts":null}"#).unwrap();
        assert_eq!(absent, null);
        assert_eq!(
            (absent.label.as_str(), absent.color.as_str(), absent.size),
            ("", "", None)
        );
    }

    #[test]
    fn null_field_is_encoded_as_null_unless_it_was_set() {
        let json = r#"{"id":"a","label":null,"color":null,"size":null,"parts":null,"new":null}"#;
        let mut decoded = item(json).unwrap();
        assert_eq!(serde_json::to_string(&decoded).unwrap(), json);
        assert_eq!(decoded.extra.len(), 1);
        decoded.label = "b".to_owned();
        decoded.parts = Some(Vec::new());
        assert_eq!(
            serde_json::to_string(&decoded).unwrap(),
            r#"{"id":"a","label":"b","color":null,"size":null,"parts":[],"new":null}"#
        );
        let twice = item(r#"{"id":"a","label":null,"label":"b","size":1,"size":null}"#).unwrap();
        assert_eq!(
            serde_json::to_string(&twice).unwrap(),
            r#"{"id":"a","label":"b","size":null}"#
        );
        let twice = item(r#"{"id":"a","label":"b","label":null,"parts":[{}],"parts":[]}"#).unwrap();
        assert_eq!(
            serde_json::to_string(&twice).unwrap(),
            r#"{"id":"a","label":null,"parts":[]}"#
        );
    }

    #[test]
    fn absent_field_is_not_encoded_unless_it_was_set() {
        let mut decoded = item(r#"{"id":"a"}"#).unwrap();
        assert_eq!(serde_json::to_string(&decoded).unwrap(), r#"{"id":"a"}"#);
        decoded.label = "b".to_owned();
        assert_eq!(
            serde_json::to_string(&decoded).unwrap(),
            r#"{"id":"a","label":"b"}"#
        );
        assert_eq!(
            serde_json::to_string(&Visit::default()).unwrap(),
            r#"{"made":""}"#
        );
        let order: Order = decode(r#"{"item":"a"}"#).unwrap();
        assert_eq!(
            serde_json::to_string(&order).unwrap(),
            r#"{"item":"a","note":""}"#
        );
    }

    #[test]
    fn empty_id_or_time_counts_as_absent_and_is_encoded_as_empty_string() {
        let json = r#"{"owner":"","changed":"","used":"","made":""}"#;
        let mut visit: Visit = decode(json).unwrap();
        assert_eq!(visit.owner, None);
        assert_eq!(visit.changed, None);
        assert_eq!(visit.used, None);
        assert_eq!(visit.made.as_str(), "");
        assert_eq!(serde_json::to_string(&visit).unwrap(), json);
        visit.owner = Some(ItemId::new("a").unwrap());
        assert_eq!(
            serde_json::to_string(&visit).unwrap(),
            r#"{"owner":"a","changed":"","used":"","made":""}"#
        );
        let json = r#"{"owner":null,"changed":"2024","used":null,"made":null}"#;
        let visit: Visit = decode(json).unwrap();
        assert_eq!(visit.owner, None);
        assert_eq!(visit.changed.as_ref().map(Timestamp::as_str), Some("2024"));
        assert_eq!(serde_json::to_string(&visit).unwrap(), json);
        let absent: Visit = decode("{}").unwrap();
        assert_eq!(serde_json::to_string(&absent).unwrap(), "{}");
        for (twice, last) in [
            (r#"{"owner":"","owner":"b"}"#, r#"{"owner":"b"}"#),
            (r#"{"owner":"b","owner":""}"#, r#"{"owner":""}"#),
        ] {
            let visit: Visit = decode(twice).unwrap();
            assert_eq!(serde_json::to_string(&visit).unwrap(), last);
        }
        let error = decode::<Visit>(r#"{"owner":3}"#).unwrap_err();
        assert!(error.to_string().contains("expected a string"), "{error}");
    }

    #[test]
    fn decode_error_names_missing_required_field() {
        let error = item(r#"{"label":"b"}"#).unwrap_err();
        assert!(error.to_string().contains("missing field `id`"), "{error}");
        assert!(item(r#"{"id":null}"#).is_err());
    }

    #[test]
    fn last_of_duplicate_fields_wins() {
        assert_eq!(item(r#"{"id":"a","id":"b"}"#).unwrap().id, "b");
    }

    #[test]
    fn number_field_rejects_string() {
        assert!(item(r#"{"id":"a","size":"3"}"#).is_err());
        let size = item(r#"{"id":"a","size":-2.5}"#).unwrap().size.unwrap();
        assert_eq!((size.as_i64(), size.as_f64()), (None, -2.5));
    }

    #[test]
    fn debug_names_unknown_fields_without_their_values() {
        let debug = format!("{:?}", item(r#"{"id":"a","key":"hunter2"}"#).unwrap());
        assert!(
            debug.contains("key") && !debug.contains("hunter2"),
            "{debug}"
        );
    }
}
