/* Process exit while threads are in calls, waiters and callbacks: the process must exit promptly with
 * its own exit status and must not crash. Each test case runs in a new process of this program, with its
 * name as the argument. */
#include "check.h"

#include <errno.h>
#include <sys/wait.h>

#define THREADS 4
/* The expected exit status of each test case. */
#define STATUS 7

static camunda_admin *admin;
static char *stuck;
/* Incremented by each thread that has reached the state that the test case requires. */
static volatile sig_atomic_t reached;
static pthread_mutex_t reached_lock = PTHREAD_MUTEX_INITIALIZER;

static void reach(void) {
  pthread_mutex_lock(&reached_lock);
  ++reached;
  pthread_mutex_unlock(&reached_lock);
}

static void wait_until_reached(int count) {
  const double end = now() + within(20);
  while (reached < count && now() < end) pause_briefly();
  if (reached < count) {
    fprintf(stderr, "only %d of the threads reached the required state\n", (int)reached);
    _exit(3);
  }
}

static void start(void *(*run)(void *), int threads) {
  for (int i = 0; i < threads; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, NULL) != 0) _exit(3);
    pthread_detach(thread);
  }
}

static void block_forever(void) {
  for (;;) pause();
}

/* ---- Threads ---- */

static void on_progress(void *user, const camunda_value *resource) {
  (void)user;
  (void)resource;
  reach();
}

static void *wait_for_health(void *unused) {
  (void)unused;
  camunda_call_options *call = camunda_call_options_new();
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_call_options_set_max_poll_interval(call, 0.02, &error));
  CHECK_OK(camunda_call_options_set_progress(call, on_progress, NULL, &error));
  (void)!camunda_cluster_wait_until_healthy(admin, call, stuck, &value, &error);
  block_forever();
  return NULL;
}

static void *get_repeatedly(void *unused) {
  (void)unused;
  for (;;) {
    camunda_value *value = NULL;
    camunda_error *error = NULL;
    (void)!camunda_cluster_get(admin, NULL, stuck, &value, &error);
    camunda_value_free(value);
    camunda_error_free(error);
    reach();
  }
  return NULL;
}

static void on_progress_block(void *user, const camunda_value *resource) {
  (void)user;
  (void)resource;
  reach();
  block_forever();
}

static void *wait_and_block_in_a_callback(void *unused) {
  (void)unused;
  camunda_call_options *call = camunda_call_options_new();
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_call_options_set_progress(call, on_progress_block, NULL, &error));
  (void)!camunda_cluster_wait_until_healthy(admin, call, stuck, &value, &error);
  return NULL;
}

/* ---- Clients ---- */

static char log_text[4096];

static void on_log(void *user, int32_t level, const char *target, const char *message) {
  (void)user;
  (void)level;
  (void)target;
  snprintf(log_text, sizeof log_text, "%s", message);
}

static int32_t block_in_get(void *user, const char *name, camunda_write_fn write, void *value) {
  (void)user;
  (void)name;
  (void)write;
  (void)value;
  reach();
  block_forever();
  return 0;
}

static int32_t no_put(void *user, const char *name, const char *data, size_t len, uint64_t ttl_ms) {
  (void)user;
  (void)name;
  (void)data;
  (void)len;
  (void)ttl_ms;
  return EIO;
}

static int32_t no_lock(void *user, const char *name, uint64_t lease_ms, void **lock) {
  (void)user;
  (void)name;
  (void)lease_ms;
  (void)lock;
  return EIO;
}

static void no_unlock(void *user, void *lock) {
  (void)user;
  (void)lock;
}

static camunda_shutdown *shutdown_handle;

/* Creates a client with a log callback and, if `store` is not NULL, with a token store. Uses
 * `shutdown_handle` if it is not NULL. */
static void connect_with(const camunda_token_store *store) {
  camunda_config *config = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_config_from_env(&config, &error));
  CHECK_OK(camunda_config_set_log(config, CAMUNDA_LOG_TRACE, on_log, NULL, &error));
  CHECK_OK(camunda_config_set_shutdown(config, shutdown_handle, &error));
  if (store != NULL) CHECK_OK(camunda_config_set_token_store(config, store, NULL, &error));
  CHECK_OK(camunda_admin_new(config, &admin, &error));
  camunda_config_free(config);
}

/* ---- Test cases: each returns the exit status or exits with it ---- */

static int exit_during_waits(void) {
  connect_with(NULL);
  start(wait_for_health, THREADS);
  wait_until_reached(2 * THREADS);
  exit(STATUS);
}

static int return_during_gets(void) {
  connect_with(NULL);
  start(get_repeatedly, THREADS);
  wait_until_reached(2 * THREADS);
  return STATUS;
}

static void on_progress_exit(void *user, const camunda_value *resource) {
  (void)user;
  (void)resource;
  exit(STATUS);
}

static int exit_inside_a_callback(void) {
  connect_with(NULL);
  start(get_repeatedly, THREADS);
  wait_until_reached(THREADS);
  camunda_call_options *call = camunda_call_options_new();
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_call_options_set_progress(call, on_progress_exit, NULL, &error));
  (void)!camunda_cluster_wait_until_healthy(admin, call, stuck, &value, &error);
  return 3;
}

static void on_signal_exit(int signal_number) {
  (void)signal_number;
  exit(STATUS);
}

static void *signal_after_requests(void *requests) {
  const double end = now() + within(10);
  while (sandbox_count("requests") < *(long long *)requests && now() < end) pause_briefly();
  kill(getpid(), SIGTERM);
  return NULL;
}

static int exit_in_a_signal_handler(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal_exit;
  sigaction(SIGTERM, &action, NULL);
  connect_with(NULL);
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_cluster_list(admin, NULL, &value, &error));
  camunda_value_free(value);
  sandbox_fault("{\"operation\":\"GET /clusters\",\"stall\":true}");
  long long wanted = sandbox_count("requests") + 1;
  pthread_t thread;
  pthread_create(&thread, NULL, signal_after_requests, &wanted);
  (void)!camunda_cluster_list(admin, NULL, &value, &error);
  return 3;
}

static int exit_during_a_token_store(void) {
  static const camunda_token_store store = {
      sizeof store, block_in_get, no_put, no_lock, no_unlock, NULL, NULL, NULL};
  connect_with(&store);
  start(get_repeatedly, THREADS);
  wait_until_reached(1);
  exit(STATUS);
}

/* Makes a call: also in an atexit() handler, after the thread-local variables are destroyed. */
static void list_at_exit(void) {
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  const camunda_status status = camunda_cluster_list(admin, NULL, &value, &error);
  if (status != CAMUNDA_STATUS_OK) {
    fprintf(stderr, "at exit: %s\n", camunda_error_message(error));
    _exit(3);
  }
  camunda_value_free(value);
}

static int call_in_an_exit_handler(void) {
  atexit(list_at_exit);
  connect_with(NULL);
  list_at_exit();
  start(wait_for_health, THREADS);
  wait_until_reached(THREADS);
  exit(STATUS);
}

static pthread_key_t thread_data;

static void list_at_thread_end(void *data) {
  (void)data;
  list_at_exit();
  reach();
}

static void *list_then_end(void *unused) {
  (void)unused;
  pthread_setspecific(thread_data, &thread_data);
  list_at_exit();
  return NULL;
}

static int call_at_the_end_of_threads(void) {
  CHECK(pthread_key_create(&thread_data, list_at_thread_end) == 0);
  connect_with(NULL);
  start(list_then_end, THREADS);
  wait_until_reached(THREADS);
  return check_failures == 0 ? STATUS : 3;
}

/* ---- Shutdown of clients ---- */

static volatile sig_atomic_t cancelled;

static void *wait_until_shut_down(void *unused) {
  (void)unused;
  camunda_call_options *call = camunda_call_options_new();
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_call_options_set_max_poll_interval(call, 0.02, &error));
  CHECK_OK(camunda_call_options_set_progress(call, on_progress, NULL, &error));
  CHECK_FAILS(camunda_cluster_wait_until_healthy(admin, call, stuck, &value, &error),
              CAMUNDA_STATUS_CANCELLED);
  CHECK(camunda_shutdown_stops_calls(shutdown_handle));
  FREE_ERROR(error);
  /* A new call sends nothing. */
  CHECK_FAILS(camunda_cluster_get(admin, NULL, stuck, &value, &error), CAMUNDA_STATUS_CANCELLED);
  CHECK_PART(camunda_error_message(error), "shut down");
  FREE_ERROR(error);
  camunda_call_options_free(call);
  pthread_mutex_lock(&reached_lock);
  ++cancelled;
  pthread_mutex_unlock(&reached_lock);
  return NULL;
}

static int shutdown_ends_calls(void) {
  shutdown_handle = camunda_shutdown_new();
  connect_with(NULL);
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, wait_until_shut_down, NULL);
  wait_until_reached(2 * THREADS);
  CHECK(!camunda_shutdown_stops_calls(shutdown_handle));
  CHECK(camunda_shutdown_start(shutdown_handle, within(5)));
  /* No callback is called after this point. */
  const int before = reached;
  CHECK(!camunda_shutdown_stops_calls(shutdown_handle));
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  CHECK_INT(reached, before);
  CHECK_INT(cancelled, THREADS);
  /* The thread that started the shutdown can still make calls. */
  list_at_exit();
  CHECK(camunda_shutdown_start(NULL, 1));
  CHECK(!camunda_shutdown_stops_calls(NULL));
  camunda_shutdown_free(NULL);
  camunda_shutdown_free(shutdown_handle);
  camunda_admin_free(admin);
  free(stuck);
  return check_failures == 0 ? STATUS : 3;
}

/* As a language runtime does at exit: unwinds threads inside callbacks with pthread_exit(). */
static volatile sig_atomic_t may_unwind;

static void on_progress_exit_thread(void *user, const camunda_value *resource) {
  (void)user;
  (void)resource;
  reach();
  while (!may_unwind) pause_briefly();
  pthread_exit(NULL);
}

static void *wait_and_exit_thread(void *unused) {
  (void)unused;
  camunda_call_options *call = camunda_call_options_new();
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_call_options_set_progress(call, on_progress_exit_thread, NULL, &error));
  (void)!camunda_cluster_wait_until_healthy(admin, call, stuck, &value, &error);
  _exit(3);
  return NULL;
}

static int exit_while_threads_are_unwound(void) {
  shutdown_handle = camunda_shutdown_new();
  connect_with(NULL);
  start(wait_and_exit_thread, THREADS);
  wait_until_reached(THREADS);
  CHECK(!camunda_shutdown_start(shutdown_handle, 0.05));
  may_unwind = 1;
  /* Gives the threads time to unwind, which must not terminate the process. */
  for (int i = 0; i < 25; i++) pause_briefly();
  return check_failures == 0 ? STATUS : 3;
}

static int exit_inside_blocked_callbacks(void) {
  shutdown_handle = camunda_shutdown_new();
  connect_with(NULL);
  start(wait_and_block_in_a_callback, THREADS);
  wait_until_reached(THREADS);
  CHECK(!camunda_shutdown_start(shutdown_handle, 0.05));
  return check_failures == 0 ? STATUS : 3;
}

static const struct {
  const char *name;
  int (*run)(void);
} cases[] = {
    {"exit_during_waits", exit_during_waits},
    {"return_during_gets", return_during_gets},
    {"exit_inside_a_callback", exit_inside_a_callback},
    {"exit_in_a_signal_handler", exit_in_a_signal_handler},
    {"exit_during_a_token_store", exit_during_a_token_store},
    {"call_in_an_exit_handler", call_in_an_exit_handler},
    {"call_at_the_end_of_threads", call_at_the_end_of_threads},
    {"shutdown_ends_calls", shutdown_ends_calls},
    {"exit_while_threads_are_unwound", exit_while_threads_are_unwound},
    {"exit_inside_blocked_callbacks", exit_inside_blocked_callbacks},
};

/* Runs a test case in a new process. Aborts it after a timeout. */
static void run_case(const char *program, const char *name) {
  const pid_t child = fork();
  if (child == 0) {
    execl(program, program, name, (char *)NULL);
    _exit(4);
  }
  int status = 0;
  const double end = now() + within(30);
  pid_t ended = 0;
  while ((ended = waitpid(child, &status, WNOHANG)) == 0 && now() < end) pause_briefly();
  if (ended == 0) {
    check_fail(__FILE__, __LINE__, "%s hangs", name);
    kill(child, SIGABRT);
    waitpid(child, &status, 0);
    return;
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != STATUS) {
    check_fail(__FILE__, __LINE__, "%s: exit status %d, signal %d", name,
               WIFEXITED(status) ? WEXITSTATUS(status) : -1,
               WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  }
  sandbox_clear_faults();
}

int main(int argc, char **argv) {
  const int rounds = getenv("CHECK_TIMEOUT_FACTOR") == NULL ? 2 : 1;
  stuck = sandbox_cluster("{\"name\":\"stuck\"}");
  char control[256];
  snprintf(control, sizeof control, "{\"status\":{\"cluster\":\"%s\",\"ready\":\"Creating\"}}", stuck);
  free(sandbox_control(control, NULL));
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    check_case = cases[i].name;
    if (argc > 1 && strcmp(argv[1], cases[i].name) == 0) return cases[i].run();
    for (int round = 0; argc == 1 && round < rounds; round++) run_case(argv[0], cases[i].name);
  }
  free(stuck);
  return check_finish();
}
