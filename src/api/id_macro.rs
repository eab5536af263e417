//! Macro that declares the ids of the API with their validation, decoding, encoding and description.

/// Declares an id: an opaque, non-empty string that is percent-encoded in paths.
macro_rules! api_id {
    ($(#[doc = $doc:literal])* struct $name:ident;) => {
        $(#[doc = $doc])*
        ///
        /// Never empty. Percent-encoded in the paths of requests.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Creates an id from a string.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) if the id is empty
            /// or has a `.` or `..` segment, also a percent-encoded one: servers and proxies
            /// resolve these, so that the request could reach another resource.
            pub fn new(id: impl Into<String>) -> $crate::Result<Self> {
                let id = id.into();
                $crate::api::path_segment::check_segment(stringify!($name), &id)?;
                Ok($name(id))
            }

            /// Returns the id as in JSON.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Error;
            fn from_str(id: &str) -> $crate::Result<Self> {
                $name::new(id)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = $crate::Error;
            fn try_from(id: &str) -> $crate::Result<Self> {
                $name::new(id)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::Error;
            fn try_from(id: String) -> $crate::Result<Self> {
                $name::new(id)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }

        /// Clones the id, so that a function can take an id by value or by reference.
        impl From<&$name> for $name {
            fn from(id: &$name) -> $name {
                id.clone()
            }
        }

        /// So that a map with ids as keys can be searched with a string.
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct IdVisitor;
                impl serde::de::Visitor<'_> for IdVisitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a string")
                    }
                    fn visit_str<E: serde::de::Error>(self, id: &str) -> Result<$name, E> {
                        $crate::api::id_macro::check_id(stringify!($name), id).map_err(E::custom)?;
                        Ok($name(id.to_owned()))
                    }
                }
                deserializer.deserialize_str(IdVisitor)
            }
        }

        impl $crate::api::place::Decode for $name {
            fn place(value: &mut Option<Self>) -> $crate::api::place::Place<'_> {
                $crate::api::place::Place::text(value)
            }
        }

        impl $crate::api::place::Text for $name {
            fn from_text(id: &str) -> Result<Self, String> {
                $crate::api::id_macro::check_id(stringify!($name), id)?;
                Ok($name(id.to_owned()))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl $crate::api::schema::Describe for $name {
            const DESCRIPTION: &'static $crate::api::schema::Description =
                &$crate::api::schema::Description::Id {
                    name: stringify!($name),
                    doc: concat!($($doc, "\n"),*),
                };
        }

        impl $crate::api::schema::HasSchema for $name {
            const SCHEMA: $crate::api::schema::JsonSchema = $crate::api::schema::JsonSchema::Described(
                <$name as $crate::api::schema::Describe>::DESCRIPTION,
            );
            const EMPTY_IS_ABSENT: bool = true;
        }
    };
}
pub(crate) use api_id;

/// Validates an id of a response. Unlike an argument it may have a dot segment: the request that
/// uses it is validated.
pub(crate) fn check_id(name: &str, id: &str) -> Result<(), String> {
    match id.is_empty() {
        true => Err(format!("invalid value: {name} is empty")),
        false => Ok(()),
    }
}

#[cfg(test)]
#[allow(unreachable_pub)] // the macro declares a public type
mod tests {
    api_id! {
        /// The id of an item.
        struct ItemId;
    }

    #[test]
    fn id_is_never_empty() {
        assert!("".parse::<ItemId>().is_err());
        assert!(ItemId::try_from("").is_err());
        let error = serde_json::from_str::<ItemId>(r#""""#).unwrap_err();
        assert!(error.to_string().contains("ItemId is empty"), "{error}");
        let id: ItemId = serde_json::from_str(r#""a""#).unwrap();
        assert_eq!((id.as_ref(), id.to_string()), ("a", "a".to_owned()));
        assert_eq!(serde_json::to_string(&id).unwrap(), r#""a""#);
        assert_eq!(String::from(id), "a");
    }

    #[test]
    fn maps_with_ids_as_keys_are_searched_with_strings() {
        let id = ItemId::new("a").unwrap();
        let hashed = std::collections::HashMap::from([(id.clone(), 1)]);
        let sorted = std::collections::BTreeMap::from([(id, 2)]);
        assert_eq!((hashed.get("a"), sorted.get("a")), (Some(&1), Some(&2)));
    }

    #[test]
    fn id_rejects_empty_string_and_dot_segments() {
        for bad in ["", ".", "..", "../members", "a%2f..%2fb"] {
            assert!(ItemId::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(ItemId::new("a/members").unwrap().as_str(), "a/members");
    }
}
