/* What an error says, and that nothing is done twice and nothing shown once is lost. */
#include "check.h"

static camunda_admin *admin;

#define JSON(text) (text), strlen(text)

static void an_unknown_cluster(void) {
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
  CHECK_PART(camunda_error_message(error), "get cluster refused (404): cluster no such/one?");
  CHECK_STR(camunda_error_request_id(error), "r-17");
  CHECK(camunda_error_elapsed(error) >= 0);
  CHECK(camunda_error_retry_after(error) < 0);
  size_t length = 0;
  const char *body = camunda_error_body(error, &length);
  CHECK_PART(body, "not found");
  CHECK_INT(length, body == NULL ? 0 : strlen(body));
  FORGET(error);
  sandbox_clear_faults();

  /* Without a place for the error the status says it all. */
  CHECK_INT(camunda_cluster_get(admin, NULL, "x", &value, NULL), CAMUNDA_STATUS_NOT_FOUND);
}

static void each_status_has_its_kind(void) {
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
    /* What must not happen twice is sent once. */
    CHECK_INT(sandbox_count("requests") - before, 1);
    FORGET(error);
  }
}

static void a_connection_that_breaks(void) {
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  char *id = sandbox_cluster("{\"name\":\"unlucky\"}");
  sandbox_fault("{\"operation\":\"POST /clusters/{clusterUuid}/backups\",\"reset\":true,\"when\":\"after\"}");
  CHECK_FAILS(camunda_backup_create(admin, NULL, id, &value, &error), CAMUNDA_STATUS_NETWORK);
  CHECK_INT(camunda_error_outcome(error), CAMUNDA_OUTCOME_UNKNOWN);
  CHECK_INT(camunda_error_attempts(error), 1);
  CHECK_PART(camunda_error_message(error), "may have been applied");
  CHECK(camunda_error_may_have_been_applied(error));
  FORGET(error);

  /* It was applied, and half of its response arrived. */
  free(id);
  id = sandbox_cluster("{\"name\":\"half\"}");
  sandbox_fault("{\"operation\":\"POST /clusters/{clusterUuid}/backups\",\"cut_body\":9,\"when\":\"after\"}");
  CHECK_FAILS(camunda_backup_create(admin, NULL, id, &value, &error), CAMUNDA_STATUS_NETWORK);
  CHECK_INT(camunda_error_outcome(error), CAMUNDA_OUTCOME_COMPLETED);
  CHECK(camunda_error_may_have_been_applied(error));
  CHECK_PART(camunda_error_message(error), "; the change was applied: look for it among");
  FORGET(error);
  CHECK(!camunda_error_may_have_been_applied(NULL));

  /* A read is sent again. */
  sandbox_fault("{\"operation\":\"GET /clusters/{clusterUuid}\",\"reset\":true}");
  CHECK_OK(camunda_cluster_get(admin, NULL, id, &value, &error));
  camunda_value_free(value);
  free(id);
}

static void a_service_that_never_answers(void) {
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  camunda_call_options *call = camunda_call_options_new();
  CHECK_OK(camunda_call_options_set_timeout(call, 0.3, &error));
  sandbox_fault("{\"operation\":\"GET /clusters\",\"stall\":true,\"times\":null}");
  const double start = now();
  CHECK_FAILS(camunda_cluster_list(admin, call, &value, &error), CAMUNDA_STATUS_TIMEOUT);
  const double took = now() - start;
  CHECK(took >= 0.29 && took < within(0.4));
  CHECK(camunda_error_elapsed(error) >= 0.29);
  /* A read changes nothing. */
  CHECK(!camunda_error_may_have_been_applied(error));
  FORGET(error);
  sandbox_clear_faults();
  camunda_call_options_free(call);

  call = camunda_call_options_new();
  const double bad[] = {0, -1, (double)NAN, (double)INFINITY, 1e300};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
    CHECK_FAILS(camunda_call_options_set_timeout(call, bad[i], &error), CAMUNDA_STATUS_INVALID_ARGUMENT);
    FORGET(error);
  }
  camunda_call_options_free(call);
}

static void retry_after_is_told(void) {
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  camunda_call_options *call = camunda_call_options_new();
  CHECK_OK(camunda_call_options_set_timeout(call, within(2), &error));
  sandbox_fault(
      "{\"operation\":\"GET /clusters\",\"status\":429,\"headers\":{\"retry-after\":\"3600\"}}");
  CHECK_FAILS(camunda_cluster_list(admin, call, &value, &error), CAMUNDA_STATUS_RATE_LIMITED);
  CHECK(camunda_error_retry_after(error) > 3599 && camunda_error_retry_after(error) <= 3600);
  FORGET(error);
  camunda_call_options_free(call);
}

static void an_answer_given_once_is_not_lost(void) {
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
  camunda_value *answer = NULL;
  CHECK_INT(camunda_value_parse(body, length, &answer, NULL), CAMUNDA_STATUS_OK);
  const char *secret = camunda_value_str(camunda_value_get(answer, "clientSecret"), NULL);
  CHECK(secret != NULL && strlen(secret) > 0);
  /* There, and nowhere else. */
  CHECK(secret == NULL || strstr(camunda_error_message(error), secret) == NULL);
  CHECK_PART(camunda_error_message(error), "name");
  camunda_value_free(answer);
  FORGET(error);
  free(id);
}

static void what_is_new_is_kept(void) {
  /* As text, so that nothing between us and the service reads the digits as a double. */
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
  } answers[] = {
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
  for (size_t i = 0; i < sizeof answers / sizeof *answers; ++i) {
    camunda_object *fault = camunda_object_new();
    CHECK_OK(camunda_object_set_str(fault, "operation", "GET /clusters", &error));
    CHECK_OK(camunda_object_set_str(fault, "body", answers[i].body, &error));
    sandbox_fault(camunda_object_json(fault, NULL));
    camunda_object_free(fault);
    camunda_value *clusters = NULL;
    const camunda_status status = camunda_cluster_list(admin, NULL, &clusters, &error);
    if (status != answers[i].status) {
      check_fail(__FILE__, __LINE__, "the answer `%s` gives %d: %s", answers[i].body, (int)status,
                 camunda_error_message(error));
    }
    if (status == CAMUNDA_STATUS_OK) {
      CHECK_INT(camunda_value_kind(clusters), CAMUNDA_KIND_ARRAY);
    } else {
      CHECK(camunda_error_body(error, NULL) != NULL);
    }
    FORGET(error);
    camunda_value_free(clusters);
  }
}

static void bad_arguments_are_refused_before_anything_is_sent(void) {
  const long long before = sandbox_count("requests");
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  const char *const ids[] = {"", ".", ".."};
  for (size_t i = 0; i < sizeof ids / sizeof *ids; ++i) {
    CHECK_FAILS(camunda_cluster_get(admin, NULL, ids[i], &value, &error),
                CAMUNDA_STATUS_INVALID_ARGUMENT);
    CHECK_INT(camunda_error_outcome(error), CAMUNDA_OUTCOME_NOT_SENT);
    FORGET(error);
  }
  const char *const bodies[] = {"", "{", "[]", "null", "{}", "{\"clientName\":7}",
                                "{\"clientName\":\"w\",\"permisions\":[\"Zeebe\"]}",
                                "{\"clientName\":\"\xff\"}"};
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; ++i) {
    CHECK_FAILS(camunda_cluster_client_create(admin, NULL, "c", JSON(bodies[i]), &value, &error),
                CAMUNDA_STATUS_INVALID_ARGUMENT);
    FORGET(error);
  }
  CHECK_INT(sandbox_count("requests"), before);

  /* The service's own words where it is the one that refuses. */
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
  FORGET(error);
  camunda_object_free(request);
  free(name);

  /* What would leave its segment stays in it. */
  CHECK_FAILS(camunda_cluster_get(admin, NULL, "../members\r\nX: y", &value, &error),
              CAMUNDA_STATUS_NOT_FOUND);
  CHECK_STR(camunda_error_path(error), "/clusters/..%2Fmembers%0D%0AX%3A%20y");
  FORGET(error);
}

static void a_wait_ends_at_once_where_it_is_hopeless(void) {
  char *id = sandbox_cluster("{\"name\":\"asleep\"}");
  char control[256];
  snprintf(control, sizeof control, "{\"status\":{\"cluster\":\"%s\",\"ready\":\"Suspended\"}}", id);
  free(sandbox_control(control, NULL));
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  CHECK_FAILS(camunda_cluster_wait_until_healthy(admin, NULL, id, &value, &error),
              CAMUNDA_STATUS_WAIT_FAILED);
  CHECK_PART(camunda_error_message(error), "suspended");
  FORGET(error);
  CHECK_FAILS(camunda_cluster_wait_until_healthy(admin, NULL, "gone", &value, &error),
              CAMUNDA_STATUS_NOT_FOUND);
  FORGET(error);

  snprintf(control, sizeof control, "{\"status\":{\"cluster\":\"%s\",\"ready\":\"Unhealthy\"}}", id);
  free(sandbox_control(control, NULL));
  camunda_call_options *call = camunda_call_options_new();
  CHECK_OK(camunda_call_options_set_timeout(call, 0.3, &error));
  const double start = now();
  CHECK_FAILS(camunda_cluster_wait_until_healthy(admin, call, id, &value, &error),
              CAMUNDA_STATUS_TIMEOUT);
  CHECK(now() - start < within(0.4));
  FORGET(error);
  camunda_call_options_free(call);
  free(id);
}

int main(void) {
  admin = connect_from_env();
  /* So that the bounds on time below do not have to allow for a token. */
  camunda_value *clusters = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_cluster_list(admin, NULL, &clusters, &error));
  camunda_value_free(clusters);
  RUN(an_unknown_cluster);
  RUN(each_status_has_its_kind);
  RUN(a_connection_that_breaks);
  RUN(a_service_that_never_answers);
  RUN(retry_after_is_told);
  RUN(an_answer_given_once_is_not_lost);
  RUN(what_is_new_is_kept);
  RUN(bad_arguments_are_refused_before_anything_is_sent);
  RUN(a_wait_ends_at_once_where_it_is_hopeless);
  camunda_admin_free(admin);
  return check_finish();
}
