/* Baseline with libcurl and cJSON: one easy handle, whose connection is kept, and one
 * token for the life of the process. Arguments: what to do (get, list or decode), and how often. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <curl/curl.h>

#include "read_body.h"

static size_t clusters, bytes;

struct body {
  char *data;
  size_t length, capacity;
};

static void fail(const char *why) {
  fprintf(stderr, "%s\n", why);
  exit(1);
}

static size_t append(char *data, size_t size, size_t count, void *user) {
  struct body *body = user;
  const size_t more = size * count;
  if (body->length + more > body->capacity) {
    body->capacity = 2 * (body->length + more);
    body->data = realloc(body->data, body->capacity);
    if (body->data == NULL) return 0;
  }
  memcpy(body->data + body->length, data, more);
  body->length += more;
  return more;
}

/* Performs the request of the handle and parses the response. */
static cJSON *perform(CURL *curl, struct body *body) {
  body->length = 0;
  const CURLcode code = curl_easy_perform(curl);
  if (code != CURLE_OK) fail(curl_easy_strerror(code));
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  if (status != 200) fail("not 200");
  cJSON *json = cJSON_ParseWithLength(body->data, body->length);
  if (json == NULL) fail("not JSON");
  return json;
}

static struct curl_slist *authorize(CURL *curl, struct body *body) {
  cJSON *request = cJSON_CreateObject();
  cJSON_AddStringToObject(request, "grant_type", "client_credentials");
  cJSON_AddStringToObject(request, "client_id", getenv("CAMUNDA_CONSOLE_CLIENT_ID"));
  cJSON_AddStringToObject(request, "client_secret", getenv("CAMUNDA_CONSOLE_CLIENT_SECRET"));
  cJSON_AddStringToObject(request, "audience", "api.cloud.camunda.io");
  char *text = cJSON_PrintUnformatted(request);
  struct curl_slist *json = curl_slist_append(NULL, "Content-Type: application/json");
  curl_easy_setopt(curl, CURLOPT_URL, getenv("CAMUNDA_OAUTH_URL"));
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, text);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, json);
  cJSON *response = perform(curl, body);
  const char *token = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(response, "access_token"));
  if (token == NULL) fail("no token");
  static char header[8192];
  snprintf(header, sizeof header, "Authorization: Bearer %s", token);
  struct curl_slist *headers = curl_slist_append(NULL, header);
  headers = curl_slist_append(headers, "Accept: application/json");
  curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  cJSON_Delete(response);
  cJSON_Delete(request);
  cJSON_free(text);
  curl_slist_free_all(json);
  return headers;
}

static size_t length(const cJSON *object, const char *name) {
  const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
  return text == NULL ? 0 : strlen(text);
}

static const cJSON *in(const cJSON *object, const char *name) {
  return cJSON_GetObjectItemCaseSensitive(object, name);
}

static void look_at(const cJSON *cluster) {
  clusters += 1;
  bytes += length(cluster, "uuid") + length(cluster, "name") +
           length(in(cluster, "generation"), "name") + length(in(cluster, "region"), "name") +
           length(in(cluster, "status"), "ready");
}

static void look_at_all(const cJSON *list) {
  const cJSON *cluster;
  cJSON_ArrayForEach(cluster, list) look_at(cluster);
}

static void call(const char *work, long times) {
  const bool get = strcmp(work, "get") == 0;
  struct body body = {0};
  curl_global_init(CURL_GLOBAL_DEFAULT);
  CURL *curl = curl_easy_init();
  curl_easy_setopt(curl, CURLOPT_CAINFO, getenv("CAMUNDA_CUSTOM_ROOT_CERT_PATH"));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, append);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
  struct curl_slist *headers = authorize(curl, &body);
  char url[1024];
  snprintf(url, sizeof url, "%s/clusters%s%s", getenv("CAMUNDA_CONSOLE_BASE_URL"), get ? "/" : "",
           get ? getenv("BENCH_CLUSTER") : "");
  curl_easy_setopt(curl, CURLOPT_URL, url);
  for (long i = 0; i < times; ++i) {
    cJSON *json = perform(curl, &body);
    if (get) {
      look_at(json);
    } else {
      look_at_all(json);
    }
    cJSON_Delete(json);
  }
  curl_slist_free_all(headers);
  curl_easy_cleanup(curl);
  curl_global_cleanup();
  free(body.data);
}

static void decode(long times) {
  size_t length;
  char *body = read_body(&length);
  for (long i = 0; i < times; ++i) {
    cJSON *json = cJSON_ParseWithLength(body, length);
    if (json == NULL) fail("not JSON");
    look_at_all(json);
    /* Not freed, see measure.py. */
  }
  free(body);
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
