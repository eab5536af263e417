//! Tests that a change which panics may have been applied.

use std::ptr::{null, null_mut};

use crate::ffi::boundary::PANIC;
use crate::ffi::dispatch::{
    CAMUNDA_IDEMPOTENCY_BY_METHOD, CAMUNDA_IDEMPOTENCY_SAFE, camunda_cluster_add_to_ip_allowlist,
    camunda_cluster_client_create_env_file, camunda_cluster_remove_from_ip_allowlist,
    camunda_request,
};
use crate::ffi::error::{
    CAMUNDA_STATUS_INTERNAL, camunda_error, camunda_error_free,
    camunda_error_may_have_been_applied, camunda_status,
};
use crate::ffi::operations_generated::{
    camunda_cluster_create, camunda_cluster_delete, camunda_cluster_list,
    camunda_cluster_wait_until_deleted,
};

/// Returns whether the error of a function that panics says that a change may have been applied.
fn may_have_been_applied(call: impl FnOnce(*mut *mut camunda_error) -> camunda_status) -> bool {
    let mut error = null_mut();
    PANIC.set(true);
    let status = call(&raw mut error);
    PANIC.set(false);
    assert_eq!(status, CAMUNDA_STATUS_INTERNAL);
    // SAFETY: the function has returned the error, which is freed once.
    unsafe {
        let applied = camunda_error_may_have_been_applied(error);
        camunda_error_free(error);
        applied
    }
}

#[test]
#[rustfmt::skip]
fn change_that_panics_may_have_been_applied() {
    let out = null_mut();
    // SAFETY: the panic precedes every access to an argument.
    let changes = unsafe {
        [
            ("create", may_have_been_applied(|error| camunda_cluster_create(null(), null(), null(), 0, out, error))),
            ("delete", may_have_been_applied(|error| camunda_cluster_delete(null(), null(), null(), error))),
            ("create_env_file", may_have_been_applied(|error| {
                camunda_cluster_client_create_env_file(null(), null(), null(), null(), 0, null(), out, error)
            })),
            ("add_to_ip_allowlist", may_have_been_applied(|error| {
                camunda_cluster_add_to_ip_allowlist(null(), null(), null(), null(), null(), out, error)
            })),
            ("remove_from_ip_allowlist", may_have_been_applied(|error| {
                camunda_cluster_remove_from_ip_allowlist(null(), null(), null(), null(), out, error)
            })),
            ("request", may_have_been_applied(|error| {
                camunda_request(null(), null(), CAMUNDA_IDEMPOTENCY_BY_METHOD, null(), null(), null(), 0, out, error)
            })),
        ]
    };
    for (name, applied) in changes {
        assert!(applied, "{name}");
    }
    // SAFETY: as above.
    let reads = unsafe {
        [
            ("list", may_have_been_applied(|error| camunda_cluster_list(null(), null(), out, error))),
            ("wait", may_have_been_applied(|error| {
                camunda_cluster_wait_until_deleted(null(), null(), null(), error)
            })),
            ("request", may_have_been_applied(|error| {
                camunda_request(null(), null(), CAMUNDA_IDEMPOTENCY_SAFE, null(), null(), null(), 0, out, error)
            })),
        ]
    };
    for (name, applied) in reads {
        assert!(!applied, "{name}");
    }
}
