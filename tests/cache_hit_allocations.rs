//! Returning a cached token allocates no memory.

use allocation_counter::measure;
use camunda_admin::AdminClient;
use camunda_admin_sandbox::Sandbox;

#[test]
fn cached_token_is_returned_without_an_allocation() {
    let sandbox = Sandbox::start();
    let admin = AdminClient::builder()
        .client_id(&sandbox.client_id())
        .client_secret(sandbox.client_secret())
        .base_url(&sandbox.base_url())
        .oauth_url(&sandbox.oauth_url())
        .token_cache("memory")
        .build()
        .unwrap();
    let tokens = admin.token_source("api.cloud.camunda.io").unwrap();
    let cold = measure(|| drop(tokens.access_token().unwrap()));
    assert!(cold.count_total > 0, "the allocations are counted");
    let warm = measure(|| {
        for _ in 0..1000 {
            tokens.access_token().unwrap();
        }
    });
    assert_eq!(warm.count_total, 0);
}
