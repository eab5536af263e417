/* Errors: status, outcome, message and body. Non-idempotent requests are sent once, and one-time
 * responses are not lost. */
#include "check.h"

static camunda_admin *admin;

#define JSON(text) (text), strlen(text)

static void error_describes_unknown_cluster(void) {
  camunda_value *value = (camunda_value *)(void *)&admin;
  camunda_error *error = NULL;
  sandbox_fault(
      "{\"operation\":\"GET /clusters/{clusterUuid}\",\"headers\":{\"x-request-id\":\"r-17\"},"
      "\"when\":\"after\"}");
  CHECK_FAILS(camunda_cluster_get(admin, NULL, "no such/one?", &value, &error),
              CAMUNDA_STATUS_NOT_FOUND);
  CHECK(value == NULL);
  CHECK_INT(camunda_error_http_status(error), 404);
  CHECK_INT(camunda_error_stage(error), CAMUNDA_STAGE_REQUEST);
  CHECK_INT(camunda_error_outcome(error), CAMUNDA_OUTCOME_REJECTED);
  CHECK_INT(camunda_error_attempts(error), 1);
  CHECK_STR(camunda_error_operation(error), "get cluster");
  CHECK_STR(camunda_error_method(error), "GET");
  CHECK_STR(camunda_error_path(error), "/clusters/no%20such%2Fone%3F");
  CHECK_STR(camunda_error_server_message(error), "cluster no such/one? not found");
  CHECK_PART(camunda_error_message(error), "get cluster: rejected with HTTP 404: cluster no such/one?");
  CHECK_STR(camunda_error_request_id(error), "r-17");
  CHECK(camunda_error_elapsed(error) >= 0);
  CHECK(camunda_error_retry_after(error) < 0);
  size_t length = 0;
  const char *body = camunda_error_body(error, &length);
  CHECK_PART(body, "not found");
  CHECK_INT(length, body == NULL ? 0 : strlen(body));
  FREE_ERROR(error);
  sandbox_clear_faults();

  /* `error` may be NULL. */
  CHECK_INT(camunda_cluster_get(admin, NULL, "x", &value, NULL), CAMUNDA_STATUS_NOT_FOUND);
}

static void http_status_maps_to_camunda_status(void) {
  const struct {
    int http;
    camunda_status status;
    int outcome;
  } kinds[] = {
      {400, CAMUNDA_STATUS_INVALID_REQUEST, CAMUNDA_OUTCOME_REJECTED},
      {403, CAMUNDA_STATUS_PERMISSION_DENIED, CAMUNDA_OUTCOME_REJECTED},
      {404, CAMUNDA_STATUS_NOT_FOUND, CAMUNDA_OUTCOME_REJECTED},
      {409, CAMUNDA_STATUS_CONFLICT, CAMUNDA_OUTCOME_REJECTED},
      {412, CAMUNDA_STATUS_NOT_READY, CAMUNDA_OUTCOME_REJECTED},
      {422, CAMUNDA_STATUS_INVALID_REQUEST, CAMUNDA_OUTCOME_REJECTED},
      {500, CAMUNDA_STATUS_SERVICE, CAMUNDA_OUTCOME_UNKNOWN},
      {504, CAMUNDA_STATUS_SERVICE, CAMUNDA_OUTCOME_UNKNOWN},
  };
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i) {
    char fault[256];
    snprintf(fault, sizeof fault,
             "{\"operation\":\"POST /clusters/{clusterUuid}/backups\",\"status\":%d,"
             "\"body\":\"<html>no</html>\"}",
             kinds[i].http);
    sandbox_fault(fault);
    const long long before = sandbox_count("requests");
    camunda_value *value = NULL;
    camunda_error *error = NULL;
    CHECK_FAILS(camunda_backup_create(admin, NULL, "c", &value, &error), kinds[i].status);
    CHECK_INT(camunda_error_http_status(error), kinds[i].http);
    CHECK_INT(camunda_error_outcome(error), kinds[i].outcome);
    CHECK_STR(camunda_error_body(error, NULL), "<html>no</html>");
    /* Creating a backup is non-idempotent: no retry. */
    CHECK_INT(sandbox_count("requests") - before, 1);
    FREE_ERROR(error);
  }
}

static void error_has_outcome_when_connection_is_lost(void) {
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  char *id = sandbox_cluster("{\"name\":\"unlucky\"}");
  sandbox_fault("{\"operation\":\"POST /clusters/{clusterUuid}/backups\",\"reset\":true,\"when\":\"after\"}");
  CHECK_FAILS(camunda_backup_create(admin, NULL, id, &value, &error), CAMUNDA_STATUS_NETWORK);
  CHECK_INT(camunda_error_outcome(error), CAMUNDA_OUTCOME_UNKNOWN);
  CHECK_INT(camunda_error_attempts(error), 1);
  CHECK_PART(camunda_error_message(error), "may have been applied");
  CHECK(camunda_error_may_have_been_applied(error));
  FREE_ERROR(error);

  /* The backup was created, and a part of the response arrived. */
  free(id);
  id = sandbox_cluster("{\"name\":\"half\"}");
  sandbox_fault("{\"operation\":\"POST /clusters/{clusterUuid}/backups\",\"cut_body\":9,\"when\":\"after\"}");
  CHECK_FAILS(camunda_backup_create(admin, NULL, id, &value, &error), CAMUNDA_STATUS_NETWORK);
  CHECK_INT(camunda_error_outcome(error), CAMUNDA_OUTCOME_COMPLETED);
  CHECK(camunda_error_may_have_been_applied(error));
  CHECK_PART(camunda_error_message(error), "; the change was applied: look for it among");
  FREE_ERROR(error);
  CHECK(!camunda_error_may_have_been_applied(NULL));

  /* A read is retried. */
  sandbox_fault("{\"operation\":\"GET /clusters/{clusterUuid}\",\"reset\":true}");
  CHECK_OK(camunda_cluster_get(admin, NULL, id, &value, &error));
  camunda_value_free(value);
  free(id);
}

/* Returns the seconds by which a call with a timeout of 0.3 s returned late. */
static double timed_out_list(const camunda_call_options *call) {
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  const double start = now();
  CHECK_FAILS(camunda_cluster_list(admin, call, &value, &error), CAMUNDA_STATUS_TIMEOUT);
  const double took = now() - start;
  CHECK(took >= 0.29);
  CHECK(camunda_error_elapsed(error) >= 0.29);
  /* A read changes nothing. */
  CHECK(!camunda_error_may_have_been_applied(error));
  FREE_ERROR(error);
  return took - 0.3;
}

static void call_times_out_when_api_does_not_respond(void) {
  camunda_error *error = NULL;
  camunda_call_options *call = camunda_call_options_new();
  CHECK_OK(camunda_call_options_set_timeout(call, 0.3, &error));
  sandbox_fault("{\"operation\":\"GET /clusters\",\"stall\":true,\"times\":null}");
  IN_TIME(timed_out_list(call));
  sandbox_clear_faults();
  camunda_call_options_free(call);

  call = camunda_call_options_new();
  const double bad[] = {0, -1, (double)NAN, (double)INFINITY, 1e300};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
    CHECK_FAILS(camunda_call_options_set_timeout(call, bad[i], &error), CAMUNDA_STATUS_INVALID_ARGUMENT);
    FREE_ERROR(error);
  }
  CHECK_FAILS(camunda_call_options_set_timeout(call, 1e-10, &error), CAMUNDA_STATUS_INVALID_ARGUMENT);
  CHECK_PART(camunda_error_message(error), "less than a nanosecond");
  FREE_ERROR(error);
  camunda_call_options_free(call);
}

static void error_has_retry_after_of_response(void) {
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  camunda_call_options *call = camunda_call_options_new();
  CHECK_OK(camunda_call_options_set_timeout(call, within(2), &error));
  sandbox_fault(
      "{\"operation\":\"GET /clusters\",\"status\":429,\"headers\":{\"retry-after\":\"3600\"}}");
  CHECK_FAILS(camunda_cluster_list(admin, call, &value, &error), CAMUNDA_STATUS_RATE_LIMITED);
  CHECK(camunda_error_retry_after(error) > 3599 && camunda_error_retry_after(error) <= 3600);
  FREE_ERROR(error);
  camunda_call_options_free(call);
}

static void error_has_body_when_one_time_response_is_undecodable(void) {
  char *id = sandbox_cluster("{\"name\":\"once\"}");
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  sandbox_fault(
      "{\"operation\":\"POST /clusters/{clusterUuid}/clients\",\"replace\":{\"/name\":[1]}}");
  CHECK_FAILS(
      camunda_cluster_client_create(admin, NULL, id, JSON("{\"clientName\":\"w\"}"), &value, &error),
      CAMUNDA_STATUS_DECODE);
  CHECK(value == NULL);
  CHECK_INT(camunda_error_stage(error), CAMUNDA_STAGE_DECODE);
  CHECK_INT(camunda_error_outcome(error), CAMUNDA_OUTCOME_COMPLETED);
  size_t length = 0;
  const char *body = camunda_error_body(error, &length);
  camunda_value *response = NULL;
  CHECK_INT(camunda_value_parse(body, length, &response, NULL), CAMUNDA_STATUS_OK);
  const char *secret = camunda_value_str(camunda_value_get(response, "clientSecret"), NULL);
  CHECK(secret != NULL && strlen(secret) > 0);
  /* The secret is in the body only, not in the message. */
  CHECK(secret == NULL || strstr(camunda_error_message(error), secret) == NULL);
  CHECK_PART(camunda_error_message(error), "name");
  camunda_value_free(response);
  FREE_ERROR(error);
  free(id);
}

static void unknown_fields_and_values_are_kept(void) {
  /* The body is a string, so that the sandbox does not convert the digits to a double. */
  sandbox_fault(
      "{\"operation\":\"GET /clusters/{clusterUuid}\",\"status\":200,\"body\":"
      "\"{\\\"uuid\\\":\\\"a\\\",\\\"status\\\":{\\\"ready\\\":\\\"Hibernating\\\"},"
      "\\\"newest\\\":{\\\"digits\\\":123456789012345678901234567890}}\"}");
  camunda_value *cluster = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_cluster_get(admin, NULL, "a", &cluster, &error));
  CHECK_STR(camunda_value_str(camunda_value_path(cluster, "status.ready"), NULL), "Hibernating");
  CHECK_STR(camunda_value_json(camunda_value_path(cluster, "newest.digits"), NULL),
            "123456789012345678901234567890");
  camunda_value_free(cluster);

  const struct {
    const char *body;
    camunda_status status;
  } responses[] = {
      {"[]", CAMUNDA_STATUS_OK},
      {"[{\"uuid\":\"a\"}]", CAMUNDA_STATUS_OK},
      {"[{\"uuid\":\"a\",\"name\":null,\"status\":null}]", CAMUNDA_STATUS_OK},
      {"[{\"uuid\":\"a\",\"uuid\":\"b\"}]", CAMUNDA_STATUS_OK},
      {"\xef\xbb\xbf[]", CAMUNDA_STATUS_OK},
      {"[{\"name\":\"a\"}]", CAMUNDA_STATUS_DECODE},
      {"[{\"uuid\":7}]", CAMUNDA_STATUS_DECODE},
      {"{}", CAMUNDA_STATUS_DECODE},
      {"[", CAMUNDA_STATUS_DECODE},
      {"", CAMUNDA_STATUS_DECODE},
  };
  for (size_t i = 0; i < sizeof responses / sizeof *responses; ++i) {
    camunda_object *fault = camunda_object_new();
    CHECK_OK(camunda_object_set_str(fault, "operation", "GET /clusters", &error));
    CHECK_OK(camunda_object_set_str(fault, "body", responses[i].body, &error));
    sandbox_fault(camunda_object_json(fault, NULL));
    camunda_object_free(fault);
    camunda_value *clusters = NULL;
    const camunda_status status = camunda_cluster_list(admin, NULL, &clusters, &error);
    if (status != responses[i].status) {
      check_fail(__FILE__, __LINE__, "the response `%s` gives %d: %s", responses[i].body, (int)status,
                 camunda_error_message(error));
    }
    if (status == CAMUNDA_STATUS_OK) {
      CHECK_INT(camunda_value_kind(clusters), CAMUNDA_KIND_ARRAY);
    } else {
      CHECK(camunda_error_body(error, NULL) != NULL);
    }
    FREE_ERROR(error);
    camunda_value_free(clusters);
  }
}

static void invalid_arguments_are_rejected_without_a_request(void) {
  const long long before = sandbox_count("requests");
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  const char *const ids[] = {"", ".", "..", "../members", "a/%2e%2e/b"};
  for (size_t i = 0; i < sizeof ids / sizeof *ids; ++i) {
    CHECK_FAILS(camunda_cluster_get(admin, NULL, ids[i], &value, &error),
                CAMUNDA_STATUS_INVALID_ARGUMENT);
    CHECK_INT(camunda_error_outcome(error), CAMUNDA_OUTCOME_NOT_SENT);
    FREE_ERROR(error);
  }
  const char *const bodies[] = {"", "{", "[]", "null", "{}", "{\"clientName\":7}",
                                "{\"clientName\":\"w\",\"permisions\":[\"Zeebe\"]}",
                                "{\"clientName\":\"\xff\"}"};
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; ++i) {
    CHECK_FAILS(camunda_cluster_client_create(admin, NULL, "c", JSON(bodies[i]), &value, &error),
                CAMUNDA_STATUS_INVALID_ARGUMENT);
    FREE_ERROR(error);
  }
  CHECK_INT(sandbox_count("requests"), before);

  /* The error message of the API, if the API rejects the request. */
  camunda_object *request = camunda_object_new();
  char *name = (char *)malloc(2001);
  memset(name, 'x', 2000);
  name[2000] = '\0';
  const char *const fields[] = {"channelId", "generationId", "regionId", "planTypeId"};
  CHECK_OK(camunda_object_set_str(request, "name", name, &error));
  for (size_t i = 0; i < 4; ++i) CHECK_OK(camunda_object_set_str(request, fields[i], "x", &error));
  size_t length = 0;
  const char *json = camunda_object_json(request, &length);
  CHECK_FAILS(camunda_cluster_create(admin, NULL, json, length, &value, &error),
              CAMUNDA_STATUS_INVALID_REQUEST);
  CHECK_STR(camunda_error_server_message(error), "Name is too long");
  FREE_ERROR(error);
  camunda_object_free(request);
  free(name);

  /* Slashes and line breaks of an id are percent-encoded. */
  CHECK_FAILS(camunda_cluster_get(admin, NULL, "a/members\r\nX: y", &value, &error),
              CAMUNDA_STATUS_NOT_FOUND);
  CHECK_STR(camunda_error_path(error), "/clusters/a%2Fmembers%0D%0AX%3A%20y");
  FREE_ERROR(error);
}

/* Returns the seconds by which a waiter with a timeout of 0.3 s returned late. */
static double timed_out_wait(const camunda_call_options *call, const char *id) {
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  const double start = now();
  CHECK_FAILS(camunda_cluster_wait_until_healthy(admin, call, id, &value, &error),
              CAMUNDA_STATUS_TIMEOUT);
  const double took = now() - start;
  FREE_ERROR(error);
  return took - 0.3;
}

static void waiter_fails_immediately_when_state_is_unreachable(void) {
  char *id = sandbox_cluster("{\"name\":\"asleep\"}");
  char control[256];
  snprintf(control, sizeof control, "{\"status\":{\"cluster\":\"%s\",\"ready\":\"Suspended\"}}", id);
  free(sandbox_control(control, NULL));
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  CHECK_FAILS(camunda_cluster_wait_until_healthy(admin, NULL, id, &value, &error),
              CAMUNDA_STATUS_WAIT_FAILED);
  CHECK_PART(camunda_error_message(error), "suspended");
  FREE_ERROR(error);
  CHECK_FAILS(camunda_cluster_wait_until_healthy(admin, NULL, "unknown", &value, &error),
              CAMUNDA_STATUS_NOT_FOUND);
  FREE_ERROR(error);

  snprintf(control, sizeof control, "{\"status\":{\"cluster\":\"%s\",\"ready\":\"Unhealthy\"}}", id);
  free(sandbox_control(control, NULL));
  camunda_call_options *call = camunda_call_options_new();
  CHECK_OK(camunda_call_options_set_timeout(call, 0.3, &error));
  IN_TIME(timed_out_wait(call, id));
  camunda_call_options_free(call);
  free(id);
}

int main(void) {
  admin = connect_from_env();
  /* Requests the token first, so that the time limits below exclude the token request. */
  camunda_value *clusters = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_cluster_list(admin, NULL, &clusters, &error));
  camunda_value_free(clusters);
  RUN(error_describes_unknown_cluster);
  RUN(http_status_maps_to_camunda_status);
  RUN(error_has_outcome_when_connection_is_lost);
  RUN(call_times_out_when_api_does_not_respond);
  RUN(error_has_retry_after_of_response);
  RUN(error_has_body_when_one_time_response_is_undecodable);
  RUN(unknown_fields_and_values_are_kept);
  RUN(invalid_arguments_are_rejected_without_a_request);
  RUN(waiter_fails_immediately_when_state_is_unreachable);
  camunda_admin_free(admin);
  return check_finish();
}
