/* Callbacks: log lines, progress, the sink of CSV. All on the calling thread, during the call. */
#include "check.h"

static camunda_admin *admin;
static pthread_t caller;

struct seen {
  int count;
  int on_other_threads;
  int stop_after;
  char text[65536];
};

static void note(struct seen *seen, const char *text, size_t length) {
  ++seen->count;
  if (!pthread_equal(pthread_self(), caller)) ++seen->on_other_threads;
  const size_t used = strlen(seen->text);
  if (used + length + 2 < sizeof seen->text) {
    memcpy(seen->text + used, text, length);
    seen->text[used + length] = '\n';
    seen->text[used + length + 1] = '\0';
  }
}

static void log_line(void *user, int32_t level, const char *target, const char *message) {
  CHECK(level >= CAMUNDA_LOG_ERROR && level <= CAMUNDA_LOG_TRACE);
  CHECK(target != NULL && strncmp(target, "camunda_admin", 13) == 0);
  note((struct seen *)user, message, strlen(message));
}

static void log_lines_come_during_calls_and_have_no_secret(void) {
  struct seen *seen = (struct seen *)calloc(1, sizeof *seen);
  camunda_config *config = NULL;
  camunda_admin *talkative = NULL;
  camunda_value *value = NULL;
  camunda_token *token = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_config_from_env(&config, &error));
  CHECK_FAILS(camunda_config_set_log(config, 0, log_line, seen, &error),
              CAMUNDA_STATUS_INVALID_ARGUMENT);
  FORGET(error);
  CHECK_OK(camunda_config_set_log(config, CAMUNDA_LOG_TRACE, log_line, seen, &error));
  CHECK_OK(camunda_admin_new(config, &talkative, &error));
  CHECK_OK(camunda_config_set_log(config, CAMUNDA_LOG_TRACE, NULL, NULL, &error));
  camunda_config_free(config);
  sandbox_fault("{\"operation\":\"GET /clusters\",\"status\":503}");
  CHECK_OK(camunda_cluster_list(talkative, NULL, &value, &error));
  camunda_value_free(value);
  CHECK(seen->count > 0);
  CHECK_INT(seen->on_other_threads, 0);
  CHECK_PART(seen->text, "response received: operation=\"list clusters\" method=GET");
  CHECK_PART(seen->text, "request failed, retrying: operation=\"list clusters\" attempt=1");
  CHECK_OK(camunda_admin_token(talkative, NULL, NULL, &token, &error));
  CHECK(strstr(seen->text, camunda_token_str(token, NULL)) == NULL);
  CHECK(strstr(seen->text, variable("CAMUNDA_CONSOLE_CLIENT_SECRET")) == NULL);
  camunda_token_free(token);
  /* A client without a log is silent, another's notwithstanding. */
  const int count = seen->count;
  CHECK_OK(camunda_cluster_list(admin, NULL, &value, &error));
  camunda_value_free(value);
  CHECK_INT(seen->count, count);
  camunda_admin_free(talkative);
  free(seen);
}

static void progress(void *user, const camunda_value *cluster) {
  const char *word = camunda_value_str(camunda_value_path(cluster, "status.ready"), NULL);
  CHECK(word != NULL);
  note((struct seen *)user, word == NULL ? "" : word, word == NULL ? 0 : strlen(word));
  /* A callback may make calls of its own. */
  camunda_value *value = NULL;
  CHECK_INT(camunda_cluster_list(admin, NULL, &value, NULL), CAMUNDA_STATUS_OK);
  camunda_value_free(value);
}

static void progress_shows_each_look(void) {
  struct seen *seen = (struct seen *)calloc(1, sizeof *seen);
  char *id = sandbox_cluster("{\"name\":\"x\"}");
  camunda_call_options *call = camunda_call_options_new();
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_call_options_set_max_poll_interval(call, 0.02, &error));
  CHECK_OK(camunda_call_options_set_progress(call, progress, seen, &error));
  CHECK_OK(camunda_cluster_wait_until_healthy(admin, call, id, &value, &error));
  CHECK_STR(seen->text, "Healthy\nHealthy\n");
  CHECK_INT(seen->on_other_threads, 0);
  camunda_value_free(value);
  camunda_call_options_free(call);
  free(id);
  free(seen);
}

static int32_t sink(void *user, const char *data, size_t length) {
  struct seen *seen = (struct seen *)user;
  if (length > 0) {
    --seen->count;
    const size_t used = strlen(seen->text);
    note(seen, data, length);
    ++seen->count;
    /* Pieces join without anything between them. */
    seen->text[used + length] = '\0';
  }
  return seen->stop_after > 0 && seen->count >= seen->stop_after;
}

static void csv_comes_raw_and_as_a_json_string_alike(void) {
  camunda_error *error = NULL;
  char *texts[2];
  for (int as_json = 0; as_json < 2; ++as_json) {
    struct seen *seen = (struct seen *)calloc(1, sizeof *seen);
    free(sandbox_control(as_json ? "{\"csv_as_json_string\":true}" : "{\"csv_as_json_string\":false}",
                         NULL));
    CHECK_OK(camunda_activity_csv(admin, NULL, sink, seen, &error));
    CHECK_INT(seen->on_other_threads, 0);
    texts[as_json] = strdup(seen->text);
    free(seen);
  }
  CHECK(strlen(texts[0]) > 10);
  CHECK_STR(texts[1], texts[0]);
  free(texts[0]);
  free(texts[1]);
}

static void a_sink_can_say_stop(void) {
  struct seen *seen = (struct seen *)calloc(1, sizeof *seen);
  camunda_error *error = NULL;
  seen->stop_after = 1;
  CHECK_FAILS(camunda_activity_csv(admin, NULL, sink, seen, &error), CAMUNDA_STATUS_IO);
  CHECK_INT(seen->count, 1);
  CHECK_INT(camunda_error_attempts(error), 1);
  FORGET(error);
  free(seen);
}

int main(void) {
  caller = pthread_self();
  admin = connect_from_env();
  RUN(log_lines_come_during_calls_and_have_no_secret);
  RUN(progress_shows_each_look);
  RUN(csv_comes_raw_and_as_a_json_string_alike);
  RUN(a_sink_can_say_stop);
  camunda_admin_free(admin);
  return check_finish();
}
