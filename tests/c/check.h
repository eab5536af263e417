/* What all C and C++ tests have in common: checks that name their case, and the sandbox from
 * outside. A test program is one subject; each of its cases is a function. */
#ifndef CHECK_H
#define CHECK_H

#include <math.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "camunda_admin.h"

static const char *check_case = "(none)";
static int check_failures = 0;

static inline void check_fail(const char *file, int line, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "%s:%d: %s: ", file, line, check_case);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  ++check_failures;
}

static inline void check_int_(const char *file, int line, const char *what, long long found,
                              long long wanted) {
  if (found != wanted) check_fail(file, line, "%s is %lld, not %lld", what, found, wanted);
}

static inline void check_str_(const char *file, int line, const char *what, const char *found,
                              const char *wanted) {
  if (found == NULL || strcmp(found, wanted) != 0) {
    check_fail(file, line, "%s is `%s`, not `%s`", what, found == NULL ? "(NULL)" : found, wanted);
  }
}

static inline void check_part_(const char *file, int line, const char *what, const char *found,
                               const char *part) {
  if (found == NULL || strstr(found, part) == NULL) {
    check_fail(file, line, "%s is `%s`, which lacks `%s`", what, found == NULL ? "(NULL)" : found,
               part);
  }
}

static inline void check_ok_(const char *file, int line, const char *what, camunda_status status,
                             camunda_error **error) {
  if (status != CAMUNDA_STATUS_OK) {
    const char *message = camunda_error_message(*error);
    check_fail(file, line, "%s is %d: %s", what, (int)status, message == NULL ? "?" : message);
  }
  camunda_error_free(*error);
  *error = NULL;
}

/* The condition holds. */
#define CHECK(condition)                                                     \
  do {                                                                       \
    if (!(condition)) check_fail(__FILE__, __LINE__, "not so: %s", #condition); \
  } while (0)
/* Two integers are equal. */
#define CHECK_INT(found, wanted) \
  check_int_(__FILE__, __LINE__, #found, (long long)(found), (long long)(wanted))
/* Two texts are equal. */
#define CHECK_STR(found, wanted) check_str_(__FILE__, __LINE__, #found, (found), (wanted))
/* A text has another in it. */
#define CHECK_PART(found, part) check_part_(__FILE__, __LINE__, #found, (found), (part))
/* A call succeeds; else its error is shown. The error is freed. */
#define CHECK_OK(call) check_ok_(__FILE__, __LINE__, #call, (call), &error)
/* A call fails with a status; `error` is left to look at and to free. */
#define CHECK_FAILS(call, status)                    \
  do {                                               \
    check_int_(__FILE__, __LINE__, #call, (call), (status)); \
    CHECK(error != NULL);                            \
    CHECK_INT(camunda_error_status(error), (status)); \
  } while (0)
/* Frees the error of the failure before. */
#define FORGET(error)            \
  do {                           \
    camunda_error_free(error);   \
    (error) = NULL;              \
  } while (0)
/* Runs a case. */
#define RUN(name)       \
  do {                  \
    check_case = #name; \
    name();             \
  } while (0)

/* The end of a test program. */
static inline int check_finish(void) {
  if (check_failures > 0) fprintf(stderr, "%d checks failed\n", check_failures);
  return check_failures == 0 ? 0 : 1;
}

/* Seconds on a clock that only goes forward. */
static inline double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* A bound on time, stretched where a checker makes everything slow. */
static inline double within(double seconds) {
  const char *factor = getenv("CHECK_TIMEOUT_FACTOR");
  return factor == NULL ? seconds : seconds * atof(factor);
}

/* By how many seconds something ends late is measured until it is 0.1 at most, ten times in all: a
 * slow machine delays now and then, what forgets its deadline or a cancel does so every time. */
#define IN_TIME(lateness)                                                        \
  do {                                                                           \
    double in_time_late = (lateness);                                            \
    for (int tries = 1; in_time_late > within(0.1) && tries < 10; tries++) {     \
      in_time_late = (lateness);                                                 \
    }                                                                            \
    if (in_time_late > within(0.1)) {                                            \
      check_fail(__FILE__, __LINE__, "late every time, by %g s", in_time_late);  \
    }                                                                            \
  } while (0)

/* Waits until a condition holds, 10 s at most. */
#define EVENTUALLY(condition)                                        \
  do {                                                               \
    const double eventually_end = now() + within(10);                \
    while (!(condition) && now() < eventually_end) pause_briefly();  \
    CHECK(condition);                                                \
  } while (0)

static inline void pause_briefly(void) {
  const struct timespec pause = {0, 2000000};
  nanosleep(&pause, NULL);
}

/* A variable that the test was started with. */
static inline const char *variable(const char *name) {
  const char *value = getenv(name);
  if (value == NULL) {
    fprintf(stderr, "the variable %s is not set\n", name);
    exit(2);
  }
  return value;
}

/* A path in the test's own folder; to be freed. */
static inline char *scratch(const char *name) {
  const char *home = variable("HOME");
  const size_t size = strlen(home) + strlen(name) + 2;
  char *path = (char *)malloc(size);
  snprintf(path, size, "%s/%s", home, name);
  return path;
}

/* ---- The sandbox, asked without the library under test ---- */

/* Sends a request to the sandbox and gives the body of the answer; to be freed. */
static inline char *sandbox_send(const char *method, const char *path, const char *body) {
  const char *url = variable("CAMUNDA_CONSOLE_BASE_URL");
  char host[64];
  char port[16];
  if (sscanf(url, "http://%63[^:]:%15[0-9]", host, port) != 2) {
    fprintf(stderr, "no sandbox at %s\n", url);
    exit(2);
  }
  struct addrinfo hints;
  memset(&hints, 0, sizeof hints);
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  struct addrinfo *address = NULL;
  if (getaddrinfo(host, port, &hints, &address) != 0) exit(2);
  const int connection = socket(AF_INET, SOCK_STREAM, 0);
  if (connection < 0 || connect(connection, address->ai_addr, address->ai_addrlen) != 0) {
    perror("the sandbox");
    exit(2);
  }
  freeaddrinfo(address);

  const size_t size = strlen(body) + strlen(path) + 256;
  char *request = (char *)malloc(size);
  const int length = snprintf(request, size,
                              "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n"
                              "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                              method, path, host, strlen(body), body);
  for (ssize_t sent = 0, step; sent < length; sent += step) {
    step = send(connection, request + sent, (size_t)(length - sent), MSG_NOSIGNAL);
    if (step <= 0) exit(2);
  }
  free(request);

  size_t capacity = 65536;
  size_t filled = 0;
  char *answer = (char *)malloc(capacity);
  for (;;) {
    const ssize_t step = recv(connection, answer + filled, capacity - filled - 1, 0);
    if (step <= 0) break;
    filled += (size_t)step;
    if (filled + 1 == capacity) answer = (char *)realloc(answer, capacity *= 2);
  }
  close(connection);
  answer[filled] = '\0';
  const char *start = strstr(answer, "\r\n\r\n");
  if (start == NULL || strncmp(answer, "HTTP/1.1 2", 10) != 0) {
    fprintf(stderr, "the sandbox refused %s %s: %s\n", path, body, answer);
    exit(2);
  }
  memmove(answer, start + 4, strlen(start + 4) + 1);
  return answer;
}

/* Makes changes to the sandbox; see its control endpoints. Gives one text of the answer, where one
 * is asked for; to be freed. */
static inline char *sandbox_control(const char *changes, const char *wanted) {
  char *json = sandbox_send("POST", "/_sandbox/control", changes);
  camunda_value *answer = NULL;
  camunda_value_parse(json, strlen(json), &answer, NULL);
  free(json);
  const char *text = wanted == NULL ? NULL : camunda_value_str(camunda_value_path(answer, wanted), NULL);
  char *copy = text == NULL ? NULL : strdup(text);
  camunda_value_free(answer);
  return copy;
}

/* Makes a request go wrong. */
static inline void sandbox_fault(const char *fault) {
  free(sandbox_send("POST", "/_sandbox/faults", fault));
}

/* Makes nothing go wrong any more. */
static inline void sandbox_clear_faults(void) {
  free(sandbox_send("DELETE", "/_sandbox/faults", ""));
}

/* Makes a healthy cluster with these fields; its id is to be freed. */
static inline char *sandbox_cluster(const char *fields) {
  const size_t size = strlen(fields) + 32;
  char *changes = (char *)malloc(size);
  snprintf(changes, size, "{\"cluster\":%s}", fields);
  char *uuid = sandbox_control(changes, "uuid");
  free(changes);
  return uuid;
}

/* One of the sandbox's counters, such as `token_requests`. */
static inline long long sandbox_count(const char *name) {
  char *json = sandbox_send("GET", "/_sandbox/stats", "");
  camunda_value *stats = NULL;
  camunda_value_parse(json, strlen(json), &stats, NULL);
  free(json);
  const long long count = camunda_value_integer(camunda_value_get(stats, name), -1);
  camunda_value_free(stats);
  return count;
}

/* A client with the settings of the environment; to be freed. */
static inline camunda_admin *connect_from_env(void) {
  camunda_config *config = NULL;
  camunda_admin *admin = NULL;
  camunda_error *error = NULL;
  if (camunda_config_from_env(&config, &error) != CAMUNDA_STATUS_OK ||
      camunda_admin_new(config, &admin, &error) != CAMUNDA_STATUS_OK) {
    fprintf(stderr, "no client: %s\n", camunda_error_message(error));
    exit(2);
  }
  camunda_config_free(config);
  return admin;
}

#endif
