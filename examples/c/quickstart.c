/* End-to-end example in C: creates a cluster, waits until it is healthy, creates a client and
 * stores its credentials, gets a token as that client, lists clusters, and deletes both.
 *
 *     quickstart [--create] [FILE]
 *
 * Reads the settings from the environment variables, for example CAMUNDA_CONSOLE_CLIENT_ID. Against
 * a server on this machine, such as the sandbox, it runs all steps. Against the real API it only
 * lists clusters, unless --create is given: a cluster costs money until it is deleted. FILE receives
 * the credentials and must not exist; default: a temporary file, which is deleted at the end. */
#define _XOPEN_SOURCE 700

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "camunda_admin.h"

/* Returns whether the calls succeeded; else prints and frees the error of the one that failed. */
static bool succeeded(bool failed, camunda_error **error) {
  if (!failed) return true;
  fprintf(stderr, "%s (outcome: %s)\n", camunda_error_message(*error),
          camunda_outcome_name(camunda_error_outcome(*error)));
  camunda_error_free(*error);
  *error = NULL;
  return false;
}

static bool list(const camunda_admin *admin, camunda_error **error) {
  camunda_value *clusters;
  if (!succeeded(camunda_cluster_list(admin, NULL, &clusters, error), error)) return false;
  printf("The organization has %zu cluster(s).\n", camunda_value_len(clusters));
  const camunda_value *cluster;
  for (size_t position = 0; (cluster = camunda_value_next(clusters, &position)) != NULL;) {
    printf("  %s %s %s\n", camunda_value_path_str(cluster, "uuid", ""),
           camunda_value_path_str(cluster, "name", ""),
           camunda_value_path_str(cluster, "status.ready", ""));
  }
  camunda_value_free(clusters);
  return true;
}

/* Creates a cluster with the first channel, region and plan type that the API offers. */
static bool create(const camunda_admin *admin, camunda_value **created, camunda_error **error) {
  camunda_value *offer;
  if (!succeeded(camunda_cluster_parameters(admin, NULL, &offer, error), error)) return false;
  const char *channel = camunda_value_path_str(offer, "channels.0.uuid", "");
  const char *generation = camunda_value_path_str(offer, "channels.0.defaultGeneration.uuid", "");
  const char *region = camunda_value_path_str(offer, "regions.0.uuid", "");
  const char *plan = camunda_value_path_str(offer, "clusterPlanTypes.0.uuid", "");
  camunda_object *request = camunda_object_new();
  const bool good = succeeded(
      camunda_object_set_str(request, "name", "quickstart", error) ||
          camunda_object_set_str(request, "channelId", channel, error) ||
          camunda_object_set_str(request, "generationId", generation, error) ||
          camunda_object_set_str(request, "regionId", region, error) ||
          camunda_object_set_str(request, "planTypeId", plan, error) ||
          camunda_cluster_create(admin, NULL, camunda_object_json(request, NULL),
                                 strlen(camunda_object_json(request, NULL)), created, error),
      error);
  camunda_object_free(request);
  camunda_value_free(offer);
  return good;
}

/* Prints the status of the cluster after each poll. */
static void show_progress(void *user, const camunda_value *cluster) {
  const time_t *start = user;
  printf("  %3.0f s %s\n", difftime(time(NULL), *start),
         camunda_value_path_str(cluster, "status.ready", ""));
}

/* Creates a cluster client and gets a Zeebe token as it. The API returns the client's secret only
 * once, so the library creates the file for the credentials before the client. */
static bool use(const camunda_admin *admin, const char *id, const char *file, camunda_error **error) {
  const char *request = "{\"clientName\":\"worker\",\"permissions\":[\"Zeebe\",\"Operate\"]}";
  camunda_value *client = NULL, *credentials = NULL;
  camunda_config *config = NULL;
  camunda_admin *source = NULL;
  camunda_token *token = NULL;
  bool good = succeeded(camunda_cluster_client_create_env_file(admin, NULL, id, request,
                                                               strlen(request), file, &client, error) ||
                            camunda_credentials_read(file, &credentials, error) ||
                            camunda_config_from_credentials(credentials, &config, error) ||
                            camunda_admin_new(config, &source, error) ||
                            camunda_admin_token(source, NULL, NULL, &token, error),
                        error);
  const char *client_id = camunda_value_path_str(client, "clientId", "");
  if (good) {
    printf("Created the client %s, with its credentials in %s; its token is valid for %lld min.\n",
           client_id, file, (long long)(camunda_token_expires_at(token) / 1000 - time(NULL)) / 60);
  }
  good = good && list(admin, error);
  if (client != NULL) {
    good = succeeded(camunda_cluster_client_delete(admin, NULL, id, client_id, error), error) && good;
  }
  camunda_token_free(token), camunda_admin_free(source), camunda_config_free(config);
  camunda_value_free(credentials), camunda_value_free(client);
  return good;
}

static bool create_use_and_delete(const camunda_admin *admin, const char *file, camunda_error **error) {
  time_t start = time(NULL);
  camunda_value *created = NULL, *cluster = NULL;
  if (!create(admin, &created, error)) return false;
  const char *id = camunda_value_path_str(created, "clusterId", "");
  printf("Created %s.\n", id);
  camunda_call_options *call = camunda_call_options_new();
  bool good =
      succeeded(camunda_call_options_set_timeout(call, 20 * 60, error) ||
                    camunda_call_options_set_progress(call, show_progress, &start, error) ||
                    camunda_cluster_wait_until_healthy(admin, call, id, &cluster, error),
                error) &&
      use(admin, id, file, error);
  /* Delete the cluster also if a step failed. */
  good = succeeded(camunda_cluster_delete(admin, NULL, id, error) ||
                       camunda_cluster_wait_until_deleted(admin, NULL, id, error),
                   error) &&
         good;
  if (good) printf("Deleted %s.\n", id);
  camunda_call_options_free(call);
  camunda_value_free(cluster);
  camunda_value_free(created);
  return good;
}

int main(int argc, char **argv) {
  /* Clusters cost nothing on this machine, the only one for which http:// is accepted. */
  const char *url = getenv("CAMUNDA_CONSOLE_BASE_URL");
  bool may_create = url != NULL && (strncmp(url, "http://", 7) == 0 ||
                                    strncmp(url, "https://localhost:", 18) == 0);
  char temporary[64];
  snprintf(temporary, sizeof temporary, "/tmp/quickstart-%ld.env", (long)getpid());
  const char *file = temporary;
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "--create") == 0) may_create = true;
    else file = argv[i];
  }
  camunda_error *error = NULL;
  camunda_config *config = NULL;
  camunda_admin *admin = NULL;
  camunda_value *stats = NULL;
  bool good = succeeded(
      camunda_config_from_env(&config, &error) || camunda_admin_new(config, &admin, &error), &error);
  if (good && may_create) {
    good = create_use_and_delete(admin, file, &error);
    if (file == temporary) unlink(temporary);
  } else if (good) {
    good = list(admin, &error);
    printf("Nothing was changed; --create creates a cluster and deletes it again.\n");
  }
  if (good && succeeded(camunda_admin_stats(admin, &stats, &error), &error)) {
    printf("Sent %lld requests and %lld token request(s).\n",
           (long long)camunda_value_path_integer(stats, "requests", 0),
           (long long)camunda_value_path_integer(stats, "token_requests", 0));
  }
  camunda_value_free(stats);
  camunda_admin_free(admin);
  camunda_config_free(config);
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
