//! The public types have the traits that programs expect; what this file states compiles.

use std::error::Error as StdError;
use std::fmt::{Debug, Display};
use std::hash::Hash;

use camunda_admin::{
    Activity, AdminClient, AdminClientBuilder, Backup, Backups, CallOptions, Cancel, Cluster,
    ClusterClients, ClusterCredentials, ClusterHandle, ClusterId, ClusterMonitoring,
    ClusterSecrets, ClusterStage, Clusters, CounterReport, CreateCluster, CreatedClusterClient,
    Diagnostics, Error, ErrorKind, Extra, FailoverStep, Idempotency, Json, Members, Method, Number,
    Outcome, RateLimiterReport, Restore, Secret, SecureConnectivity, Stage, Stats, StoreReport,
    StoreRole, Timestamp, Token, TokenCache, TokenReport, TokenRequestFormat, TokenSource,
    TokenStatus, Wait,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

#[test]
fn public_types_have_common_traits() {
    fn shared<T: Clone + Debug + Send + Sync + 'static>() {}
    fn compared<T: Eq + Clone + Debug + Send + Sync + 'static>() {}
    fn report<T: Serialize + Eq + Clone + Debug + Send + Sync + 'static>() {}
    fn json<T: DeserializeOwned + Serialize + Eq + Clone + Debug + Send + Sync + 'static>() {}
    fn key<T: DeserializeOwned + Serialize + Display + Ord + Hash + Clone + Send + Sync>() {}
    fn name<T: DeserializeOwned + Serialize + Display + Copy + Eq + Hash + Send + Sync>() {}

    shared::<AdminClient>();
    shared::<AdminClientBuilder>();
    shared::<TokenSource>();
    shared::<Token>();
    shared::<CallOptions>();
    shared::<Cancel>();
    shared::<Wait<'static, Cluster>>();
    shared::<Wait<'static, Restore>>();
    shared::<(Activity, Backups, ClusterClients, ClusterHandle, Clusters)>();
    shared::<(
        ClusterMonitoring,
        ClusterSecrets,
        Members,
        SecureConnectivity,
    )>();

    compared::<ClusterCredentials>();
    compared::<Extra>();
    compared::<TokenCache>();
    compared::<TokenRequestFormat>();

    report::<Stats>();
    report::<Diagnostics>();
    report::<(TokenReport, RateLimiterReport, StoreReport, CounterReport)>();

    // Of each kind of the API's types: response, request, response with a secret.
    json::<(Cluster, Backup, CreateCluster, CreatedClusterClient)>();
    json::<(Json, Number, Secret, FailoverStep)>();

    key::<ClusterId>();
    key::<ClusterStage>();
    key::<Timestamp>();

    name::<ErrorKind>();
    name::<Stage>();
    name::<Outcome>();
    name::<Idempotency>();
    name::<Method>();
    name::<StoreRole>();
    name::<TokenStatus>();

    #[cfg(feature = "doctor")]
    {
        use camunda_admin::doctor;
        shared::<doctor::Options>();
        report::<(
            doctor::Report,
            doctor::Setting,
            doctor::Check,
            doctor::Permission,
        )>();
        name::<doctor::Status>();
        name::<doctor::Access>();
    }
}

#[test]
fn error_converts_into_boxed_error_and_io_error() {
    fn error<T: StdError + Clone + Send + Sync + 'static>() {}
    error::<Error>();
    let invalid = "".parse::<ClusterId>().unwrap_err();
    let boxed: Box<dyn StdError + Send + Sync> = invalid.clone().into();
    assert_eq!(boxed.to_string(), invalid.to_string());
    let io = std::io::Error::other(invalid);
    let inner = io.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    assert_eq!(inner.map(Error::kind), Some(ErrorKind::InvalidArgument));
}
