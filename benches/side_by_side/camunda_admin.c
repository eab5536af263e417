/* This library from C. Arguments: work (get, list, decode or token) and number of repetitions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "camunda_admin.h"
#include "read_body.h"

static size_t clusters, bytes;

static void check(camunda_status status, camunda_error *error) {
  if (status == CAMUNDA_STATUS_OK) return;
  fprintf(stderr, "%s\n", camunda_error_message(error));
  exit(1);
}

static size_t length(const camunda_value *cluster, const char *path) {
  size_t length = 0;
  camunda_value_str(camunda_value_path(cluster, path), &length);
  return length;
}

static void look_at(const camunda_value *cluster) {
  clusters += 1;
  bytes += length(cluster, "uuid") + length(cluster, "name") + length(cluster, "generation.name") +
           length(cluster, "region.name") + length(cluster, "status.ready");
}

static void look_at_all(const camunda_value *list) {
  for (size_t i = 0; i < camunda_value_len(list); ++i) look_at(camunda_value_at(list, i));
}

static void call(const char *work, long times) {
  camunda_config *config;
  camunda_admin *admin;
  camunda_value *value;
  camunda_error *error;
  check(camunda_config_from_env(&config, &error), error);
  check(camunda_admin_new(config, &admin, &error), error);
  for (long i = 0; i < times; ++i) {
    if (strcmp(work, "token") == 0) {
      camunda_token *token;
      check(camunda_admin_token(admin, NULL, NULL, &token, &error), error);
      size_t length;
      camunda_token_str(token, &length);
      bytes += length;
      camunda_token_free(token);
      continue;
    }
    if (strcmp(work, "get") == 0) {
      check(camunda_cluster_get(admin, NULL, getenv("BENCH_CLUSTER"), &value, &error), error);
      look_at(value);
    } else {
      check(camunda_cluster_list(admin, NULL, &value, &error), error);
      look_at_all(value);
    }
    camunda_value_free(value);
  }
  camunda_admin_free(admin);
  camunda_config_free(config);
}

static void decode(long times) {
  size_t length;
  char *json = read_body(&length);
  for (long i = 0; i < times; ++i) {
    camunda_value *value;
    camunda_error *error;
    check(camunda_value_parse(json, length, &value, &error), error);
    look_at_all(value);
    /* Not freed, see measure.py. */
  }
  free(json);
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  const long times = strtol(arguments[2], NULL, 10);
  if (strcmp(arguments[1], "decode") == 0) {
    decode(times);
  } else {
    call(arguments[1], times);
  }
  printf("%zu %zu\n", clusters, bytes);
  return 0;
}
