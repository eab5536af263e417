//! Macro that declares the handles of resources.
//!
//! A handle's file also adds the method that returns it to [`AdminClient`](crate::AdminClient) or
//! [`ClusterHandle`](crate::ClusterHandle), so that these do not depend on resources.

/// Declares the handle of a resource of the organization (`fn name(&AdminClient)`) or of a cluster
/// (`fn name(&ClusterHandle)`), and the method that returns it.
macro_rules! api_handle {
    (
        $(#[doc = $doc:literal])*
        struct $name:ident;
        $(#[doc = $method_doc:literal])*
        fn $method:ident(&AdminClient);
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone)]
        pub struct $name {
            admin: $crate::AdminClient,
        }

        impl $crate::AdminClient {
            $(#[doc = $method_doc])*
            #[must_use]
            pub fn $method(&self) -> $name {
                $name {
                    admin: self.clone(),
                }
            }
        }
    };
    (
        $(#[doc = $doc:literal])*
        struct $name:ident;
        $(#[doc = $method_doc:literal])*
        fn $method:ident(&ClusterHandle);
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone)]
        pub struct $name {
            pub(crate) admin: $crate::AdminClient,
            pub(crate) cluster: $crate::ClusterId,
        }

        impl $crate::ClusterHandle {
            $(#[doc = $method_doc])*
            #[must_use]
            pub fn $method(&self) -> $name {
                $name {
                    admin: self.admin.clone(),
                    cluster: self.cluster.clone(),
                }
            }
        }
    };
}
pub(crate) use api_handle;
