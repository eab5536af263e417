/* Worker of the multi-process tests: prints "ready", waits for a line, lists the clusters on eight
 * threads concurrently, and prints a line for each: "ok" or the error. Then prints whether a token store
 * failed. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "camunda_admin.h"

enum { THREADS = 8 };

static camunda_admin *admin;
static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;

static void *list(void *unused) {
  camunda_value *clusters = NULL;
  camunda_error *error = NULL;
  camunda_status status = camunda_cluster_list(admin, NULL, &clusters, &error);
  (void)unused;
  pthread_mutex_lock(&output);
  puts(status == CAMUNDA_STATUS_OK ? "ok" : camunda_error_message(error));
  pthread_mutex_unlock(&output);
  camunda_value_free(clusters);
  camunda_error_free(error);
  return NULL;
}

/* Prints a line if a token store failed. */
static void report_store_failures(void) {
  camunda_value *diagnostics = NULL;
  camunda_error *error = NULL;
  size_t i;
  if (camunda_admin_diagnostics(admin, &diagnostics, &error) != CAMUNDA_STATUS_OK) {
    puts(camunda_error_message(error));
    camunda_error_free(error);
    return;
  }
  const camunda_value *stores = camunda_value_get(diagnostics, "stores");
  for (i = 0; i < camunda_value_len(stores); i++) {
    const camunda_value *failures = camunda_value_get(camunda_value_at(stores, i), "failures");
    if (camunda_value_integer(failures, -1) != 0) puts("a store failed");
  }
  camunda_value_free(diagnostics);
}

int main(void) {
  camunda_config *config = NULL;
  camunda_error *error = NULL;
  pthread_t threads[THREADS];
  int i;
  if (camunda_config_from_env(&config, &error) || camunda_admin_new(config, &admin, &error)) {
    fprintf(stderr, "%s\n", camunda_error_message(error));
    return EXIT_FAILURE;
  }
  puts("ready");
  fflush(stdout);
  if (getchar() == EOF) return EXIT_FAILURE;
  for (i = 0; i < THREADS; i++) {
    if (pthread_create(&threads[i], NULL, list, NULL) != 0) return EXIT_FAILURE;
  }
  for (i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  report_store_failures();
  camunda_admin_free(admin);
  camunda_config_free(config);
  return EXIT_SUCCESS;
}
