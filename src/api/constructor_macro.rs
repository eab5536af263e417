//! Macro that declares the constructor and the setters of requests.

/// Declares how a request is created: the constructor `new`, with the required fields, and a setter for
/// each optional field.
///
/// The compiler reports a field that is missing. Requests with lists declare both without this macro, since
/// their arguments are iterators.
macro_rules! api_constructor {
    (
        impl $name:ident {
            $(#[doc = $doc:literal])*
            fn new($($required:ident: $required_type:ty),* $(,)?);
            $(
                $(#[doc = $setter_doc:literal])*
                fn $optional:ident($optional_type:ty);
            )*
        }
    ) => {
        impl $name {
            $(#[doc = $doc])*
            #[must_use]
            pub fn new($($required: $required_type),*) -> Self {
                $name {
                    $( $required: $required.into(), )*
                    $( $optional: None, )*
                    extra: Default::default(),
                }
            }

            $(
                $(#[doc = $setter_doc])*
                #[must_use]
                pub fn $optional(mut self, $optional: $optional_type) -> Self {
                    self.$optional = Some($optional.into());
                    self
                }
            )*
        }
    };
}
pub(crate) use api_constructor;
