/* Access tokens: single-flight requests, audiences, invalidated tokens and rejected credentials. */
#include <fcntl.h>
#include <limits.h>

#include "check.h"

enum { THREADS = 16 };

static camunda_admin *admin;
static pthread_barrier_t start;

static bool can_list_clusters(camunda_admin *with) {
  camunda_value *clusters = NULL;
  camunda_error *error = NULL;
  const bool good = camunda_cluster_list(with, NULL, &clusters, &error) == CAMUNDA_STATUS_OK;
  if (!good) fprintf(stderr, "%s\n", camunda_error_message(error));
  camunda_error_free(error);
  camunda_value_free(clusters);
  return good;
}

static void *list_clusters(void *own) {
  camunda_admin *mine = own == NULL ? admin : connect_from_env();
  pthread_barrier_wait(&start);
  const bool good = can_list_clusters(mine);
  if (own != NULL) camunda_admin_free(mine);
  return good ? NULL : (void *)&start;
}

/* Half of the threads share a client, each of the others creates one. */
static void concurrent_threads_without_token_send_one_token_request(void) {
  pthread_t threads[THREADS];
  pthread_barrier_init(&start, NULL, THREADS);
  for (int i = 0; i < THREADS; ++i) {
    pthread_create(&threads[i], NULL, list_clusters, i % 2 == 0 ? NULL : &start);
  }
  for (int i = 0; i < THREADS; ++i) {
    void *failed = NULL;
    pthread_join(threads[i], &failed);
    CHECK(failed == NULL);
  }
  pthread_barrier_destroy(&start);
  CHECK_INT(sandbox_count("token_requests"), 1);
  CHECK_INT(sandbox_count("requests"), THREADS);
}

static void *list_clusters_with_new_token(void *unused) {
  camunda_error *error = NULL;
  CHECK_OK(camunda_admin_invalidate_tokens(admin, &error));
  CHECK(can_list_clusters(admin));
  return unused;
}

/* The library of this test is not optimized: it may use 160 KiB, and the C library a few more. */
static void token_is_requested_on_a_small_stack(void) {
  pthread_t thread;
  pthread_attr_t attributes;
  CHECK_INT(pthread_attr_init(&attributes), 0);
  CHECK_INT(pthread_attr_setstacksize(&attributes, 192 * 1024), 0);
  CHECK_INT(pthread_create(&thread, &attributes, list_clusters_with_new_token, NULL), 0);
  CHECK_INT(pthread_join(thread, NULL), 0);
  CHECK_INT(pthread_attr_destroy(&attributes), 0);
}

static void token_is_nul_terminated_and_has_expiry(void) {
  camunda_token *token = NULL;
  camunda_token *again = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_admin_token(admin, NULL, NULL, &token, &error));
  CHECK_OK(camunda_admin_token(admin, NULL, variable("CAMUNDA_CONSOLE_OAUTH_AUDIENCE"), &again, &error));
  size_t length = 0;
  const char *text = camunda_token_str(token, &length);
  CHECK(text != NULL && length > 10 && strlen(text) == length);
  CHECK_STR(camunda_token_str(again, NULL), text);
  const int64_t wall = (int64_t)time(NULL) * 1000;
  CHECK(camunda_token_expires_at(token) > wall + 3600 * 1000);
  CHECK(camunda_token_expires_at(token) < wall + 48 * 3600 * 1000LL);
  CHECK_INT(sandbox_count("token_requests"), 1);
  camunda_token_free(again);
  camunda_token_free(token);
  camunda_token_free(NULL);
  CHECK(camunda_token_str(NULL, &length) == NULL);
  CHECK_INT(camunda_token_expires_at(NULL), 0);
}

static void invalidated_token_is_replaced_once(void) {
  camunda_token *token = NULL;
  camunda_token *next = NULL;
  camunda_error *error = NULL;
  const long long before = sandbox_count("token_requests");
  CHECK_OK(camunda_admin_token(admin, NULL, NULL, &token, &error));
  CHECK_OK(camunda_admin_invalidate_token(admin, NULL, token, &error));
  CHECK_OK(camunda_admin_token(admin, NULL, NULL, &next, &error));
  CHECK(strcmp(camunda_token_str(token, NULL), camunda_token_str(next, NULL)) != 0);
  /* Invalidating the old token does not affect the new one. */
  CHECK_OK(camunda_admin_invalidate_token(admin, NULL, token, &error));
  camunda_token_free(token);
  CHECK_OK(camunda_admin_token(admin, NULL, NULL, &token, &error));
  CHECK_STR(camunda_token_str(token, NULL), camunda_token_str(next, NULL));
  CHECK_INT(sandbox_count("token_requests") - before, 1);
  camunda_token_free(token);
  camunda_token_free(next);
}

static void invalidate_tokens_causes_a_new_token_request(void) {
  camunda_value *clusters = NULL;
  camunda_error *error = NULL;
  const long long before = sandbox_count("token_requests");
  CHECK_OK(camunda_admin_invalidate_tokens(admin, &error));
  CHECK_OK(camunda_cluster_list(admin, NULL, &clusters, &error));
  camunda_value_free(clusters);
  CHECK_INT(sandbox_count("token_requests") - before, 1);
}

static void client_from_cluster_credentials_requests_its_token(void) {
  char *id = sandbox_cluster("{\"name\":\"zeebe\"}");
  camunda_value *created = NULL;
  camunda_value *cluster = NULL;
  camunda_value *credentials = NULL;
  camunda_config *config = NULL;
  camunda_admin *source = NULL;
  camunda_token *token = NULL;
  camunda_error *error = NULL;
  const char *request = "{\"clientName\":\"worker\"}";
  CHECK_OK(camunda_cluster_client_create(admin, NULL, id, request, strlen(request), &created, &error));
  CHECK_OK(camunda_cluster_get(admin, NULL, id, &cluster, &error));
  CHECK_OK(camunda_credentials_from_client(created, cluster, &credentials, &error));
  CHECK_OK(camunda_config_from_credentials(credentials, &config, &error));
  CHECK_OK(camunda_admin_new(config, &source, &error));
  CHECK_OK(camunda_admin_token(source, NULL, NULL, &token, &error));
  CHECK(camunda_token_str(token, NULL) != NULL);
  camunda_token_free(token);
  camunda_admin_free(source);
  camunda_config_free(config);
  camunda_value_free(credentials);
  camunda_value_free(cluster);
  camunda_value_free(created);
  free(id);
}

static void credentials_are_read_from_the_environment(void) {
  const char *const variables[][2] = {
      {"ZEEBE_CLIENT_ID", variable("CAMUNDA_CONSOLE_CLIENT_ID")},
      {"ZEEBE_CLIENT_SECRET", variable("CAMUNDA_CONSOLE_CLIENT_SECRET")},
      {"ZEEBE_TOKEN_AUDIENCE", variable("CAMUNDA_CONSOLE_OAUTH_AUDIENCE")},
  };
  camunda_value *credentials = NULL;
  camunda_config *config = NULL;
  camunda_admin *source = NULL;
  camunda_token *token = NULL;
  camunda_error *error = NULL;
  /* The mock server's environment has them, for `@camunda8/sdk`. */
  for (size_t i = 0; i < 3; ++i) unsetenv(variables[i][0]);
  CHECK_FAILS(camunda_credentials_from_env(&credentials, &error), CAMUNDA_STATUS_CONFIG);
  CHECK_PART(camunda_error_message(error), "ZEEBE_CLIENT_ID");
  FREE_ERROR(error);
  for (size_t i = 0; i < 3; ++i) setenv(variables[i][0], variables[i][1], 1);
  CHECK_OK(camunda_credentials_from_env(&credentials, &error));
  CHECK_STR(camunda_value_str(camunda_value_get(credentials, "ZEEBE_CLIENT_ID"), NULL), variables[0][1]);
  CHECK_OK(camunda_config_from_credentials(credentials, &config, &error));
  CHECK_OK(camunda_admin_new(config, &source, &error));
  CHECK_OK(camunda_admin_token(source, NULL, NULL, &token, &error));
  camunda_token_free(token);
  camunda_admin_free(source);
  camunda_config_free(config);
  camunda_value_free(credentials);
  for (size_t i = 0; i < 3; ++i) unsetenv(variables[i][0]);
}

static void rejected_credentials_send_one_token_request(void) {
  camunda_config *config = NULL;
  camunda_admin *rejected = NULL;
  camunda_value *clusters = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_config_from_env(&config, &error));
  CHECK_OK(camunda_config_set(config, "client_secret", "hunter2", &error));
  CHECK_OK(camunda_admin_new(config, &rejected, &error));
  camunda_config_free(config);
  const long long before = sandbox_count("token_requests");
  for (int i = 0; i < 3; ++i) {
    CHECK_FAILS(camunda_cluster_list(rejected, NULL, &clusters, &error), CAMUNDA_STATUS_AUTHENTICATION);
    CHECK_INT(camunda_error_stage(error), CAMUNDA_STAGE_TOKEN);
    CHECK_INT(camunda_error_outcome(error), CAMUNDA_OUTCOME_NOT_SENT);
    CHECK(strstr(camunda_error_message(error), "hunter2") == NULL);
    FREE_ERROR(error);
  }
  CHECK_INT(sandbox_count("token_requests") - before, 1);
  CHECK_OK(camunda_admin_clear_auth_failure(rejected, &error));
  CHECK_FAILS(camunda_cluster_list(rejected, NULL, &clusters, &error), CAMUNDA_STATUS_AUTHENTICATION);
  FREE_ERROR(error);
  CHECK_INT(sandbox_count("token_requests") - before, 2);
  camunda_admin_free(rejected);
}

/* Creates a client with the settings of the environment and one more, without the secret. */
static camunda_admin *connect_without_secret(const char *key, const char *value) {
  camunda_config *config = camunda_config_new();
  camunda_admin *made = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_config_set(config, "client_id", variable("CAMUNDA_CONSOLE_CLIENT_ID"), &error));
  CHECK_OK(camunda_config_set(config, "base_url", variable("CAMUNDA_CONSOLE_BASE_URL"), &error));
  CHECK_OK(camunda_config_set(config, "oauth_url", variable("CAMUNDA_OAUTH_URL"), &error));
  CHECK_OK(camunda_config_set(config, "token_cache", "memory", &error));
  CHECK_OK(camunda_config_set(config, key, value, &error));
  CHECK_OK(camunda_admin_new(config, &made, &error));
  camunda_config_free(config);
  return made;
}

static void access_token_is_used_without_a_token_request(void) {
  camunda_token *token = NULL;
  camunda_token *same = NULL;
  camunda_value *clusters = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_admin_token(admin, NULL, NULL, &token, &error));
  const long long before = sandbox_count("token_requests");
  camunda_admin *given = connect_without_secret("access_token", camunda_token_str(token, NULL));
  CHECK_OK(camunda_cluster_list(given, NULL, &clusters, &error));
  CHECK_OK(camunda_admin_invalidate_tokens(given, &error));
  CHECK_OK(camunda_admin_token(given, NULL, NULL, &same, &error));
  CHECK_STR(camunda_token_str(same, NULL), camunda_token_str(token, NULL));
  CHECK_INT(sandbox_count("token_requests") - before, 0);
  camunda_value_free(clusters);
  camunda_token_free(same);
  camunda_token_free(token);
  camunda_admin_free(given);

  given = connect_without_secret("access_token", "hunter2");
  CHECK_FAILS(camunda_cluster_list(given, NULL, &clusters, &error), CAMUNDA_STATUS_AUTHENTICATION);
  CHECK_PART(camunda_error_message(error), "the API rejected the access token in `access_token`");
  CHECK(strstr(camunda_error_message(error), "hunter2") == NULL);
  FREE_ERROR(error);
  CHECK_INT(sandbox_count("token_requests") - before, 0);
  camunda_admin_free(given);
}

static void client_secret_is_read_from_a_file(void) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/client-secret", variable("HOME"));
  camunda_value *clusters = NULL;
  camunda_error *error = NULL;
  const int file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
  CHECK(file >= 0);
  dprintf(file, "%s\n", variable("CAMUNDA_CONSOLE_CLIENT_SECRET"));
  close(file);
  camunda_admin *given = connect_without_secret("client_secret_file", path);
  CHECK_OK(camunda_cluster_list(given, NULL, &clusters, &error));
  camunda_value_free(clusters);
  camunda_admin_free(given);
  unlink(path);
}

int main(void) {
  admin = connect_from_env();
  RUN(concurrent_threads_without_token_send_one_token_request);
  RUN(token_is_nul_terminated_and_has_expiry);
  RUN(invalidated_token_is_replaced_once);
  RUN(invalidate_tokens_causes_a_new_token_request);
  RUN(token_is_requested_on_a_small_stack);
  RUN(client_from_cluster_credentials_requests_its_token);
  RUN(credentials_are_read_from_the_environment);
  RUN(rejected_credentials_send_one_token_request);
  RUN(access_token_is_used_without_a_token_request);
  RUN(client_secret_is_read_from_a_file);
  camunda_admin_free(admin);
  return check_finish();
}
