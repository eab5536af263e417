/* Ours from C. Arguments: what to do (get or list), and how often. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "camunda_admin.h"

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

int main(int count, char **arguments) {
  if (count != 3) return 2;
  const char *work = arguments[1];
  const long times = strtol(arguments[2], NULL, 10);
  camunda_config *config;
  camunda_admin *admin;
  camunda_value *value;
  camunda_error *error;
  check(camunda_config_from_env(&config, &error), error);
  check(camunda_admin_new(config, &admin, &error), error);
  for (long i = 0; i < times; ++i) {
    if (strcmp(work, "get") == 0) {
      check(camunda_cluster_get(admin, NULL, getenv("BENCH_CLUSTER"), &value, &error), error);
      look_at(value);
    } else {
      check(camunda_cluster_list(admin, NULL, &value, &error), error);
      for (size_t j = 0; j < camunda_value_len(value); ++j) look_at(camunda_value_at(value, j));
    }
    camunda_value_free(value);
  }
  camunda_admin_free(admin);
  camunda_config_free(config);
  printf("%zu %zu\n", clusters, bytes);
  return 0;
}
