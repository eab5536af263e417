/* Threads that share a client, a value and a cancel handle; built with ThreadSanitizer. */
#include "check.h"

enum { THREADS = 4, ROUNDS = 3 };

static camunda_admin *admin;
static camunda_value *shared;
static camunda_cancel *cancel;

/* Reads every string of a value. Returns the number of characters. */
static size_t read_all(const camunda_value *value) {
  size_t characters = 0;
  size_t position = 0;
  const char *text = camunda_value_str(value, NULL);
  if (text != NULL) characters += strlen(text);
  const camunda_value *item;
  while ((item = camunda_value_next(value, &position)) != NULL) characters += read_all(item);
  const char *json = camunda_value_json(value, NULL);
  return characters + (json == NULL ? 0 : strlen(json));
}

static void *work(void *result) {
  camunda_error *error = NULL;
  size_t characters = 0;
  for (int round = 0; round < ROUNDS; ++round) {
    camunda_value *mine = NULL;
    camunda_call_options *call = camunda_call_options_new();
    CHECK_OK(camunda_call_options_set_cancel(call, cancel, &error));
    CHECK_OK(camunda_cluster_parameters(admin, call, &mine, &error));
    characters = read_all(shared);
    CHECK_INT(read_all(mine), characters);
    CHECK_INT(camunda_cluster_get(admin, call, "no such", NULL, NULL),
              CAMUNDA_STATUS_INVALID_ARGUMENT);
    camunda_value_free(mine);
    camunda_call_options_free(call);
  }
  *(size_t *)result = characters;
  return NULL;
}

static void client_and_value_are_shared_without_a_race(void) {
  camunda_error *error = NULL;
  camunda_config *config = NULL;
  CHECK_OK(camunda_config_from_env(&config, &error));
  CHECK_OK(camunda_admin_new(config, &admin, &error));
  camunda_config_free(config);
  cancel = camunda_cancel_new();
  CHECK_OK(camunda_cluster_parameters(admin, NULL, &shared, &error));
  pthread_t threads[THREADS];
  size_t characters[THREADS] = {0};
  for (int i = 0; i < THREADS; ++i) pthread_create(&threads[i], NULL, work, &characters[i]);
  for (int i = 0; i < THREADS; ++i) {
    pthread_join(threads[i], NULL);
    CHECK(characters[i] > 0 && characters[i] == characters[0]);
  }
  camunda_value_free(shared);
  camunda_cancel_free(cancel);
  camunda_admin_free(admin);
}

int main(void) {
  RUN(client_and_value_are_shared_without_a_race);
  return check_finish();
}
