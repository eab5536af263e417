/* Redis server killed during the test: REDIS_URL is its URL, REDIS_PID its process id. */
#include "check.h"

static const char *program;

struct log {
  int warnings;
  char last[1024];
};

static void count_warnings(void *user, int32_t level, const char *target, const char *message) {
  struct log *log = (struct log *)user;
  (void)target;
  if (level > CAMUNDA_LOG_WARN) return;
  ++log->warnings;
  snprintf(log->last, sizeof log->last, "%s", message);
}

/* Requests a new token and makes a call with it. */
static void call_with_new_token(camunda_admin *admin) {
  camunda_value *clusters = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_admin_invalidate_tokens(admin, &error));
  CHECK_OK(camunda_cluster_list(admin, NULL, &clusters, &error));
  camunda_value_free(clusters);
}

/* Returns whether the diagnostics report the Redis as usable. */
static bool is_usable(camunda_admin *admin) {
  camunda_value *diagnostics = NULL;
  camunda_error *error = NULL;
  bool usable = false;
  bool found = false;
  CHECK_OK(camunda_admin_diagnostics(admin, &diagnostics, &error));
  const camunda_value *stores = camunda_value_get(diagnostics, "stores");
  for (size_t i = 0; i < camunda_value_len(stores); ++i) {
    const camunda_value *store = camunda_value_at(stores, i);
    const char *name = camunda_value_str(camunda_value_get(store, "store"), NULL);
    if (name == NULL || strstr(name, "edis") == NULL) continue;
    found = true;
    usable = camunda_value_bool(camunda_value_get(store, "usable"), false);
  }
  CHECK(found);
  camunda_value_free(diagnostics);
  return usable;
}

/* Restarts the test in a new process image. Needed if Redis responded too slowly on a loaded machine:
 * the library then does not use it for 30 s. */
static void restart(void) {
  const char *before = getenv("TRIES");
  int tries = before == NULL ? 0 : atoi(before);
  char text[16];
  if (check_failures > 0 || tries >= 20) return;
  snprintf(text, sizeof text, "%d", tries + 1);
  setenv("TRIES", text, 1);
  execl(program, program, (char *)NULL);
}

static void calls_succeed_when_redis_is_killed(void) {
  struct log log = {0, ""};
  camunda_config *config = NULL;
  camunda_admin *admin = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_config_from_env(&config, &error));
  CHECK_OK(camunda_config_set(config, "token_cache", variable("REDIS_URL"), &error));
  CHECK_OK(camunda_config_set_log(config, CAMUNDA_LOG_WARN, count_warnings, &log, &error));
  CHECK_OK(camunda_admin_new(config, &admin, &error));
  camunda_config_free(config);
  call_with_new_token(admin);
  if (log.warnings > 0) restart();
  CHECK(is_usable(admin));
  CHECK_INT(log.warnings, 0);
  CHECK_INT(kill((pid_t)atol(variable("REDIS_PID")), SIGKILL), 0);
  for (int i = 0; i < 3; ++i) call_with_new_token(admin);
  CHECK(!is_usable(admin));
  CHECK_INT(log.warnings, 1);
  CHECK_PART(log.last, "token store failed, not used to ");
  CHECK_PART(log.last, "store=\"Redis at ");
  camunda_admin_free(admin);
}

int main(int count, char **arguments) {
  (void)count;
  program = arguments[0];
  RUN(calls_succeed_when_redis_is_killed);
  return check_finish();
}
