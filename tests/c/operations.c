/* Calls the operations and waiters of each resource and checks the responses. The scenarios call all of them. */
#include "check.h"

static camunda_admin *admin;
static camunda_call_options *quick;

/* Returns the string at a path. */
static const char *text(const camunda_value *value, const char *path) {
  return camunda_value_str(camunda_value_path(value, path), NULL);
}

/* Declares `value` and checks that `call` succeeds and stores a value in it. */
#define CALL_VALUE(value, call)                       \
  camunda_value *value = NULL;                 \
  {                                            \
    camunda_error *error = NULL;               \
    CHECK_OK(call);                            \
    CHECK(value != NULL);                      \
  }
/* Checks that a call succeeds. */
#define CALL_VOID(call)               \
  do {                           \
    camunda_error *error = NULL; \
    CHECK_OK(call);              \
  } while (0)
#define JSON(text) (text), strlen(text)

static void clusters(void) {
  CALL_VALUE(offer, camunda_cluster_parameters(admin, NULL, &offer, &error));
  camunda_object *request = camunda_object_new();
  CALL_VOID(camunda_object_set_str(request, "name", "orders", &error));
  CALL_VOID(camunda_object_set_str(request, "channelId", text(offer, "channels.0.uuid"), &error));
  CALL_VOID(camunda_object_set_str(request, "generationId",
                              text(offer, "channels.0.defaultGeneration.uuid"), &error));
  CALL_VOID(camunda_object_set_str(request, "regionId", text(offer, "regions.0.uuid"), &error));
  CALL_VOID(camunda_object_set_str(request, "planTypeId", text(offer, "clusterPlanTypes.0.uuid"), &error));
  size_t length = 0;
  const char *json = camunda_object_json(request, &length);
  CALL_VALUE(created, camunda_cluster_create(admin, NULL, json, length, &created, &error));
  camunda_object_free(request);
  camunda_value_free(offer);
  const char *id = text(created, "clusterId");

  CALL_VALUE(healthy, camunda_cluster_wait_until_healthy(admin, quick, id, &healthy, &error));
  CHECK_STR(text(healthy, "status.ready"), "Healthy");
  CHECK_STR(text(healthy, "name"), "orders");
  camunda_value_free(healthy);

  CALL_VOID(camunda_cluster_update(admin, NULL, id, JSON("{\"name\":\"new\",\"description\":\"x\"}"), &error));
  CALL_VALUE(cluster, camunda_cluster_get(admin, NULL, id, &cluster, &error));
  CHECK_STR(text(cluster, "name"), "new");
  camunda_value_free(cluster);

  CALL_VALUE(all, camunda_cluster_list(admin, NULL, &all, &error));
  CHECK_INT(camunda_value_len(all), 1);
  CHECK_STR(text(all, "0.uuid"), id);
  camunda_value_free(all);

  CALL_VOID(camunda_cluster_delete(admin, NULL, id, &error));
  CALL_VOID(camunda_cluster_wait_until_deleted(admin, quick, id, &error));
  camunda_value_free(created);
}

static void wake_and_upgrade(void) {
  char *id = sandbox_cluster("{\"name\":\"sleeper\"}");
  char control[256];
  snprintf(control, sizeof control, "{\"status\":{\"cluster\":\"%s\",\"ready\":\"Suspended\"}}", id);
  free(sandbox_control(control, NULL));
  CALL_VOID(camunda_cluster_wake(admin, NULL, id, &error));
  CALL_VALUE(woken, camunda_cluster_wait_until_woken(admin, quick, id, &woken, &error));
  camunda_value_free(woken);

  snprintf(control, sizeof control, "{\"upgrade_available\":{\"cluster\":\"%s\"}}", id);
  free(sandbox_control(control, NULL));
  CALL_VALUE(upgrade, camunda_cluster_upgrade(admin, NULL, id, &upgrade, &error));
  const char *generation = text(upgrade, "newGeneration.id");
  CALL_VALUE(upgraded, camunda_cluster_wait_until_upgraded(admin, quick, id, generation, &upgraded, &error));
  CHECK_STR(text(upgraded, "generation.uuid"), generation);
  camunda_value_free(upgraded);
  camunda_value_free(upgrade);
  free(id);
}

static void allowlist(void) {
  char *id = sandbox_cluster("{\"name\":\"guarded\"}");
  CALL_VOID(camunda_cluster_set_ip_allowlist(
      admin, NULL, id, JSON("{\"ipallowlist\":[{\"ip\":\"10.0.0.0/8\",\"description\":\"office\"}]}"),
      &error));
  CALL_VALUE(two, camunda_cluster_add_to_ip_allowlist(admin, NULL, id, "192.0.2.0/24", "lab", &two, &error));
  CHECK_INT(camunda_value_len(two), 2);
  camunda_value_free(two);
  CALL_VALUE(one, camunda_cluster_remove_from_ip_allowlist(admin, NULL, id, "10.0.0.0/8", &one, &error));
  CHECK_INT(camunda_value_len(one), 1);
  CHECK_STR(text(one, "0.ip"), "192.0.2.0/24");
  camunda_value_free(one);
  free(id);
}

static void cluster_clients(void) {
  char *id = sandbox_cluster("{\"name\":\"clients\"}");
  CALL_VALUE(created, camunda_cluster_client_create(
                   admin, NULL, id, JSON("{\"clientName\":\"worker\",\"permissions\":[\"Zeebe\"]}"),
                   &created, &error));
  const char *client = text(created, "clientId");
  CHECK(text(created, "clientSecret") != NULL);
  CALL_VALUE(all, camunda_cluster_client_list(admin, NULL, id, &all, &error));
  CHECK_STR(text(all, "0.clientId"), client);
  CHECK_STR(text(all, "0.permissions.0"), "Zeebe");
  CALL_VALUE(details, camunda_cluster_client_get(admin, NULL, id, client, &details, &error));
  CHECK_STR(text(details, "ZEEBE_CLIENT_ID"), client);
  CALL_VOID(camunda_cluster_client_delete(admin, NULL, id, client, &error));
  camunda_value_free(details);
  camunda_value_free(all);
  camunda_value_free(created);
  free(id);
}

static void create_env_file_writes_credentials_of_new_client(void) {
  char *id = sandbox_cluster("{\"name\":\"kept\"}");
  char *path = scratch("kept.env");
  CALL_VALUE(created, camunda_cluster_client_create_env_file(
                   admin, NULL, id, JSON("{\"clientName\":\"worker\",\"permissions\":[\"Zeebe\"]}"),
                   path, &created, &error));
  camunda_error *error = NULL;
  camunda_value *credentials = NULL;
  CHECK_OK(camunda_credentials_read(path, &credentials, &error));
  CHECK_STR(text(credentials, "ZEEBE_CLIENT_ID"), text(created, "clientId"));
  CHECK_STR(text(credentials, "ZEEBE_CLIENT_SECRET"), text(created, "clientSecret"));
  CHECK_STR(text(credentials, "CAMUNDA_CLUSTER_REGION"), "bru-2");
  camunda_value_free(credentials);
  camunda_value_free(created);

  /* If the file exists, no client is created. If no client is created, the file is removed. */
  created = NULL;
  CHECK_FAILS(camunda_cluster_client_create_env_file(
                  admin, NULL, id, JSON("{\"clientName\":\"other\"}"), path, &created, &error),
              CAMUNDA_STATUS_IO);
  CHECK_INT(camunda_error_outcome(error), CAMUNDA_OUTCOME_NOT_SENT);
  FREE_ERROR(error);
  CALL_VALUE(all, camunda_cluster_client_list(admin, NULL, id, &all, &error));
  CHECK_INT(camunda_value_len(all), 1);
  camunda_value_free(all);
  CHECK_INT(remove(path), 0);
  const struct {
    const char *json;
    camunda_status status;
  } rejected[] = {
      {"{\"clientName\":\"worker\"}", CAMUNDA_STATUS_INVALID_REQUEST},
      {"{\"clientName\":\"w\",\"permissions\":[]}", CAMUNDA_STATUS_INVALID_ARGUMENT},
  };
  for (size_t i = 0; i < sizeof rejected / sizeof *rejected; ++i) {
    CHECK_FAILS(camunda_cluster_client_create_env_file(admin, NULL, id, JSON(rejected[i].json), path,
                                                       &created, &error),
                rejected[i].status);
    FREE_ERROR(error);
    CHECK(created == NULL);
    CHECK(access(path, F_OK) != 0);
  }
  free(path);
  free(id);
}

static void backups(void) {
  char *id = sandbox_cluster("{\"name\":\"saved\"}");
  CALL_VALUE(backup, camunda_backup_create(admin, NULL, id, &backup, &error));
  const char *name = text(backup, "uuid");
  CALL_VALUE(complete, camunda_backup_wait_until_complete(admin, quick, id, name, &complete, &error));
  CHECK_STR(text(complete, "status"), "Complete");
  camunda_value_free(complete);
  CALL_VALUE(restore, camunda_backup_restore(admin, NULL, id, name, &restore, &error));
  CHECK_STR(text(restore, "backupId"), name);
  camunda_value_free(restore);
  CALL_VALUE(status, camunda_backup_restore_status(admin, NULL, id, name, &status, &error));
  camunda_value_free(status);
  CALL_VALUE(restored, camunda_backup_wait_until_restored(admin, quick, id, name, &restored, &error));
  CHECK_STR(text(restored, "state"), "COMPLETED");
  camunda_value_free(restored);

  CALL_VALUE(set, camunda_backup_set_schedule(admin, NULL, id, JSON("{\"schedule\":\"0 2 * * *\"}"), &set,
                                       &error));
  camunda_value_free(set);
  CALL_VALUE(schedule, camunda_backup_schedule(admin, NULL, id, &schedule, &error));
  CHECK_STR(text(schedule, "schedule"), "0 2 * * *");
  camunda_value_free(schedule);
  CALL_VOID(camunda_backup_delete_schedule(admin, NULL, id, &error));

  CALL_VALUE(all, camunda_backup_list(admin, NULL, id, &all, &error));
  CHECK_INT(camunda_value_len(all), 1);
  camunda_value_free(all);
  CALL_VALUE(deleted, camunda_backup_delete(admin, NULL, id, name, &deleted, &error));
  CHECK_STR(text(deleted, "uuid"), name);
  camunda_value_free(deleted);
  camunda_value_free(backup);
  free(id);
}

static void secrets(void) {
  char *id = sandbox_cluster("{\"name\":\"secretive\"}");
  CALL_VOID(camunda_secret_create(admin, NULL, id,
                             JSON("{\"secretName\":\"KEY\",\"secretValue\":\"v1\"}"), &error));
  CALL_VOID(camunda_secret_update(admin, NULL, id, "KEY", JSON("{\"secretValue\":\"v2\"}"), &error));
  CALL_VALUE(all, camunda_secret_list(admin, NULL, id, &all, &error));
  CHECK_STR(text(all, "KEY"), "v2");
  camunda_value_free(all);
  CALL_VOID(camunda_secret_delete(admin, NULL, id, "KEY", &error));
  free(id);
}

static void monitoring(void) {
  char *id = sandbox_cluster("{\"name\":\"watched\"}");
  CALL_VOID(camunda_monitoring_activate(admin, NULL, id, &error));
  CALL_VALUE(created, camunda_monitoring_create_client(admin, NULL, id,
                                                JSON("{\"username\":\"prometheus\"}"), &created,
                                                &error));
  const char *client = text(created, "uuid");
  CALL_VALUE(rotated, camunda_monitoring_rotate_password(admin, NULL, id, client, &rotated, &error));
  CHECK(text(created, "password") != NULL);
  CHECK(text(rotated, "password") != NULL);
  camunda_value_free(rotated);
  CALL_VALUE(state, camunda_monitoring_get(admin, NULL, id, &state, &error));
  CHECK_STR(text(state, "clients.0.username"), "prometheus");
  camunda_value_free(state);
  CALL_VOID(camunda_monitoring_delete_client(admin, NULL, id, client, &error));
  CALL_VOID(camunda_monitoring_deactivate(admin, NULL, id, &error));
  camunda_value_free(created);
  free(id);
}

static void secure_connectivity(void) {
  char *id = sandbox_cluster("{\"name\":\"private\"}");
  CALL_VOID(camunda_secure_connectivity_activate(
      admin, NULL, id,
      JSON("{\"allowedPrincipals\":[\"arn:aws:iam::123456789012:root\"],"
           "\"allowedRegions\":[\"eu-central-1\"]}"),
      &error));
  CALL_VALUE(state, camunda_secure_connectivity_get(admin, NULL, id, &state, &error));
  CHECK_INT(camunda_value_kind(camunda_value_get(state, "status")), CAMUNDA_KIND_OBJECT);
  camunda_value_free(state);
  CALL_VOID(camunda_secure_connectivity_deactivate(admin, NULL, id, &error));
  free(id);
}

static void members(void) {
  CALL_VOID(camunda_member_set_roles(admin, NULL, "ann+ops@example.com", JSON("{\"orgRoles\":[\"analyst\"]}"),
                                &error));
  CALL_VALUE(all, camunda_member_list(admin, NULL, &all, &error));
  CHECK(camunda_value_len(all) >= 1);
  camunda_value_free(all);
  CALL_VOID(camunda_member_delete(admin, NULL, "ann+ops@example.com", &error));
}

static void activity_and_ip_ranges(void) {
  CALL_VALUE(events, camunda_activity_list(admin, NULL, &events, &error));
  CHECK(camunda_value_len(events) > 0);
  camunda_value_free(events);
  CALL_VALUE(ranges, camunda_ip_ranges(admin, NULL, &ranges, &error));
  CHECK(camunda_value_len(camunda_value_get(ranges, "web-modeler")) > 0);
  camunda_value_free(ranges);
}

static void encryption(void) {
  char *id = sandbox_cluster(
      "{\"name\":\"sealed\",\"encryption\":{\"type\":\"External\"},"
      "\"region\":{\"uuid\":\"r\",\"name\":\"AWS eu-central-1\"}}");
  char control[256];
  snprintf(control, sizeof control, "{\"kind\":{\"cluster\":\"%s\",\"enterprise\":true,\"aws\":true}}", id);
  free(sandbox_control(control, NULL));
  camunda_value *cluster = NULL;
  camunda_error *error = NULL;
  /* The sandbox may reject the key; the test only checks that it receives the request. */
  const camunda_status status = camunda_cluster_set_encryption(
      admin, NULL, id,
      JSON("{\"primaryEncryptionKeyId\":\"arn:aws:kms:eu-central-1:123456789012:key/"
           "1234abcd-12ab-34cd-56ef-1234567890ab\"}"),
      &cluster, &error);
  CHECK(status == CAMUNDA_STATUS_OK || camunda_error_http_status(error) == 400);
  FREE_ERROR(error);
  camunda_value_free(cluster);
  snprintf(control, sizeof control,
           "{\"update_cluster\":{\"cluster\":\"%s\",\"encryption\":{\"type\":\"External\","
           "\"status\":\"Ready\"}}}",
           id);
  free(sandbox_control(control, NULL));
  CALL_VALUE(ready, camunda_cluster_wait_until_encrypted(admin, quick, id, &ready, &error));
  CHECK_STR(text(ready, "encryption.status"), "Ready");
  camunda_value_free(ready);
  free(id);
}

static void failover(void) {
  char *id = sandbox_cluster("{\"name\":\"doomed\"}");
  camunda_value *result = NULL;
  camunda_error *error = NULL;
  sandbox_fault(
      "{\"operation\":\"POST /clusters/{clusterUuid}/failover\",\"status\":200,\"body\":"
      "{\"newClusterId\":\"n\",\"results\":{\"backupClone\":\"ok\",\"restore\":{\"error\":\"no room\"}}}}");
  CHECK_OK(camunda_cluster_fail_over(
      admin, NULL, id, JSON("{\"backupIds\":[\"b\"],\"restoreBackupId\":\"b\"}"), &result, &error));
  CHECK_STR(text(result, "newClusterId"), "n");
  CHECK_STR(text(result, "results.restore.error"), "no room");
  camunda_value_free(result);
  sandbox_clear_faults();
  CHECK_INT(camunda_cluster_fail_over(admin, NULL, id,
                                      JSON("{\"backupIds\":[\"b\"],\"restoreBackupId\":\"b\"}"),
                                      &result, &error),
            CAMUNDA_STATUS_INVALID_REQUEST);
  FREE_ERROR(error);
  free(id);
}

static void request_reaches_unknown_endpoints(void) {
  CALL_VALUE(clusters, camunda_request(admin, NULL, CAMUNDA_IDEMPOTENCY_BY_METHOD, "GET", "/clusters?new=1", NULL, 0,
                                &clusters, &error));
  CHECK_INT(camunda_value_kind(clusters), CAMUNDA_KIND_ARRAY);
  camunda_value_free(clusters);
  char *id = sandbox_cluster("{\"name\":\"raw\"}");
  char path[128];
  snprintf(path, sizeof path, "/clusters/%s", id);
  CALL_VALUE(nothing, camunda_request(admin, NULL, CAMUNDA_IDEMPOTENCY_IDEMPOTENT, "PATCH", path,
                               JSON("{\"name\":\"renamed\"}"), &nothing, &error));
  CHECK_INT(camunda_value_kind(nothing), CAMUNDA_KIND_NULL);
  camunda_value_free(nothing);
  free(id);

  const char *const bad_paths[] = {"", "clusters", "//evil", "/a/../b", "/a b", "/a\r\nX: y", "/a#b"};
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  for (size_t i = 0; i < sizeof bad_paths / sizeof *bad_paths; ++i) {
    CHECK_FAILS(camunda_request(admin, NULL, CAMUNDA_IDEMPOTENCY_SAFE, "GET", bad_paths[i], NULL, 0, &value,
                                &error),
                CAMUNDA_STATUS_INVALID_ARGUMENT);
    FREE_ERROR(error);
  }
  CHECK_FAILS(camunda_request(admin, NULL, 99, "GET", "/clusters", NULL, 0, &value, &error),
              CAMUNDA_STATUS_INVALID_ARGUMENT);
  FREE_ERROR(error);
  CHECK_FAILS(camunda_request(admin, NULL, CAMUNDA_IDEMPOTENCY_SAFE, "get", "/clusters", NULL, 0, &value,
                              &error),
              CAMUNDA_STATUS_INVALID_ARGUMENT);
  FREE_ERROR(error);
}

static void stats_count_requests(void) {
  CALL_VALUE(stats, camunda_admin_stats(admin, &stats, &error));
  const char *const counters[] = {"calls",    "requests",         "retries",   "token_requests",
                                  "token_cache_hits", "bytes_sent", "bytes_received"};
  for (size_t i = 0; i < sizeof counters / sizeof *counters; ++i) {
    CHECK(camunda_value_integer(camunda_value_get(stats, counters[i]), -1) >= 0);
  }
  CHECK_INT(camunda_value_integer(camunda_value_get(stats, "token_requests"), -1), 1);
  CHECK_INT(camunda_value_integer(camunda_value_get(stats, "requests"), -1), sandbox_count("requests"));
  camunda_value_free(stats);
}

int main(void) {
  camunda_error *error = NULL;
  admin = connect_from_env();
  quick = camunda_call_options_new();
  CHECK_OK(camunda_call_options_set_timeout(quick, within(30), &error));
  CHECK_OK(camunda_call_options_set_max_poll_interval(quick, 0.05, &error));
  RUN(clusters);
  RUN(wake_and_upgrade);
  RUN(allowlist);
  RUN(cluster_clients);
  RUN(create_env_file_writes_credentials_of_new_client);
  RUN(backups);
  RUN(secrets);
  RUN(monitoring);
  RUN(secure_connectivity);
  RUN(members);
  RUN(activity_and_ip_ranges);
  RUN(encryption);
  RUN(failover);
  RUN(request_reaches_unknown_endpoints);
  RUN(stats_count_requests);
  camunda_call_options_free(quick);
  camunda_admin_free(admin);
  return check_finish();
}
