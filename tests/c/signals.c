/* Continuous signals, with and without SA_RESTART: they do not disturb any phase of a call, and a
 * signal handler can cancel the call in each phase. The library raises no SIGPIPE. */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/file.h>

/* Number of signals that a stuck call receives, 2 ms apart, before it is cancelled or released. */
enum { ENOUGH = 50 };

static camunda_admin *admin;
static camunda_cancel *cancel;
static pthread_t caller;
static atomic_bool bombarded;
/* Whether the call is stuck in the phase under test, and the number of signals received since. */
static atomic_bool stuck;
static atomic_int received;
static atomic_bool over;
/* The number of the signal that cancels the call; 0 if none does. */
static int cancelling;
static double cancelled_at;

/* ---- Phases: how to make a call hang, forever or temporarily, and how to detect that it does ---- */

/* The value of the counter that the phase increments, before the call. */
static long long before;

static bool request_arrived(void) { return sandbox_count("requests") > before; }

static void wait_for_response(bool forever) {
  before = sandbox_count("requests");
  sandbox_fault(forever ? "{\"operation\":\"GET /clusters\",\"stall\":true}"
                         : "{\"operation\":\"GET /clusters\",\"delay_ms\":200}");
}

static void read_body(bool forever) {
  before = sandbox_count("requests");
  /* An empty list has two bytes. */
  sandbox_fault(forever ? "{\"operation\":\"GET /clusters\",\"cut_body\":1,\"stall\":true}"
                         : "{\"operation\":\"GET /clusters\",\"slow_body\":100}");
}

static long long retries(void) {
  camunda_value *stats = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_admin_stats(admin, &stats, &error));
  const long long count = camunda_value_integer(camunda_value_get(stats, "retries"), -1);
  camunda_value_free(stats);
  return count;
}

static void back_off(bool forever) {
  before = retries();
  sandbox_fault(forever ? "{\"operation\":\"GET /clusters\",\"status\":503,"
                           "\"headers\":{\"retry-after\":\"15\"}}"
                         : "{\"operation\":\"GET /clusters\",\"status\":503}");
}

static bool retry_is_scheduled(void) { return retries() > before; }

static void wait_for_token(bool forever) {
  before = sandbox_count("token_requests");
  free(sandbox_control("{\"revoke_tokens\":true}", NULL));
  /* The rate limit delays the token request. */
  sandbox_fault(forever ? "{\"operation\":\"token\",\"stall\":true}"
                         : "{\"operation\":\"token\",\"delay_ms\":200}");
}

static bool token_request_arrived(void) { return sandbox_count("token_requests") > before; }

static int token_lock = -1;

/* Holds the lock of the token, as another process could. */
static void wait_for_lock(bool forever) {
  (void)forever;
  const char *folder = variable("CAMUNDA_TOKEN_CACHE_DIR");
  DIR *entries = opendir(folder);
  CHECK(entries != NULL);
  for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;) {
    if (strncmp(entry->d_name, "token-", 6) == 0 && strstr(entry->d_name, ".lock") != NULL) {
      char path[1024];
      snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
      token_lock = open(path, O_RDWR | O_CLOEXEC);
    }
  }
  if (entries != NULL) closedir(entries);
  CHECK(token_lock >= 0 && flock(token_lock, LOCK_EX | LOCK_NB) == 0);
  free(sandbox_control("{\"revoke_tokens\":true}", NULL));
}

/* The call needs a token, and only the lock delays it. */
static bool waits_for_lock(void) {
  camunda_value *diagnostics = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_admin_diagnostics(admin, &diagnostics, &error));
  const char *state = camunda_value_str(camunda_value_path(diagnostics, "tokens.0.state"), NULL);
  const bool waits = state != NULL && strcmp(state, "fetching") == 0;
  camunda_value_free(diagnostics);
  return waits;
}

static void release_lock(void) {
  flock(token_lock, LOCK_UN);
  close(token_lock);
  token_lock = -1;
}

static camunda_status list_clusters_of(const camunda_admin *of, const camunda_call_options *call,
                                       camunda_error **error) {
  camunda_value *value = NULL;
  const camunda_status status = camunda_cluster_list(of, call, &value, error);
  camunda_value_free(value);
  return status;
}

static camunda_status list_clusters(const camunda_call_options *call, camunda_error **error) {
  return list_clusters_of(admin, call, error);
}

/* Creates a client for a local port. Free it with camunda_admin_free(). */
static camunda_admin *client_of(const char *scheme, int port) {
  char url[64];
  snprintf(url, sizeof url, "%s://127.0.0.1:%d", scheme, port);
  camunda_config *config = NULL;
  camunda_admin *of = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_config_from_env(&config, &error));
  CHECK_OK(camunda_config_set(config, "base_url", url, &error));
  CHECK_OK(camunda_admin_new(config, &of, &error));
  camunda_config_free(config);
  return of;
}

/* Returns a listening socket and stores its port. */
static int listener(int backlog, int *port) {
  struct sockaddr_in address;
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  const int small = 4096;
  const int socket_ = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0);
  CHECK(bind(socket_, (struct sockaddr *)&address, length) == 0);
  CHECK(listen(socket_, backlog) == 0);
  CHECK(getsockname(socket_, (struct sockaddr *)&address, &length) == 0);
  *port = ntohs(address.sin_port);
  return socket_;
}

/* A port whose accept queue, of one connection, is full. */
static int full_listener, full_connection, full_port;
static camunda_admin *nowhere;

/* Returns whether /proc/net/tcp has an entry of this format with the full port; true if the file does not
 * exist. */
static bool listed(const char *format) {
  FILE *sockets = fopen("/proc/net/tcp", "r");
  if (sockets == NULL) return true;
  char wanted[80], line[512];
  bool found = false;
  snprintf(wanted, sizeof wanted, format, (unsigned)full_port);
  while (fgets(line, sizeof line, sockets) != NULL) found = found || strstr(line, wanted) != NULL;
  fclose(sockets);
  return found;
}

static void fill_a_port(void) {
  full_listener = listener(0, &full_port);
  struct sockaddr_in address;
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons((uint16_t)full_port);
  full_connection = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(connect(full_connection, (struct sockaddr *)&address, sizeof address) == 0);
  EVENTUALLY(listed(" 0100007F:%04X 00000000:0000 0A 00000000:00000001 "));
  nowhere = client_of("http", full_port);
}

static bool connects(void) { return listed(" 0100007F:%04X 02 "); }

static camunda_status connect_to_full_port(const camunda_call_options *call, camunda_error **error) {
  return list_clusters_of(nowhere, call, error);
}

/* A server that reads nothing, and its connection. */
static int silent_listener, silent_connection = -1;
static camunda_admin *silent, *silent_with_tls;

static bool bytes_arrived(void) {
  char byte;
  if (silent_connection < 0) silent_connection = accept(silent_listener, NULL, NULL);
  return silent_connection >= 0 && recv(silent_connection, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

static camunda_status start_tls_with_silent_server(const camunda_call_options *call, camunda_error **error) {
  return list_clusters_of(silent_with_tls, call, error);
}

/* Sends more than the socket buffers of a server that does not read can hold. */
static camunda_status send_much(const camunda_admin *of, int32_t idempotency,
                                const camunda_call_options *call, camunda_error **error) {
  /* More than the kernel buffers, which is at most 4 MiB by default. */
  enum { MUCH = 5 << 20 };
  char *json = (char *)malloc(MUCH);
  memset(json, 'x', MUCH);
  json[0] = json[MUCH - 1] = '"';
  camunda_value *value = NULL;
  const camunda_status status =
      camunda_request(of, call, idempotency, "PUT", "/much", json, MUCH, &value, error);
  camunda_value_free(value);
  free(json);
  return status;
}

static camunda_status send_to_silent_server(const camunda_call_options *call, camunda_error **error) {
  return send_much(silent, CAMUNDA_IDEMPOTENCY_IDEMPOTENT, call, error);
}

static char *unfinished;

static void wait_for_nothing(bool forever) {
  (void)forever;
  before = sandbox_count("requests");
}

static camunda_status wait_for_health(const camunda_call_options *call, camunda_error **error) {
  camunda_value *value = NULL;
  const camunda_status status =
      camunda_cluster_wait_until_healthy(admin, call, unfinished, &value, error);
  camunda_value_free(value);
  return status;
}

static const struct phase {
  const char *name;
  void (*begin)(bool forever);
  camunda_status (*call)(const camunda_call_options *, camunda_error **);
  bool (*reached)(void);
  /* What ends the phase: a response, the release of the lock after ENOUGH signals, or the deadline. */
  enum { RESPONSE, RELEASE, DEADLINE } end;
} phases[] = {
    {"waiting for the response", wait_for_response, list_clusters, request_arrived, RESPONSE},
    {"reading", read_body, list_clusters, request_arrived, RESPONSE},
    {"backing off", back_off, list_clusters, retry_is_scheduled, RESPONSE},
    {"waiting for a token", wait_for_token, list_clusters, token_request_arrived, RESPONSE},
    {"waiting for a lock", wait_for_lock, list_clusters, waits_for_lock, RELEASE},
    {"connecting", NULL, connect_to_full_port, connects, DEADLINE},
    {"shaking hands", NULL, start_tls_with_silent_server, bytes_arrived, DEADLINE},
    {"sending", NULL, send_to_silent_server, bytes_arrived, DEADLINE},
    /* Last, because it leaves a cluster behind. */
    {"waiting for health", wait_for_nothing, wait_for_health, request_arrived, DEADLINE},
};

/* ---- Signals ---- */

static void on_signal(int signal_number) {
  (void)signal_number;
  atomic_store(&bombarded, true);
  if (atomic_load(&stuck) && atomic_fetch_add(&received, 1) + 1 == cancelling) {
    cancelled_at = now();
    camunda_cancel_trigger(cancel);
  }
}

static void *bombard(void *argument) {
  const struct phase *phase = (const struct phase *)argument;
  bool released = phase->end != RELEASE || cancelling > 0;
  while (!atomic_load(&over)) {
    pthread_kill(caller, SIGUSR1);
    if (!atomic_load(&stuck)) atomic_store(&stuck, phase->reached());
    if (!released && atomic_load(&received) >= ENOUGH) {
      released = true;
      release_lock();
    }
    pause_briefly();
  }
  return NULL;
}

/* Timeout of calls that only their deadline ends, in seconds. On a loaded machine it is doubled until
 * the call reaches its phase before the deadline. */
static double short_timeout = 0.5;

/* Makes the call of a phase during continuous signals. Returns the seconds by which it returned late. */
static double run_phase(const struct phase *phase, int flags, bool cancels) {
  check_case = phase->name;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  action.sa_flags = flags;
  sigaction(SIGUSR1, &action, NULL);
  atomic_store(&bombarded, false);
  atomic_store(&stuck, false);
  atomic_store(&received, 0);
  atomic_store(&over, false);
  cancelling = cancels ? ENOUGH : 0;

  camunda_call_options *call = camunda_call_options_new();
  camunda_error *error = NULL;
  /* Requests a token if the previous phase left none. */
  CHECK_OK(list_clusters(NULL, &error));
  const bool ends_by_deadline = phase->end == DEADLINE && !cancels;
  const double timeout = ends_by_deadline ? short_timeout : within(50);
  CHECK_OK(camunda_call_options_set_timeout(call, timeout, &error));
  CHECK_OK(camunda_call_options_set_cancel(call, cancel, &error));
  if (phase->begin != NULL) phase->begin(cancels);
  pthread_t thread;
  pthread_create(&thread, NULL, bombard, (void *)phase);
  while (!atomic_load(&bombarded)) pause_briefly();
  const double start = now();
  const camunda_status status = phase->call(call, &error);
  const double ended = now();
  const bool was_stuck = atomic_load(&stuck);
  atomic_store(&over, true);
  pthread_join(thread, NULL);

  double late = 0;
  if (cancels) {
    CHECK_INT(status, CAMUNDA_STATUS_CANCELLED);
    late = ended - cancelled_at;
    camunda_cancel_reset(cancel);
    if (phase->end == RELEASE) release_lock();
  } else if (ends_by_deadline) {
    CHECK_INT(status, CAMUNDA_STATUS_TIMEOUT);
    CHECK(ended - start >= timeout);
    late = was_stuck ? ended - start - timeout : HUGE_VAL;
    if (!was_stuck && short_timeout < 60) short_timeout *= 2;
  } else {
    CHECK_INT(status, CAMUNDA_STATUS_OK);
  }
  while (silent_connection >= 0 || (silent_connection = accept(silent_listener, NULL, NULL)) >= 0) {
    close(silent_connection);
    silent_connection = -1;
  }
  if (check_failures > 0 && error != NULL) fprintf(stderr, "%s\n", camunda_error_message(error));
  camunda_error_free(error);
  camunda_call_options_free(call);
  sandbox_clear_faults();
  return late;
}

/* ---- SIGPIPE ---- */

static atomic_int broken_pipes;

static void on_broken_pipe(int signal_number) {
  (void)signal_number;
  atomic_fetch_add(&broken_pipes, 1);
}

/* Accepts a connection, and closes it for writing, then for reading, while the client sends: a client that
 * continues then gets EPIPE. */
static void *close_while_receiving(void *argument) {
  const int connection = accept(*(const int *)argument, NULL, NULL);
  char byte;
  CHECK(connection >= 0 && recv(connection, &byte, 1, 0) == 1);
  CHECK(shutdown(connection, SHUT_WR) == 0);
  close(connection);
  return NULL;
}

static void closed_connection_raises_no_sigpipe(void) {
  check_case = "closed connection";
  signal(SIGPIPE, on_broken_pipe);
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  close(pair[1]);
  CHECK(send(pair[0], "x", 1, 0) == -1);
  CHECK_INT(atomic_load(&broken_pipes), 1);
  close(pair[0]);

  int port;
  int closing = listener(1, &port);
  camunda_admin *client = client_of("http", port);
  pthread_t thread;
  pthread_create(&thread, NULL, close_while_receiving, &closing);
  camunda_error *error = NULL;
  CHECK_FAILS(send_much(client, CAMUNDA_IDEMPOTENCY_NON_IDEMPOTENT, NULL, &error),
              CAMUNDA_STATUS_NETWORK);
  CHECK_INT(camunda_error_outcome(error), CAMUNDA_OUTCOME_UNKNOWN);
  camunda_error_free(error);
  pthread_join(thread, NULL);
  CHECK_INT(atomic_load(&broken_pipes), 1);
  signal(SIGPIPE, SIG_DFL);
  close(closing);
  camunda_admin_free(client);
}

int main(void) {
  admin = connect_from_env();
  cancel = camunda_cancel_new();
  caller = pthread_self();
  camunda_error *error = NULL;
  CHECK_OK(list_clusters(NULL, &error));
  fill_a_port();
  int port;
  silent_listener = listener(16, &port);
  CHECK(fcntl(silent_listener, F_SETFL, O_NONBLOCK) == 0);
  silent = client_of("http", port);
  silent_with_tls = client_of("https", port);
  const size_t count = sizeof phases / sizeof *phases;
  const int flags[] = {0, SA_RESTART};
  for (size_t i = 0; i < count; i++) {
    if (phases[i].call == wait_for_health) {
      unfinished = sandbox_cluster("{}");
      char control[256];
      snprintf(control, sizeof control,
               "{\"status\":{\"cluster\":\"%s\",\"ready\":\"Creating\"}}", unfinished);
      free(sandbox_control(control, NULL));
    }
    for (size_t j = 0; j < 2; j++) IN_TIME(run_phase(&phases[i], flags[j], false));
    IN_TIME(run_phase(&phases[i], flags[i % 2], true));
  }
  closed_connection_raises_no_sigpipe();
  free(unfinished);
  close(silent_listener);
  close(full_connection);
  close(full_listener);
  camunda_cancel_free(cancel);
  camunda_admin_free(silent);
  camunda_admin_free(silent_with_tls);
  camunda_admin_free(nowhere);
  camunda_admin_free(admin);
  return check_finish();
}
