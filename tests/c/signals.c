/* Signals that come all the time, with and without SA_RESTART: no phase of a call minds them, and in
 * each of them a handler can cancel the call. */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/file.h>

/* So many signals come before a call is cancelled or let go on, two milliseconds apart. */
enum { ENOUGH = 50 };

/* What a call may take once it has to end, a loaded machine being allowed for. */
static double soon(void) { return within(0.1) + 3; }

static camunda_admin *admin;
static camunda_cancel *cancel;
static pthread_t caller;
static atomic_int came;
static atomic_bool over;
/* The signal that cancels; none with 0. */
static int cancelling;
static double cancelled_at;

/* ---- Phases: how to get a call stuck, for good or for a while ---- */

static void wait_for_answer(bool for_good) {
  sandbox_fault(for_good ? "{\"operation\":\"GET /clusters\",\"stall\":true}"
                         : "{\"operation\":\"GET /clusters\",\"delay_ms\":200}");
}

static void read_body(bool for_good) {
  /* An empty list has two bytes. */
  sandbox_fault(for_good ? "{\"operation\":\"GET /clusters\",\"cut_body\":1,\"stall\":true}"
                         : "{\"operation\":\"GET /clusters\",\"slow_body\":100}");
}

static void back_off(bool for_good) {
  sandbox_fault(for_good ? "{\"operation\":\"GET /clusters\",\"status\":503,"
                           "\"headers\":{\"retry-after\":\"15\"}}"
                         : "{\"operation\":\"GET /clusters\",\"status\":503}");
}

static void wait_for_token(bool for_good) {
  free(sandbox_control("{\"revoke_tokens\":true}", NULL));
  /* A turn comes first: requests for tokens keep a distance. */
  sandbox_fault(for_good ? "{\"operation\":\"token\",\"stall\":true}"
                         : "{\"operation\":\"token\",\"delay_ms\":200}");
}

static int token_lock = -1;

/* Holds the lock of the token, as another process would. */
static void wait_for_lock(bool for_good) {
  (void)for_good;
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

static void release_lock(void) {
  flock(token_lock, LOCK_UN);
  close(token_lock);
  token_lock = -1;
}

static camunda_status list_clusters(const camunda_call *call, camunda_error **error) {
  camunda_value *value = NULL;
  const camunda_status status = camunda_cluster_list(admin, call, &value, error);
  camunda_value_free(value);
  return status;
}

static camunda_admin *nowhere;

/* Calls a port with as many connections waiting as it takes. */
static camunda_status connect_in_vain(const camunda_call *call, camunda_error **error) {
  camunda_value *value = NULL;
  const camunda_status status = camunda_cluster_list(nowhere, call, &value, error);
  camunda_value_free(value);
  return status;
}

static char *unfinished;

static camunda_status wait_for_health(const camunda_call *call, camunda_error **error) {
  camunda_value *value = NULL;
  const camunda_status status =
      camunda_cluster_wait_until_healthy(admin, call, unfinished, &value, error);
  camunda_value_free(value);
  return status;
}

static const struct phase {
  const char *name;
  void (*begin)(bool for_good);
  camunda_status (*call)(const camunda_call *, camunda_error **);
  /* What ends it once enough signals have come; without it, and without a begin, the deadline. */
  void (*release)(void);
} phases[] = {
    {"waiting for the answer", wait_for_answer, list_clusters, NULL},
    {"reading", read_body, list_clusters, NULL},
    {"backing off", back_off, list_clusters, NULL},
    {"waiting for a token", wait_for_token, list_clusters, NULL},
    {"waiting for a lock", wait_for_lock, list_clusters, release_lock},
    {"connecting", NULL, connect_in_vain, NULL},
    /* Last, as it leaves a cluster. */
    {"waiting for health", NULL, wait_for_health, NULL},
};

/* ---- Signals ---- */

static void on_signal(int signal_number) {
  (void)signal_number;
  if (atomic_fetch_add(&came, 1) + 1 == cancelling) {
    cancelled_at = now();
    camunda_cancel_trigger(cancel);
  }
}

static void *bombard(void *release) {
  void (*const *hook)(void) = (void (*const *)(void))release;
  bool released = false;
  while (!atomic_load(&over)) {
    pthread_kill(caller, SIGUSR1);
    if (!released && atomic_load(&came) >= ENOUGH && *hook != NULL) {
      released = true;
      (*hook)();
    }
    pause_briefly();
  }
  return NULL;
}

/* Makes the call of a phase while signals come. */
static void meet(const struct phase *phase, int flags, bool cancels) {
  check_case = phase->name;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  action.sa_flags = flags;
  sigaction(SIGUSR1, &action, NULL);
  atomic_store(&came, 0);
  atomic_store(&over, false);
  cancelling = cancels ? ENOUGH : 0;

  camunda_call *call = camunda_call_new();
  camunda_error *error = NULL;
  /* Whatever the phase before left behind: now there is a token. */
  CHECK_OK(list_clusters(NULL, &error));
  const bool ends_by_deadline = phase->begin == NULL && !cancels;
  const double timeout = ends_by_deadline ? 0.5 : within(50);
  CHECK_OK(camunda_call_set_timeout(call, timeout, &error));
  CHECK_OK(camunda_call_set_cancel(call, cancel, &error));
  if (phase->begin != NULL) phase->begin(cancels);
  void (*hook)(void) = cancels ? NULL : phase->release;
  pthread_t thread;
  pthread_create(&thread, NULL, bombard, &hook);
  while (atomic_load(&came) == 0) pause_briefly();
  const double start = now();
  const camunda_status status = phase->call(call, &error);
  const double ended = now();
  atomic_store(&over, true);
  pthread_join(thread, NULL);

  if (cancels) {
    CHECK_INT(status, CAMUNDA_STATUS_CANCELLED);
    CHECK(ended - cancelled_at < soon());
    camunda_cancel_reset(cancel);
    if (phase->release != NULL) phase->release();
  } else if (ends_by_deadline) {
    CHECK_INT(status, CAMUNDA_STATUS_TIMEOUT);
    CHECK(ended - start >= timeout && ended - start < timeout + soon());
  } else {
    CHECK_INT(status, CAMUNDA_STATUS_OK);
  }
  if (check_failures > 0 && error != NULL) fprintf(stderr, "%s\n", camunda_error_message(error));
  camunda_error_free(error);
  camunda_call_free(call);
  sandbox_clear_faults();
}

/* ---- A port that is full ---- */

enum { MOST_WAITING = 16 };
static int sockets[MOST_WAITING + 1];
static int sockets_open;

static void fill_a_port(void) {
  struct sockaddr_in address;
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockets[sockets_open++] = listener;
  CHECK(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 0) == 0);
  CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
  while (sockets_open <= MOST_WAITING) {
    const int waiting = socket(AF_INET, SOCK_STREAM, 0);
    sockets[sockets_open++] = waiting;
    fcntl(waiting, F_SETFL, O_NONBLOCK);
    /* More than fit: those that do not stay unanswered, as that of the library will. */
    connect(waiting, (struct sockaddr *)&address, length);
  }
  char url[64];
  snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(address.sin_port));
  camunda_config *config = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_config_from_env(&config, &error));
  CHECK_OK(camunda_config_set(config, "base_url", url, &error));
  CHECK_OK(camunda_admin_new(config, &nowhere, &error));
  camunda_config_free(config);
}

int main(void) {
  admin = connect_from_env();
  cancel = camunda_cancel_new();
  caller = pthread_self();
  camunda_error *error = NULL;
  CHECK_OK(list_clusters(NULL, &error));
  fill_a_port();
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
    for (size_t j = 0; j < 2; j++) meet(&phases[i], flags[j], false);
    meet(&phases[i], flags[i % 2], true);
  }
  free(unfinished);
  while (sockets_open > 0) close(sockets[--sockets_open]);
  camunda_cancel_free(cancel);
  camunda_admin_free(nowhere);
  camunda_admin_free(admin);
  return check_finish();
}
