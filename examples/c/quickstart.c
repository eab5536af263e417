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

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "camunda_admin.h"

/* Returns whether the status is OK; else prints and frees the error. */
static bool succeeded(camunda_status status, camunda_error **error) {
  if (status == CAMUNDA_STATUS_OK) return true;
  fprintf(stderr, "%s\n", camunda_error_message(*error));
  if (camunda_error_may_have_been_applied(*error)) {
    fprintf(stderr, "Check whether the change was applied before you repeat it.\n");
  }
  camunda_error_free(*error);
  *error = NULL;
  return false;
}

/* Returns the string at a path of a value; empty if there is none. */
static const char *text(const camunda_value *value, const char *path) {
  const char *text = camunda_value_str(camunda_value_path(value, path), NULL);
  return text == NULL ? "" : text;
}

static bool list(const camunda_admin *admin) {
  camunda_error *error = NULL;
  camunda_value *clusters = NULL;
  if (!succeeded(camunda_cluster_list(admin, NULL, &clusters, &error), &error)) return false;
  printf("The organisation has %zu cluster(s).\n", camunda_value_len(clusters));
  for (size_t i = 0; i < camunda_value_len(clusters); ++i) {
    const camunda_value *cluster = camunda_value_at(clusters, i);
    printf("  %s %s %s\n", text(cluster, "uuid"), text(cluster, "name"),
           text(cluster, "status.ready"));
  }
  camunda_value_free(clusters);
  return true;
}

/* Creates a cluster with the first channel, region and plan type that the API offers. */
static bool create(const camunda_admin *admin, camunda_value **created) {
  camunda_error *error = NULL;
  camunda_value *offer = NULL;
  if (!succeeded(camunda_cluster_parameters(admin, NULL, &offer, &error), &error)) return false;
  printf("Creating a cluster: %s, %s, %s.\n", text(offer, "channels.0.defaultGeneration.name"),
         text(offer, "regions.0.name"), text(offer, "clusterPlanTypes.0.name"));
  const char *const fields[][2] = {
      {"name", "quickstart"},
      {"channelId", text(offer, "channels.0.uuid")},
      {"generationId", text(offer, "channels.0.defaultGeneration.uuid")},
      {"regionId", text(offer, "regions.0.uuid")},
      {"planTypeId", text(offer, "clusterPlanTypes.0.uuid")},
      {"description", "Created by an example; can be deleted"},
  };
  camunda_object *request = camunda_object_new();
  bool good = true;
  for (size_t i = 0; good && i < sizeof fields / sizeof *fields; ++i) {
    good = succeeded(camunda_object_set_str(request, fields[i][0], fields[i][1], &error), &error);
  }
  if (good) {
    size_t length = 0;
    const char *json = camunda_object_json(request, &length);
    good = succeeded(camunda_cluster_create(admin, NULL, json, length, created, &error), &error);
  }
  camunda_object_free(request);
  camunda_value_free(offer);
  return good;
}

struct progress {
  char shown[64];
  struct timespec start;
};

/* Prints the status when it has changed. */
static void show_progress(void *user, const camunda_value *cluster) {
  struct progress *progress = (struct progress *)user;
  const char *status = text(cluster, "status.ready");
  if (strncmp(progress->shown, status, sizeof progress->shown - 1) == 0) return;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  printf("  %5.1f s %s\n",
         (double)(now.tv_sec - progress->start.tv_sec) +
             (double)(now.tv_nsec - progress->start.tv_nsec) / 1e9,
         status);
  fflush(stdout);
  snprintf(progress->shown, sizeof progress->shown, "%s", status);
}

static bool wait_until_healthy(const camunda_admin *admin, const char *id, camunda_value **cluster) {
  camunda_error *error = NULL;
  struct progress progress = {"", {0, 0}};
  clock_gettime(CLOCK_MONOTONIC, &progress.start);
  camunda_call_options *call = camunda_call_options_new();
  const bool good =
      succeeded(camunda_call_options_set_timeout(call, 20 * 60, &error), &error) &&
      succeeded(camunda_call_options_set_progress(call, show_progress, &progress, &error), &error) &&
      succeeded(camunda_cluster_wait_until_healthy(admin, call, id, cluster, &error), &error);
  camunda_call_options_free(call);
  return good;
}

/* Gets a Zeebe token with the credentials of the cluster client, and prints its lifetime. */
static bool show_token(const camunda_value *credentials) {
  camunda_error *error = NULL;
  camunda_config *config = NULL;
  camunda_admin *source = NULL;
  camunda_token *token = NULL;
  const bool good =
      succeeded(camunda_config_from_credentials(credentials, &config, &error), &error) &&
      succeeded(camunda_admin_new(config, &source, &error), &error) &&
      succeeded(camunda_admin_token(source, NULL, NULL, &token, &error), &error);
  if (good) {
    printf("Got a token for Zeebe as that client, valid for %lld minutes.\n",
           (long long)((camunda_token_expires_at(token) / 1000 - (int64_t)time(NULL)) / 60));
  }
  camunda_token_free(token);
  camunda_admin_free(source);
  camunda_config_free(config);
  return good;
}

/* Creates a cluster client and stores its credentials in a file. The API returns the secret only
 * once, so the library creates the file before the client. */
static bool use(const camunda_admin *admin, const char *id, const char *file) {
  const char *request = "{\"clientName\":\"worker\",\"permissions\":[\"Zeebe\",\"Operate\"]}";
  camunda_error *error = NULL;
  camunda_value *client = NULL;
  camunda_value *credentials = NULL;
  bool good = succeeded(
      camunda_cluster_client_create_env_file(admin, NULL, id, request, strlen(request), file, &client,
                                             &error),
      &error);
  if (good) {
    printf("Created the client %s (%s), with its credentials in %s.\n", text(client, "name"),
           text(client, "clientId"), file);
    good = succeeded(camunda_credentials_read(file, &credentials, &error), &error);
    good = good && show_token(credentials) && list(admin);
    good = succeeded(camunda_cluster_client_delete(admin, NULL, id, text(client, "clientId"), &error),
                     &error) &&
           good;
    if (good) printf("Deleted the client.\n");
  }
  camunda_value_free(credentials);
  camunda_value_free(client);
  return good;
}

static bool create_use_and_delete(const camunda_admin *admin, const char *file) {
  camunda_error *error = NULL;
  camunda_value *created = NULL;
  camunda_value *cluster = NULL;
  if (!create(admin, &created)) return false;
  const char *id = text(created, "clusterId");
  printf("Created %s.\n", id);
  bool good = wait_until_healthy(admin, id, &cluster) && use(admin, id, file);
  /* Delete the cluster also if a step failed. */
  if (succeeded(camunda_cluster_delete(admin, NULL, id, &error), &error) &&
      succeeded(camunda_cluster_wait_until_deleted(admin, NULL, id, &error), &error)) {
    printf("Deleted %s.\n", id);
  } else {
    good = false;
  }
  camunda_value_free(cluster);
  camunda_value_free(created);
  return good;
}

static bool summary(const camunda_admin *admin) {
  camunda_error *error = NULL;
  camunda_value *stats = NULL;
  if (!succeeded(camunda_admin_stats(admin, &stats, &error), &error)) return false;
  printf("%lld requests, %lld of them retries; %lld token request(s), %lld token(s) from the cache.\n",
         (long long)camunda_value_integer(camunda_value_get(stats, "requests"), 0),
         (long long)camunda_value_integer(camunda_value_get(stats, "retries"), 0),
         (long long)camunda_value_integer(camunda_value_get(stats, "token_requests"), 0),
         (long long)camunda_value_integer(camunda_value_get(stats, "token_cache_hits"), 0));
  camunda_value_free(stats);
  return true;
}

/* Returns whether the API is on this machine, where clusters cost nothing. */
static bool is_local(void) {
  const char *url = getenv("CAMUNDA_CONSOLE_BASE_URL");
  /* The library accepts http:// for this machine only. */
  if (url != NULL && strncmp(url, "http://", 7) == 0) return true;
  if (url == NULL || strncmp(url, "https://", 8) != 0) return false;
  const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]"};
  for (size_t i = 0; i < sizeof hosts / sizeof *hosts; ++i) {
    const size_t length = strlen(hosts[i]);
    if (strncmp(url + 8, hosts[i], length) == 0 && strchr(":/", url[8 + length]) != NULL) return true;
  }
  return false;
}

int main(int argc, char **argv) {
  bool may_create = is_local();
  const char *file = NULL;
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "--create") == 0) {
      may_create = true;
    } else {
      file = argv[i];
    }
  }

  camunda_error *error = NULL;
  camunda_config *config = NULL;
  camunda_admin *admin = NULL;
  bool good = succeeded(camunda_config_from_env(&config, &error), &error) &&
              succeeded(camunda_admin_new(config, &admin, &error), &error);
  camunda_config_free(config);
  if (good && may_create) {
    char folder[] = "/tmp/quickstart-XXXXXX";
    char temporary[sizeof folder + 16] = "";
    if (file == NULL && mkdtemp(folder) != NULL) {
      snprintf(temporary, sizeof temporary, "%s/worker.env", folder);
    }
    good = create_use_and_delete(admin, file == NULL ? temporary : file);
    if (file == NULL) {
      unlink(temporary);
      rmdir(folder);
    }
  } else if (good) {
    good = list(admin);
    printf("Nothing was changed; --create creates a cluster and deletes it again.\n");
  }
  good = good && summary(admin);
  camunda_admin_free(admin);
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
