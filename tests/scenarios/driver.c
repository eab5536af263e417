/* Scenario driver for C: reads calls as lines of JSON, makes them through camunda_admin.h and writes each
 * result or error as a line of JSON. operations.inc has the signature of each function; the harness
 * generates it from the operation descriptions before it compiles this file. */

#include "camunda_admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Functions by signature ---- */

#define HEAD const camunda_admin *admin, const camunda_call_options *call
#define BODY const char *json, size_t json_len
#define VALUE camunda_value **value
#define TAIL camunda_error **error

typedef camunda_status (*strings_0_value_fn)(HEAD, VALUE, TAIL);
typedef camunda_status (*strings_0_body_value_fn)(HEAD, BODY, VALUE, TAIL);
typedef camunda_status (*strings_1_fn)(HEAD, const char *, TAIL);
typedef camunda_status (*strings_1_value_fn)(HEAD, const char *, VALUE, TAIL);
typedef camunda_status (*strings_1_body_fn)(HEAD, const char *, BODY, TAIL);
typedef camunda_status (*strings_1_body_value_fn)(HEAD, const char *, BODY, VALUE, TAIL);
typedef camunda_status (*strings_2_fn)(HEAD, const char *, const char *, TAIL);
typedef camunda_status (*strings_2_value_fn)(HEAD, const char *, const char *, VALUE, TAIL);
typedef camunda_status (*strings_2_body_fn)(HEAD, const char *, const char *, BODY, TAIL);
typedef camunda_status (*csv_fn)(HEAD, camunda_write_fn sink, void *user, TAIL);

enum signature {
  strings_0_value,
  strings_0_body_value,
  strings_1,
  strings_1_value,
  strings_1_body,
  strings_1_body_value,
  strings_2,
  strings_2_value,
  strings_2_body,
  csv
};

struct operation {
  const char *name;
  enum signature signature;
  union {
    strings_0_value_fn strings_0_value;
    strings_0_body_value_fn strings_0_body_value;
    strings_1_fn strings_1;
    strings_1_value_fn strings_1_value;
    strings_1_body_fn strings_1_body;
    strings_1_body_value_fn strings_1_body_value;
    strings_2_fn strings_2;
    strings_2_value_fn strings_2_value;
    strings_2_body_fn strings_2_body;
    csv_fn csv;
  } function;
};

#define ENTRY(name, signature, function) {name, signature, {.signature = function}},
static const struct operation operations[] = {
#include "operations.inc"
};

/* ---- Writing JSON ---- */

static void write_text(const char *text, size_t len) {
  putchar('"');
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c == '"' || c == '\\') {
      printf("\\%c", c);
    } else if (c < 0x20) {
      printf("\\u%04x", c);
    } else {
      putchar(c);
    }
  }
  putchar('"');
}

static void write_string(const char *text) {
  if (text == NULL) {
    fputs("null", stdout);
  } else {
    write_text(text, strlen(text));
  }
}

static void write_hex(const char *bytes, size_t len) {
  putchar('"');
  for (size_t i = 0; i < len; i++) printf("%02x", (unsigned char)bytes[i]);
  putchar('"');
}

/* Writes the value through the readers instead of camunda_value_json(), so that every response tests
 * them. */
static void write_value(const camunda_value *value) {
  size_t len = 0;
  switch (camunda_value_kind(value)) {
    case CAMUNDA_KIND_OBJECT:
      putchar('{');
      for (size_t i = 0; i < camunda_value_len(value); i++) {
        const char *key = camunda_value_key(value, i, &len);
        if (i > 0) putchar(',');
        write_text(key, len);
        putchar(':');
        write_value(camunda_value_at(value, i));
      }
      putchar('}');
      break;
    case CAMUNDA_KIND_ARRAY:
      putchar('[');
      for (size_t i = 0; i < camunda_value_len(value); i++) {
        if (i > 0) putchar(',');
        write_value(camunda_value_at(value, i));
      }
      putchar(']');
      break;
    case CAMUNDA_KIND_STRING: {
      const char *text = camunda_value_str(value, &len);
      if (text == NULL) {
        fputs("null", stdout);
      } else {
        write_text(text, len);
      }
      break;
    }
    case CAMUNDA_KIND_BOOL:
      fputs(camunda_value_bool(value, false) ? "true" : "false", stdout);
      break;
    case CAMUNDA_KIND_NUMBER: {
      const char *json = camunda_value_json(value, &len);
      fwrite(json, 1, len, stdout);
      break;
    }
    default:
      fputs("null", stdout);
  }
}

static void reply_error(const camunda_error *error) {
  size_t len = 0;
  const char *body = camunda_error_body(error, &len);
  printf("{\"error\":{\"status\":%d,\"stage\":%d,\"outcome\":%d", (int)camunda_error_status(error),
         (int)camunda_error_stage(error), (int)camunda_error_outcome(error));
  printf(",\"http_status\":%d,\"attempts\":%u,\"message\":", (int)camunda_error_http_status(error),
         (unsigned)camunda_error_attempts(error));
  write_string(camunda_error_message(error));
  fputs(",\"server_message\":", stdout);
  write_string(camunda_error_server_message(error));
  fputs(",\"operation\":", stdout);
  write_string(camunda_error_operation(error));
  if (camunda_error_retry_after(error) >= 0) {
    printf(",\"retry_after\":%.6f", camunda_error_retry_after(error));
  }
  if (body != NULL) {
    fputs(",\"body_hex\":", stdout);
    write_hex(body, len);
  }
  if (camunda_error_may_have_been_applied(error)) fputs(",\"may_have_been_applied\":true", stdout);
  puts("}}");
}

static void reply_invalid_call(const char *what, const char *name) {
  printf("{\"error\":{\"kind\":\"InvalidArgument\",\"stage\":1,\"outcome\":1,\"message\":\"%s %s\"}}\n",
         what, name);
}

/* ---- Making calls ---- */

/* Growable buffer for the CSV callback. */
struct buffer {
  char *data;
  size_t len;
};

static int32_t append(void *user, const char *data, size_t len) {
  struct buffer *buffer = user;
  char *grown = realloc(buffer->data, buffer->len + len + 1);
  if (grown == NULL) return 1;
  memcpy(grown + buffer->len, data, len);
  buffer->data = grown;
  buffer->len += len;
  return 0;
}

static camunda_status run(const struct operation *operation, const camunda_admin *admin,
                          const camunda_call_options *call, const camunda_value *request,
                          camunda_value **value, struct buffer *buffer, camunda_error **error) {
  const camunda_value *arguments = camunda_value_get(request, "arguments");
  const char *a = camunda_value_str(camunda_value_at(arguments, 0), NULL);
  const char *b = camunda_value_str(camunda_value_at(arguments, 1), NULL);
  const camunda_value *body = camunda_value_get(request, "body");
  size_t len = 0;
  const char *json = body == NULL ? NULL : camunda_value_json(body, &len);
  switch (operation->signature) {
    case strings_0_value:
      return operation->function.strings_0_value(admin, call, value, error);
    case strings_0_body_value:
      return operation->function.strings_0_body_value(admin, call, json, len, value, error);
    case strings_1:
      return operation->function.strings_1(admin, call, a, error);
    case strings_1_value:
      return operation->function.strings_1_value(admin, call, a, value, error);
    case strings_1_body:
      return operation->function.strings_1_body(admin, call, a, json, len, error);
    case strings_1_body_value:
      return operation->function.strings_1_body_value(admin, call, a, json, len, value, error);
    case strings_2:
      return operation->function.strings_2(admin, call, a, b, error);
    case strings_2_value:
      return operation->function.strings_2_value(admin, call, a, b, value, error);
    case strings_2_body:
      return operation->function.strings_2_body(admin, call, a, b, json, len, error);
    case csv:
      return operation->function.csv(admin, call, append, buffer, error);
  }
  return CAMUNDA_STATUS_INTERNAL;
}

/* Makes calls that are neither operations nor waiters. Returns false for an unknown call. */
static bool run_other(const char *name, const camunda_admin *admin, const camunda_call_options *call,
                      const camunda_value *request, camunda_value **value, camunda_status *status,
                      camunda_error **error) {
  const camunda_value *arguments = camunda_value_get(request, "arguments");
  const char *a = camunda_value_str(camunda_value_at(arguments, 0), NULL);
  const char *b = camunda_value_str(camunda_value_at(arguments, 1), NULL);
  const char *c = camunda_value_str(camunda_value_at(arguments, 2), NULL);
  if (strcmp(name, "cluster.add_to_ip_allowlist") == 0) {
    *status = camunda_cluster_add_to_ip_allowlist(admin, call, a, b, c, value, error);
  } else if (strcmp(name, "cluster.remove_from_ip_allowlist") == 0) {
    *status = camunda_cluster_remove_from_ip_allowlist(admin, call, a, b, value, error);
  } else if (strcmp(name, "request") == 0) {
    const char *string = camunda_value_str(camunda_value_get(request, "idempotency"), NULL);
    const camunda_value *body = camunda_value_get(request, "body");
    size_t len = 0;
    const char *json = body == NULL ? NULL : camunda_value_json(body, &len);
    int32_t idempotency = CAMUNDA_IDEMPOTENCY_BY_METHOD;
    if (string != NULL) {
      if (strcmp(string, "safe") == 0) idempotency = CAMUNDA_IDEMPOTENCY_SAFE;
      if (strcmp(string, "idempotent") == 0) idempotency = CAMUNDA_IDEMPOTENCY_IDEMPOTENT;
      if (strcmp(string, "non_idempotent") == 0) idempotency = CAMUNDA_IDEMPOTENCY_NON_IDEMPOTENT;
    }
    *status = camunda_request(admin, call, idempotency, a, b, json, len, value, error);
  } else {
    return false;
  }
  return true;
}

static void reply_call(const camunda_admin *admin, const camunda_value *request) {
  const char *name = camunda_value_str(camunda_value_get(request, "call"), NULL);
  camunda_call_options *call = camunda_call_options_new();
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  camunda_status status = CAMUNDA_STATUS_OK;
  struct buffer buffer = {NULL, 0};
  const struct operation *found = NULL;
  for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
    if (strcmp(operations[i].name, name) == 0) found = &operations[i];
  }

  double timeout = camunda_value_number(camunda_value_get(request, "timeout"), 0);
  double interval = camunda_value_number(camunda_value_get(request, "interval"), 0);
  if (timeout > 0) status = camunda_call_options_set_timeout(call, timeout, &error);
  if (status == 0 && interval > 0) status = camunda_call_options_set_max_poll_interval(call, interval, &error);

  bool known = true;
  if (status == CAMUNDA_STATUS_OK) {
    if (found != NULL) {
      status = run(found, admin, call, request, &value, &buffer, &error);
    } else {
      known = run_other(name, admin, call, request, &value, &status, &error);
    }
  }
  if (!known) {
    reply_invalid_call("unknown call", name);
  } else if (status != CAMUNDA_STATUS_OK) {
    if (error == NULL || camunda_error_status(error) != status || value != NULL) abort();
    reply_error(error);
  } else {
    if (error != NULL) abort();
    fputs("{\"result\":", stdout);
    if (found != NULL && found->signature == csv) {
      write_text(buffer.data == NULL ? "" : buffer.data, buffer.len);
    } else {
      write_value(value);
    }
    puts("}");
  }
  free(buffer.data);
  camunda_error_free(error);
  camunda_value_free(value);
  camunda_call_options_free(call);
}

static void reply_connect(const camunda_value *settings, camunda_admin **admin) {
  camunda_config *config = camunda_config_new();
  camunda_error *error = NULL;
  camunda_status status = CAMUNDA_STATUS_OK;
  camunda_admin_free(*admin);
  *admin = NULL;
  for (size_t i = 0; status == CAMUNDA_STATUS_OK && i < camunda_value_len(settings); i++) {
    status = camunda_config_set(config, camunda_value_key(settings, i, NULL),
                                camunda_value_str(camunda_value_at(settings, i), NULL), &error);
  }
  if (status == CAMUNDA_STATUS_OK) status = camunda_admin_new(config, admin, &error);
  if (status == CAMUNDA_STATUS_OK) {
    puts("{\"result\":null}");
  } else {
    reply_error(error);
  }
  camunda_error_free(error);
  camunda_config_free(config);
}

int main(void) {
  camunda_admin *admin = NULL;
  char *line = NULL;
  size_t capacity = 0;
  ssize_t len;
  while ((len = getline(&line, &capacity, stdin)) > 0) {
    camunda_value *request = NULL;
    camunda_error *error = NULL;
    if (camunda_value_parse(line, (size_t)len, &request, &error) != CAMUNDA_STATUS_OK) {
      reply_error(error);
    } else if (camunda_value_get(request, "connect") != NULL) {
      reply_connect(camunda_value_get(request, "connect"), &admin);
    } else {
      reply_call(admin, request);
    }
    camunda_error_free(error);
    camunda_value_free(request);
    fflush(stdout);
  }
  free(line);
  camunda_admin_free(admin);
  return 0;
}
