//! Macro that declares the enumerations of the API with their decoding, encoding and description.

use std::fmt;

/// Value of an enumeration that this version does not know.
///
/// Opaque: a `match` cannot depend on its text, which would change its result silently when a later
/// version knows the value. Compare with `as_str` of the enumeration instead.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
// `None` if empty. Boxed twice, since it is rare: an enumeration takes 16 bytes instead of 24.
pub struct UnknownValue(Option<Box<Box<str>>>);

impl UnknownValue {
    pub(crate) fn new(value: &str) -> Self {
        UnknownValue((!value.is_empty()).then(|| Box::new(Box::from(value))))
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.as_deref().map_or("", |value| value)
    }
}

impl fmt::Debug for UnknownValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// Declares an open enumeration of the API: the values known to this version, and `Unknown`.
macro_rules! api_enum {
    (
        $(#[doc = $doc:literal])*
        enum $name:ident {
            $( $(#[doc = $value_doc:literal])* $variant:ident = $json:literal, )*
        }
    ) => {
        $(#[doc = $doc])*
        ///
        /// A value that this version does not know is kept as `Unknown` and encoded unchanged.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[doc = $value_doc])* $variant, )*
            /// A value that this version does not know; empty if the field was absent. `as_str` and
            /// `Display` return it.
            Unknown($crate::api::enum_macro::UnknownValue),
        }

        impl $name {
            /// Returns the value as in JSON.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $( $name::$variant => $json, )*
                    $name::Unknown(value) => value.as_str(),
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                $name::Unknown($crate::api::enum_macro::UnknownValue::default())
            }
        }

        impl From<&str> for $name {
            fn from(value: &str) -> Self {
                match value {
                    $( $json => $name::$variant, )*
                    _ => $name::Unknown($crate::api::enum_macro::UnknownValue::new(value)),
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::convert::Infallible;
            /// Never fails: an unknown value becomes `Unknown`.
            fn from_str(value: &str) -> Result<Self, Self::Err> {
                Ok($name::from(value))
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl $crate::api::place::Decode for $name {
            fn place(value: &mut Option<Self>) -> $crate::api::place::Place<'_> {
                $crate::api::place::Place::text(value)
            }
        }

        impl $crate::api::place::Text for $name {
            fn from_text(value: &str) -> Result<Self, String> {
                Ok($name::from(value))
            }
        }

        impl $crate::api::schema::Describe for $name {
            const DESCRIPTION: &'static $crate::api::schema::Description =
                &$crate::api::schema::Description::Enum {
                    name: stringify!($name),
                    doc: concat!($($doc, "\n"),*),
                    values: &[ $( $crate::api::schema::EnumValue {
                        name: stringify!($variant),
                        json: $json,
                        doc: concat!($($value_doc, "\n"),*),
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
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct ValueVisitor;
                impl serde::de::Visitor<'_> for ValueVisitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("a string (", stringify!($name), ")"))
                    }
                    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<$name, E> {
                        Ok($name::from(value))
                    }
                }
                deserializer.deserialize_str(ValueVisitor)
            }
        }
    };
}
pub(crate) use api_enum;

#[cfg(test)]
#[allow(unreachable_pub)] // the macro declares a public type
mod tests {
    api_enum! {
        /// A color.
        enum Color {
            /// Red.
            Red = "red",
        }
    }

    #[test]
    fn enum_value_parses_known_and_unknown_strings() {
        assert_eq!("red".parse(), Ok(Color::Red));
        assert_eq!("green".parse(), Ok(Color::from("green")));
        assert_eq!(Color::Red.as_ref(), "red");
    }
}
