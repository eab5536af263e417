/* Callbacks: log, progress and CSV sink. Each runs on the calling thread, during the call. */
#include "check.h"

static camunda_admin *admin;
static pthread_t caller;

struct record {
  int count;
  int on_other_threads;
  int stop_after;
  char text[65536];
};

static void append(struct record *record, const char *text, size_t length) {
  ++record->count;
  if (!pthread_equal(pthread_self(), caller)) ++record->on_other_threads;
  const size_t used = strlen(record->text);
  if (used + length + 2 < sizeof record->text) {
    memcpy(record->text + used, text, length);
    record->text[used + length] = '\n';
    record->text[used + length + 1] = '\0';
  }
}

static void log_line(void *user, int32_t level, const char *target, const char *message) {
  CHECK(level >= CAMUNDA_LOG_ERROR && level <= CAMUNDA_LOG_TRACE);
  CHECK(target != NULL && strncmp(target, "camunda_admin", 13) == 0);
  append((struct record *)user, message, strlen(message));
}

static void log_callback_receives_messages_without_secrets_during_calls(void) {
  struct record *record = (struct record *)calloc(1, sizeof *record);
  camunda_config *config = NULL;
  camunda_admin *logging = NULL;
  camunda_value *value = NULL;
  camunda_token *token = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_config_from_env(&config, &error));
  CHECK_FAILS(camunda_config_set_log(config, 0, log_line, record, &error),
              CAMUNDA_STATUS_INVALID_ARGUMENT);
  FREE_ERROR(error);
  CHECK_OK(camunda_config_set_log(config, CAMUNDA_LOG_TRACE, log_line, record, &error));
  CHECK_OK(camunda_admin_new(config, &logging, &error));
  CHECK_OK(camunda_config_set_log(config, CAMUNDA_LOG_TRACE, NULL, NULL, &error));
  camunda_config_free(config);
  sandbox_fault("{\"operation\":\"GET /clusters\",\"status\":503}");
  CHECK_OK(camunda_cluster_list(logging, NULL, &value, &error));
  camunda_value_free(value);
  CHECK(record->count > 0);
  CHECK_INT(record->on_other_threads, 0);
  CHECK_PART(record->text, "response received: operation=\"list clusters\" method=GET");
  CHECK_PART(record->text, "request failed, retrying: operation=\"list clusters\" attempt=1");
  CHECK_OK(camunda_admin_token(logging, NULL, NULL, &token, &error));
  CHECK(strstr(record->text, camunda_token_str(token, NULL)) == NULL);
  CHECK(strstr(record->text, variable("CAMUNDA_CONSOLE_CLIENT_SECRET")) == NULL);
  camunda_token_free(token);
  /* The log callback of one client does not receive the messages of another. */
  const int count = record->count;
  CHECK_OK(camunda_cluster_list(admin, NULL, &value, &error));
  camunda_value_free(value);
  CHECK_INT(record->count, count);
  camunda_admin_free(logging);
  free(record);
}

/* A log callback that makes a call when its client has received the response with a token, and when it
   has obtained the token. */
struct nested {
  camunda_admin *admin;
  int calls;
};

static void log_and_call(void *user, int32_t level, const char *target, const char *message) {
  struct nested *nested = (struct nested *)user;
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  (void)level;
  (void)target;
  if (strncmp(message, "access token obtained", 21) != 0 &&
      strncmp(message, "token response received", 23) != 0) {
    return;
  }
  ++nested->calls;
  CHECK_OK(camunda_cluster_list(nested->admin, NULL, &value, &error));
  camunda_value_free(value);
}

static void log_callback_can_use_the_token_when_it_is_obtained(void) {
  struct nested nested = {NULL, 0};
  camunda_config *config = NULL;
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_config_from_env(&config, &error));
  CHECK_OK(camunda_config_set_log(config, CAMUNDA_LOG_DEBUG, log_and_call, &nested, &error));
  CHECK_OK(camunda_admin_new(config, &nested.admin, &error));
  camunda_config_free(config);
  CHECK_OK(camunda_admin_invalidate_tokens(nested.admin, &error));
  CHECK_OK(camunda_cluster_list(nested.admin, NULL, &value, &error));
  camunda_value_free(value);
  CHECK_INT(nested.calls, 2);
  camunda_admin_free(nested.admin);
}

static void progress(void *user, const camunda_value *cluster) {
  const char *state = camunda_value_str(camunda_value_path(cluster, "status.ready"), NULL);
  CHECK(state != NULL);
  append((struct record *)user, state == NULL ? "" : state, state == NULL ? 0 : strlen(state));
  /* A callback may make calls. */
  camunda_value *value = NULL;
  CHECK_INT(camunda_cluster_list(admin, NULL, &value, NULL), CAMUNDA_STATUS_OK);
  camunda_value_free(value);
}

static void progress_callback_receives_each_poll(void) {
  struct record *record = (struct record *)calloc(1, sizeof *record);
  char *id = sandbox_cluster("{\"name\":\"x\"}");
  camunda_call_options *call = camunda_call_options_new();
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_call_options_set_max_poll_interval(call, 0.02, &error));
  CHECK_OK(camunda_call_options_set_progress(call, progress, record, &error));
  CHECK_OK(camunda_cluster_wait_until_healthy(admin, call, id, &value, &error));
  CHECK_STR(record->text, "Healthy\nHealthy\n");
  CHECK_INT(record->on_other_threads, 0);
  camunda_value_free(value);
  camunda_call_options_free(call);
  free(id);
  free(record);
}

static int32_t sink(void *user, const char *data, size_t length) {
  struct record *record = (struct record *)user;
  if (length > 0) {
    --record->count;
    const size_t used = strlen(record->text);
    append(record, data, length);
    ++record->count;
    /* Chunks are concatenated without a separator. */
    record->text[used + length] = '\0';
  }
  return record->stop_after > 0 && record->count >= record->stop_after;
}

static void csv_sink_receives_same_bytes_when_response_is_a_json_string(void) {
  camunda_error *error = NULL;
  char *texts[2];
  for (int as_json = 0; as_json < 2; ++as_json) {
    struct record *record = (struct record *)calloc(1, sizeof *record);
    free(sandbox_control(as_json ? "{\"csv_as_json_string\":true}" : "{\"csv_as_json_string\":false}",
                         NULL));
    CHECK_OK(camunda_activity_csv(admin, NULL, sink, record, &error));
    CHECK_INT(record->on_other_threads, 0);
    texts[as_json] = strdup(record->text);
    free(record);
  }
  CHECK(strlen(texts[0]) > 10);
  CHECK_STR(texts[1], texts[0]);
  free(texts[0]);
  free(texts[1]);
}

static void csv_call_fails_when_sink_returns_nonzero(void) {
  struct record *record = (struct record *)calloc(1, sizeof *record);
  camunda_error *error = NULL;
  record->stop_after = 1;
  CHECK_FAILS(camunda_activity_csv(admin, NULL, sink, record, &error), CAMUNDA_STATUS_IO);
  CHECK_INT(record->count, 1);
  CHECK_INT(camunda_error_attempts(error), 1);
  FREE_ERROR(error);
  free(record);
}

int main(void) {
  caller = pthread_self();
  admin = connect_from_env();
  RUN(log_callback_receives_messages_without_secrets_during_calls);
  RUN(log_callback_can_use_the_token_when_it_is_obtained);
  RUN(progress_callback_receives_each_poll);
  RUN(csv_sink_receives_same_bytes_when_response_is_a_json_string);
  RUN(csv_call_fails_when_sink_returns_nonzero);
  camunda_admin_free(admin);
  return check_finish();
}
