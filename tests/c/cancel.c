/* Cancellation of calls: from another thread, from a signal handler and by an interrupt check. */
#include "check.h"

static camunda_admin *admin;
static camunda_cancel *cancel;
static double cancelled_at;

static void *trigger_cancel(void *unused) {
  (void)unused;
  cancelled_at = now();
  camunda_cancel_trigger(cancel);
  return NULL;
}

static void *cancel_after_requests(void *requests) {
  /* The call is in progress when the sandbox has received its request. */
  const long long *wanted = (const long long *)requests;
  const double end = now() + within(10);
  while (sandbox_count("requests") < *wanted && now() < end) pause_briefly();
  return trigger_cancel(NULL);
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

/* Lists clusters and cancels the call from another thread. Returns the delay of the cancellation. */
static double stuck_until_cancelled(const camunda_call_options *call) {
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  camunda_cancel_reset(cancel);
  sandbox_fault("{\"operation\":\"GET /clusters\",\"stall\":true}");
  long long wanted = sandbox_count("requests") + 1;
  pthread_t thread;
  pthread_create(&thread, NULL, cancel_after_requests, &wanted);
  CHECK_FAILS(camunda_cluster_list(admin, call, &value, &error), CAMUNDA_STATUS_CANCELLED);
  const double ended = now();
  pthread_join(thread, NULL);
  FREE_ERROR(error);
  return ended - cancelled_at;
}

static void call_is_cancelled_from_another_thread(void) {
  camunda_call_options *call = cancellable();
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  IN_TIME(stuck_until_cancelled(call));

  /* Until the handle is reset, calls are cancelled and send nothing. */
  CHECK(camunda_cancel_is_triggered(cancel));
  const long long before = sandbox_count("requests");
  CHECK_FAILS(camunda_cluster_list(admin, call, &value, &error), CAMUNDA_STATUS_CANCELLED);
  CHECK_INT(camunda_error_outcome(error), CAMUNDA_OUTCOME_NOT_SENT);
  CHECK_INT(camunda_error_attempts(error), 0);
  CHECK_INT(sandbox_count("requests"), before);
  FREE_ERROR(error);
  camunda_cancel_reset(cancel);
  CHECK(!camunda_cancel_is_triggered(cancel));
  CHECK_OK(camunda_cluster_list(admin, call, &value, &error));
  camunda_value_free(value);
  camunda_call_options_free(call);
}

/* Waits for a cluster that never becomes healthy. Returns the delay of the cancellation. */
static double waiting_until_cancelled(const camunda_call_options *call, const char *id) {
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  long long wanted = sandbox_count("requests") + 2;
  pthread_t thread;
  pthread_create(&thread, NULL, cancel_after_requests, &wanted);
  CHECK_FAILS(camunda_cluster_wait_until_healthy(admin, call, id, &value, &error),
              CAMUNDA_STATUS_CANCELLED);
  const double ended = now();
  pthread_join(thread, NULL);
  FREE_ERROR(error);
  camunda_cancel_reset(cancel);
  return ended - cancelled_at;
}

static void *cancel_and_reset_after_requests(void *requests) {
  cancel_after_requests(requests);
  camunda_cancel_reset(cancel);
  return NULL;
}

/* A reset does not affect calls that were in progress during the cancellation. */
static void call_is_cancelled_when_handle_is_reset_immediately(void) {
  camunda_call_options *call = cancellable();
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  sandbox_fault("{\"operation\":\"GET /clusters\",\"stall\":true}");
  long long wanted = sandbox_count("requests") + 1;
  pthread_t thread;
  pthread_create(&thread, NULL, cancel_and_reset_after_requests, &wanted);
  CHECK_FAILS(camunda_cluster_list(admin, call, &value, &error), CAMUNDA_STATUS_CANCELLED);
  pthread_join(thread, NULL);
  FREE_ERROR(error);
  CHECK(!camunda_cancel_is_triggered(cancel));
  CHECK_OK(camunda_cluster_list(admin, call, &value, &error));
  camunda_value_free(value);
  camunda_call_options_free(call);
}

static void waiter_is_cancelled_from_another_thread(void) {
  char *id = sandbox_cluster("{\"name\":\"slow\"}");
  char control[256];
  snprintf(control, sizeof control, "{\"status\":{\"cluster\":\"%s\",\"ready\":\"Creating\"}}", id);
  free(sandbox_control(control, NULL));
  camunda_call_options *call = cancellable();
  IN_TIME(waiting_until_cancelled(call, id));
  camunda_call_options_free(call);
  free(id);
}

static void *list_and_wait_for_cancel(void *status) {
  camunda_value *value = NULL;
  *(camunda_status *)status = camunda_cluster_list(admin, NULL, &value, NULL);
  camunda_value_free(value);
  const double end = now() + within(10);
  while (now() < end) pause_briefly();
  return NULL;
}

static void call_completes_on_a_thread_that_is_cancelled(void) {
  const long long wanted = sandbox_count("requests") + 1;
  sandbox_fault("{\"operation\":\"GET /clusters\",\"delay_ms\":300}");
  camunda_status status = CAMUNDA_STATUS_INTERNAL;
  pthread_t thread;
  pthread_create(&thread, NULL, list_and_wait_for_cancel, &status);
  const double end = now() + within(10);
  while (sandbox_count("requests") < wanted && now() < end) pause_briefly();
  pthread_cancel(thread);
  void *result = NULL;
  pthread_join(thread, &result);
  CHECK_INT(status, CAMUNDA_STATUS_OK);
  CHECK(result == PTHREAD_CANCELED);
}

static double stuck_until_a_signal(const camunda_call_options *call) {
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  sandbox_fault("{\"operation\":\"GET /clusters\",\"stall\":true}");
  alarm(1);
  CHECK_FAILS(camunda_cluster_list(admin, call, &value, &error), CAMUNDA_STATUS_CANCELLED);
  const double ended = now();
  FREE_ERROR(error);
  camunda_cancel_reset(cancel);
  /* The signal may have arrived before the request was sent. */
  sandbox_clear_faults();
  return ended - cancelled_at;
}

static void call_is_cancelled_from_a_signal_handler(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_alarm;
  sigaction(SIGALRM, &action, NULL);
  camunda_call_options *call = cancellable();
  IN_TIME(stuck_until_a_signal(call));
  camunda_call_options_free(call);
}

/* The handle that the signal triggers is not an option of the call. */
static void call_continues_after_an_unrelated_signal(void) {
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

static int32_t interrupt_on_third_check(void *user) {
  int *checks = (int *)user;
  return ++*checks >= 3;
}

static double stuck_until_interrupted(const camunda_call_options *call, int *checks) {
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  *checks = 0;
  sandbox_fault("{\"operation\":\"GET /clusters\",\"stall\":true}");
  const double start = now();
  CHECK_FAILS(camunda_cluster_list(admin, call, &value, &error), CAMUNDA_STATUS_CANCELLED);
  const double took = now() - start;
  CHECK_INT(*checks, 3);
  FREE_ERROR(error);
  sandbox_clear_faults();
  /* Three checks within 0.1 s. */
  return took - 0.1;
}

static void call_is_cancelled_by_interrupt_check(void) {
  camunda_call_options *call = camunda_call_options_new();
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  int checks = 0;
  CHECK_OK(camunda_call_options_set_interrupt_check(call, interrupt_on_third_check, &checks, &error));
  IN_TIME(stuck_until_interrupted(call, &checks));
  CHECK_OK(camunda_call_options_set_interrupt_check(call, NULL, NULL, &error));
  CHECK_OK(camunda_cluster_list(admin, call, &value, &error));
  camunda_value_free(value);
  camunda_call_options_free(call);
}

static void handle_may_be_freed_before_the_call(void) {
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
  RUN(call_is_cancelled_from_another_thread);
  RUN(call_is_cancelled_when_handle_is_reset_immediately);
  RUN(waiter_is_cancelled_from_another_thread);
  RUN(call_completes_on_a_thread_that_is_cancelled);
  RUN(call_is_cancelled_from_a_signal_handler);
  RUN(call_continues_after_an_unrelated_signal);
  RUN(call_is_cancelled_by_interrupt_check);
  RUN(handle_may_be_freed_before_the_call);
  camunda_cancel_free(cancel);
  camunda_admin_free(admin);
  return check_finish();
}
