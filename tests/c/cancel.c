/* Ending a call early: from another thread, from a signal handler, by asking the host. */
#include "check.h"

static camunda_admin *admin;
static camunda_cancel *cancel;
static double cancelled_at;

static void *cancel_from_here(void *unused) {
  (void)unused;
  cancelled_at = now();
  camunda_cancel_trigger(cancel);
  return NULL;
}

static void *cancel_once_asked(void *requests) {
  /* The call is under way once the service has seen its request. */
  const long long *wanted = (const long long *)requests;
  const double end = now() + within(10);
  while (sandbox_count("requests") < *wanted && now() < end) pause_briefly();
  return cancel_from_here(NULL);
}

static void on_alarm(int signal_number) {
  (void)signal_number;
  cancelled_at = now();
  camunda_cancel_trigger(cancel);
}

static camunda_call_options *cancellable(void) {
  camunda_call_options *call = camunda_call_options_new();
  camunda_error *error = NULL;
  CHECK_OK(camunda_call_options_set_cancel(call, cancel, &error));
  CHECK_OK(camunda_call_options_set_timeout(call, within(60), &error));
  return call;
}

/* Lists clusters, which takes until it is cancelled from another thread. */
static double stuck_until_cancelled(const camunda_call_options *call) {
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  camunda_cancel_reset(cancel);
  sandbox_fault("{\"operation\":\"GET /clusters\",\"stall\":true}");
  long long wanted = sandbox_count("requests") + 1;
  pthread_t thread;
  pthread_create(&thread, NULL, cancel_once_asked, &wanted);
  CHECK_FAILS(camunda_cluster_list(admin, call, &value, &error), CAMUNDA_STATUS_CANCELLED);
  const double ended = now();
  pthread_join(thread, NULL);
  FORGET(error);
  return ended - cancelled_at;
}

static void from_another_thread(void) {
  camunda_call_options *call = cancellable();
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  IN_TIME(stuck_until_cancelled(call));

  /* It stays cancelled until it is reset; nothing is sent meanwhile. */
  CHECK(camunda_cancel_is_triggered(cancel));
  const long long before = sandbox_count("requests");
  CHECK_FAILS(camunda_cluster_list(admin, call, &value, &error), CAMUNDA_STATUS_CANCELLED);
  CHECK_INT(camunda_error_outcome(error), CAMUNDA_OUTCOME_NOT_SENT);
  CHECK_INT(camunda_error_attempts(error), 0);
  CHECK_INT(sandbox_count("requests"), before);
  FORGET(error);
  camunda_cancel_reset(cancel);
  CHECK(!camunda_cancel_is_triggered(cancel));
  CHECK_OK(camunda_cluster_list(admin, call, &value, &error));
  camunda_value_free(value);
  camunda_call_options_free(call);
}

/* Waits for a cluster that does not get healthy. */
static double waiting_until_cancelled(const camunda_call_options *call, const char *id) {
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  long long wanted = sandbox_count("requests") + 2;
  pthread_t thread;
  pthread_create(&thread, NULL, cancel_once_asked, &wanted);
  CHECK_FAILS(camunda_cluster_wait_until_healthy(admin, call, id, &value, &error),
              CAMUNDA_STATUS_CANCELLED);
  const double ended = now();
  pthread_join(thread, NULL);
  FORGET(error);
  camunda_cancel_reset(cancel);
  return ended - cancelled_at;
}

static void *cancel_and_reset_once_asked(void *requests) {
  cancel_once_asked(requests);
  camunda_cancel_reset(cancel);
  return NULL;
}

/* The call was in progress at the time of the cancellation, so a reset comes too late for it. */
static void and_reset_immediately(void) {
  camunda_call_options *call = cancellable();
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  sandbox_fault("{\"operation\":\"GET /clusters\",\"stall\":true}");
  long long wanted = sandbox_count("requests") + 1;
  pthread_t thread;
  pthread_create(&thread, NULL, cancel_and_reset_once_asked, &wanted);
  CHECK_FAILS(camunda_cluster_list(admin, call, &value, &error), CAMUNDA_STATUS_CANCELLED);
  pthread_join(thread, NULL);
  FORGET(error);
  CHECK(!camunda_cancel_is_triggered(cancel));
  CHECK_OK(camunda_cluster_list(admin, call, &value, &error));
  camunda_value_free(value);
  camunda_call_options_free(call);
}

static void during_a_wait(void) {
  char *id = sandbox_cluster("{\"name\":\"slow\"}");
  char control[256];
  snprintf(control, sizeof control, "{\"status\":{\"cluster\":\"%s\",\"ready\":\"Creating\"}}", id);
  free(sandbox_control(control, NULL));
  camunda_call_options *call = cancellable();
  IN_TIME(waiting_until_cancelled(call, id));
  camunda_call_options_free(call);
  free(id);
}

static double stuck_until_a_signal(const camunda_call_options *call) {
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  sandbox_fault("{\"operation\":\"GET /clusters\",\"stall\":true}");
  alarm(1);
  CHECK_FAILS(camunda_cluster_list(admin, call, &value, &error), CAMUNDA_STATUS_CANCELLED);
  const double ended = now();
  FORGET(error);
  camunda_cancel_reset(cancel);
  /* The signal may have been faster than the request. */
  sandbox_clear_faults();
  return ended - cancelled_at;
}

static void from_a_signal_handler(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_alarm;
  sigaction(SIGALRM, &action, NULL);
  camunda_call_options *call = cancellable();
  IN_TIME(stuck_until_a_signal(call));
  camunda_call_options_free(call);
}

/* A signal that has nothing to do with the call leaves it alone. */
static void an_unrelated_signal_is_no_reason(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_alarm;
  sigaction(SIGALRM, &action, NULL);
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  sandbox_fault("{\"operation\":\"GET /clusters\",\"delay_ms\":1200}");
  alarm(1);
  CHECK_OK(camunda_cluster_list(admin, NULL, &value, &error));
  camunda_value_free(value);
  camunda_cancel_reset(cancel);
}

static int32_t ask(void *user) {
  int *asked = (int *)user;
  return ++*asked >= 3;
}

static double stuck_until_asked(const camunda_call_options *call, int *asked) {
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  *asked = 0;
  sandbox_fault("{\"operation\":\"GET /clusters\",\"stall\":true}");
  const double start = now();
  CHECK_FAILS(camunda_cluster_list(admin, call, &value, &error), CAMUNDA_STATUS_CANCELLED);
  const double took = now() - start;
  CHECK_INT(*asked, 3);
  FORGET(error);
  sandbox_clear_faults();
  /* It is asked often: three times in this time. */
  return took - 0.1;
}

static void by_asking_the_host(void) {
  camunda_call_options *call = camunda_call_options_new();
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  int asked = 0;
  CHECK_OK(camunda_call_options_set_interrupt_check(call, ask, &asked, &error));
  IN_TIME(stuck_until_asked(call, &asked));
  CHECK_OK(camunda_call_options_set_interrupt_check(call, NULL, NULL, &error));
  CHECK_OK(camunda_cluster_list(admin, call, &value, &error));
  camunda_value_free(value);
  camunda_call_options_free(call);
}

static void the_flag_may_go_before_the_call(void) {
  camunda_cancel *own = camunda_cancel_new();
  camunda_call_options *call = camunda_call_options_new();
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_call_options_set_cancel(call, own, &error));
  camunda_cancel_free(own);
  CHECK_OK(camunda_cluster_list(admin, call, &value, &error));
  camunda_value_free(value);
  CHECK_OK(camunda_call_options_set_cancel(call, NULL, &error));
  camunda_call_options_free(call);
  camunda_cancel_free(NULL);
  camunda_cancel_trigger(NULL);
  camunda_cancel_reset(NULL);
  CHECK(!camunda_cancel_is_triggered(NULL));
}

int main(void) {
  admin = connect_from_env();
  cancel = camunda_cancel_new();
  camunda_value *clusters = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_cluster_list(admin, NULL, &clusters, &error));
  camunda_value_free(clusters);
  RUN(from_another_thread);
  RUN(and_reset_immediately);
  RUN(during_a_wait);
  RUN(from_a_signal_handler);
  RUN(an_unrelated_signal_is_no_reason);
  RUN(by_asking_the_host);
  RUN(the_flag_may_go_before_the_call);
  camunda_cancel_free(cancel);
  camunda_admin_free(admin);
  return check_finish();
}
