/* A Redis that is killed midway: its address is in REDIS_URL, its process in REDIS_PID. */
#include "check.h"

static const char *program;

struct heard {
  int warnings;
  char last[1024];
};

static void count_warnings(void *user, int32_t level, const char *target, const char *message) {
  struct heard *heard = (struct heard *)user;
  (void)target;
  if (level > CAMUNDA_LOG_WARN) return;
  ++heard->warnings;
  snprintf(heard->last, sizeof heard->last, "%s", message);
}

/* Asks for a new token, and calls with it. */
static void call_anew(camunda_admin *admin) {
  camunda_value *clusters = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_admin_invalidate_tokens(admin, &error));
  CHECK_OK(camunda_cluster_list(admin, NULL, &clusters, &error));
  camunda_value_free(clusters);
}

/* Whether the Redis can be used, as the diagnostics have it. */
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

/* Begins anew in a process that knows nothing of a Redis which took too long to answer, as it may
 * on a machine under load: this one leaves it alone for a while. */
static void start_over(void) {
  const char *before = getenv("TRIES");
  int tries = before == NULL ? 0 : atoi(before);
  char text[16];
  if (check_failures > 0 || tries >= 20) return;
  snprintf(text, sizeof text, "%d", tries + 1);
  setenv("TRIES", text, 1);
  execl(program, program, (char *)NULL);
}

static void killed_midway_it_fails_no_call(void) {
  struct heard heard = {0, ""};
  camunda_config *config = NULL;
  camunda_admin *admin = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_config_from_env(&config, &error));
  CHECK_OK(camunda_config_set(config, "token_cache", variable("REDIS_URL"), &error));
  CHECK_OK(camunda_config_set_log(config, CAMUNDA_LOG_WARN, count_warnings, &heard, &error));
  CHECK_OK(camunda_admin_new(config, &admin, &error));
  camunda_config_free(config);
  call_anew(admin);
  if (heard.warnings > 0) start_over();
  CHECK(is_usable(admin));
  CHECK_INT(heard.warnings, 0);
  CHECK_INT(kill((pid_t)atol(variable("REDIS_PID")), SIGKILL), 0);
  for (int i = 0; i < 3; ++i) call_anew(admin);
  CHECK(!is_usable(admin));
  CHECK_INT(heard.warnings, 1);
  CHECK_PART(heard.last, "tokens are not shared");
  camunda_admin_free(admin);
}

int main(int count, char **arguments) {
  (void)count;
  program = arguments[0];
  RUN(killed_midway_it_fails_no_call);
  return check_finish();
}
