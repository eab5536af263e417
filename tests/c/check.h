/* Common code of the C and C++ tests: assertions that report the name of their test case, and a client
 * of the sandbox's control endpoints. Each test program covers one subject; each test case is a
 * function. */
#ifndef CHECK_H
#define CHECK_H

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#ifdef _WIN32
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <netdb.h>
#include <sys/socket.h>
#endif

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
  if (found != wanted) check_fail(file, line, "%s is %lld, expected %lld", what, found, wanted);
}

static inline void check_str_(const char *file, int line, const char *what, const char *found,
                              const char *wanted) {
  if (found == NULL || strcmp(found, wanted) != 0) {
    check_fail(file, line, "%s is `%s`, expected `%s`", what, found == NULL ? "(NULL)" : found, wanted);
  }
}

static inline void check_part_(const char *file, int line, const char *what, const char *found,
                               const char *part) {
  if (found == NULL || strstr(found, part) == NULL) {
    check_fail(file, line, "%s is `%s`, which does not contain `%s`", what, found == NULL ? "(NULL)" : found,
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

/* Checks that a condition is true. */
#define CHECK(condition)                                                     \
  do {                                                                       \
    if (!(condition)) check_fail(__FILE__, __LINE__, "check failed: %s", #condition); \
  } while (0)
/* Checks that two integers are equal. */
#define CHECK_INT(found, wanted) \
  check_int_(__FILE__, __LINE__, #found, (long long)(found), (long long)(wanted))
/* Checks that two strings are equal. */
#define CHECK_STR(found, wanted) check_str_(__FILE__, __LINE__, #found, (found), (wanted))
/* Checks that a string contains another. */
#define CHECK_PART(found, part) check_part_(__FILE__, __LINE__, #found, (found), (part))
/* Checks that a call succeeds; else prints its error. Frees the error. */
#define CHECK_OK(call) check_ok_(__FILE__, __LINE__, #call, (call), &error)
/* Checks that a call fails with a status. The caller frees `error`. */
#define CHECK_FAILS(call, status)                    \
  do {                                               \
    check_int_(__FILE__, __LINE__, #call, (call), (status)); \
    CHECK(error != NULL);                            \
    CHECK_INT(camunda_error_status(error), (status)); \
  } while (0)
/* Frees an error and sets it to NULL. */
#define FREE_ERROR(error)            \
  do {                           \
    camunda_error_free(error);   \
    (error) = NULL;              \
  } while (0)
/* Runs a test case. */
#define RUN(name)       \
  do {                  \
    check_case = #name; \
    name();             \
  } while (0)

/* Prints the number of failed checks. Returns the exit status of the test program. */
static inline int check_finish(void) {
  if (check_failures > 0) fprintf(stderr, "%d checks failed\n", check_failures);
  return check_failures == 0 ? 0 : 1;
}

/* Returns the time of a monotonic clock in seconds. */
static inline double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Returns a time limit in seconds, multiplied by CHECK_TIMEOUT_FACTOR for valgrind and sanitizers. */
static inline double within(double seconds) {
  const char *factor = getenv("CHECK_TIMEOUT_FACTOR");
  return factor == NULL ? seconds : seconds * atof(factor);
}

/* Evaluates `lateness`, the seconds by which a call returned late, until it is at most 0.1, up to 40
 * times: a loaded machine delays some attempts, while a call that ignores its deadline or a
 * cancellation is late every time. */
#define IN_TIME(lateness)                                                        \
  do {                                                                           \
    double in_time_late = (lateness);                                            \
    for (int tries = 1; in_time_late > within(0.1) && tries < 40; tries++) {     \
      in_time_late = (lateness);                                                 \
    }                                                                            \
    if (in_time_late > within(0.1)) {                                            \
      check_fail(__FILE__, __LINE__, "late in every attempt, by %g s", in_time_late);  \
    }                                                                            \
  } while (0)

/* Waits until a condition is true, at most 10 s. */
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

/* Returns an environment variable. Exits if it is not set. */
static inline const char *variable(const char *name) {
  const char *value = getenv(name);
  if (value == NULL) {
    fprintf(stderr, "the variable %s is not set\n", name);
    exit(2);
  }
  return value;
}

/* The directory of the test. wine does not pass HOME to programs. */
#ifdef _WIN32
#define CHECK_HOME "CHECK_HOME"
#else
#define CHECK_HOME "HOME"
#endif

/* Returns a path in the directory of the test. Free it with free(). */
static inline char *scratch(const char *name) {
  const char *home = variable(CHECK_HOME);
  const size_t size = strlen(home) + strlen(name) + 2;
  char *path = (char *)malloc(size);
  snprintf(path, size, "%s/%s", home, name);
  return path;
}

/* ---- Sandbox requests that do not use the library under test ---- */

#ifdef _WIN32
#define MSG_NOSIGNAL 0
typedef SOCKET check_socket;
typedef int check_size;
static inline void start_sockets(void) {
  WSADATA data;
  if (WSAStartup(MAKEWORD(2, 2), &data) != 0) exit(2);
}
static inline void close_socket(check_socket connection) { closesocket(connection); }
#else
typedef int check_socket;
typedef size_t check_size;
static inline void start_sockets(void) {}
static inline void close_socket(check_socket connection) { close(connection); }
#define INVALID_SOCKET (-1)
#endif

/* Sends a request to the sandbox. Returns the response body. Free it with free(). */
static inline char *sandbox_send(const char *method, const char *path, const char *body) {
  const char *url = variable("CAMUNDA_CONSOLE_BASE_URL");
  char host[64];
  char port[16];
  if (sscanf(url, "http://%63[^:]:%15[0-9]", host, port) != 2) {
    fprintf(stderr, "no sandbox at %s\n", url);
    exit(2);
  }
  start_sockets();
  struct addrinfo hints;
  memset(&hints, 0, sizeof hints);
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  struct addrinfo *address = NULL;
  if (getaddrinfo(host, port, &hints, &address) != 0) exit(2);
  const check_socket connection = socket(AF_INET, SOCK_STREAM, 0);
  if (connection == INVALID_SOCKET ||
      connect(connection, address->ai_addr, (socklen_t)address->ai_addrlen) != 0) {
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
  for (ssize_t sent = 0, count; sent < length; sent += count) {
    count = send(connection, request + sent, (check_size)(length - sent), MSG_NOSIGNAL);
    if (count <= 0) exit(2);
  }
  free(request);

  size_t capacity = 65536;
  size_t filled = 0;
  char *response = (char *)malloc(capacity);
  for (;;) {
    const ssize_t count = recv(connection, response + filled, (check_size)(capacity - filled - 1), 0);
    if (count <= 0) break;
    filled += (size_t)count;
    if (filled + 1 == capacity) response = (char *)realloc(response, capacity *= 2);
  }
  close_socket(connection);
  response[filled] = '\0';
  const char *start = strstr(response, "\r\n\r\n");
  if (start == NULL || strncmp(response, "HTTP/1.1 2", 10) != 0) {
    fprintf(stderr, "the sandbox rejected %s %s: %s\n", path, body, response);
    exit(2);
  }
  memmove(response, start + 4, strlen(start + 4) + 1);
  return response;
}

/* Sends changes to the control endpoint of the sandbox. Returns the string at the path `wanted` of the
 * response, or NULL if `wanted` is NULL. Free it with free(). */
static inline char *sandbox_control(const char *changes, const char *wanted) {
  char *json = sandbox_send("POST", "/_sandbox/control", changes);
  camunda_value *response = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_value_parse(json, strlen(json), &response, &error));
  free(json);
  const char *text = wanted == NULL ? NULL : camunda_value_str(camunda_value_path(response, wanted), NULL);
  char *copy = text == NULL ? NULL : strdup(text);
  camunda_value_free(response);
  return copy;
}

/* Injects a fault. */
static inline void sandbox_fault(const char *fault) {
  free(sandbox_send("POST", "/_sandbox/faults", fault));
}

/* Removes all faults. */
static inline void sandbox_clear_faults(void) {
  free(sandbox_send("DELETE", "/_sandbox/faults", ""));
}

/* Creates a healthy cluster with these fields. Returns its id. Free it with free(). */
static inline char *sandbox_cluster(const char *fields) {
  const size_t size = strlen(fields) + 32;
  char *changes = (char *)malloc(size);
  snprintf(changes, size, "{\"cluster\":%s}", fields);
  char *uuid = sandbox_control(changes, "uuid");
  free(changes);
  return uuid;
}

/* Returns a counter of the sandbox, for example `token_requests`. */
static inline long long sandbox_count(const char *name) {
  char *json = sandbox_send("GET", "/_sandbox/stats", "");
  camunda_value *stats = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_value_parse(json, strlen(json), &stats, &error));
  free(json);
  const long long count = camunda_value_integer(camunda_value_get(stats, name), -1);
  camunda_value_free(stats);
  return count;
}

/* Creates a client from the environment. Free it with camunda_admin_free(). */
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
