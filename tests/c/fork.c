/* fork(): children use new connections, and share the token through the token store. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>

#include "check.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum { CHILDREN = 60, CHILDREN_IF_SLOW = 8, THREADS = 4, CHILD_SECONDS = 30 };

/* The exit status of a child that lacks the permission for its test. */
enum { NOT_ALLOWED = 77 };

static camunda_admin *admin;
static volatile sig_atomic_t stop;

static bool list_clusters(camunda_admin *with) {
  camunda_value *clusters = NULL;
  camunda_error *error = NULL;
  const bool ok = camunda_cluster_list(with, NULL, &clusters, &error) == CAMUNDA_STATUS_OK;
  if (!ok) fprintf(stderr, "%s\n", camunda_error_message(error));
  camunda_error_free(error);
  camunda_value_free(clusters);
  return ok;
}

static void check_child(pid_t child) {
  int status = -1;
  CHECK_INT(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* The parent has no token when it forks; the child reads the one that the parent requests later. */
static void child_reads_token_of_its_parent_from_the_store(void) {
  int ready[2];
  CHECK_INT(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    char byte;
    CHECK_INT(read(ready[0], &byte, 1), 1);
    CHECK(list_clusters(admin));
    camunda_admin_free(admin);
    close(ready[0]);
    close(ready[1]);
    exit(check_finish());
  }
  CHECK(list_clusters(admin));
  CHECK_INT(write(ready[1], "x", 1), 1);
  check_child(child);
  close(ready[0]);
  close(ready[1]);
  CHECK_INT(sandbox_count("token_requests"), 1);
}

/* The parent has an idle connection when it forks. If the child used it as well, responses would be mixed up. */
static void child_opens_new_connections(void) {
  CHECK(list_clusters(admin));
  const long long before = sandbox_count("connections");
  const pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 3; ++i) CHECK(list_clusters(admin));
    /* Grandchildren work as well. */
    const pid_t grandchild = fork();
    if (grandchild == 0) {
      CHECK(list_clusters(admin));
      camunda_admin_free(admin);
      exit(check_finish());
    }
    CHECK(list_clusters(admin));
    check_child(grandchild);
    camunda_admin_free(admin);
    exit(check_finish());
  }
  for (int i = 0; i < 3; ++i) CHECK(list_clusters(admin));
  check_child(child);
  CHECK(list_clusters(admin));
  CHECK_INT(sandbox_count("connections") - before, 2);
  CHECK_INT(sandbox_count("token_requests"), 1);
}

static void *keep_listing(void *unused) {
  (void)unused;
  while (!stop) {
    if (!list_clusters(admin)) return &admin;
  }
  return NULL;
}

/* Forks a child that is killed after a timeout, which fails the parent's check. */
static pid_t fork_with_limit(void) {
  const pid_t child = fork();
  if (child == 0) alarm((unsigned)within(CHILD_SECONDS));
  return child;
}

/* Reports a result and kills the child of a multi-threaded parent. It must not run the leak check:
 * memory of the parent's other threads would count as leaked. */
static void report(int to, bool passed) {
  const char ok = passed ? 'y' : 'n';
  if (write(to, &ok, 1) != 1) _exit(1);
  kill(getpid(), SIGKILL);
}

static void check_report(pid_t child, int result_pipe[2]) {
  close(result_pipe[1]);
  char ok = '-';
  CHECK_INT(read(result_pipe[0], &ok, 1), 1);
  CHECK_INT(ok, 'y');
  close(result_pipe[0]);
  CHECK_INT(waitpid(child, NULL, 0), child);
}

/* Locks that the parent's other threads hold during the fork must not block the child. */
static void child_of_multi_threaded_parent_does_not_hang(void) {
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; ++i) pthread_create(&threads[i], NULL, keep_listing, NULL);
  const int children = getenv("CHECK_TIMEOUT_FACTOR") == NULL ? CHILDREN : CHILDREN_IF_SLOW;
  for (int i = 0; i < children; ++i) {
    int result_pipe[2];
    CHECK_INT(pipe(result_pipe), 0);
    const pid_t child = fork_with_limit();
    if (child == 0) {
      report(result_pipe[1], list_clusters(admin));
    }
    check_report(child, result_pipe);
  }
  stop = 1;
  for (int i = 0; i < THREADS; ++i) {
    void *failed = NULL;
    pthread_join(threads[i], &failed);
    CHECK(failed == NULL);
  }
  /* The second token is that of the client with another scope. */
  CHECK_INT(sandbox_count("token_requests"), 2);
}

/* Returns the number of open lock files of the token cache. */
static int open_locks(void) {
  int count = 0;
  DIR *folder = opendir("/proc/self/fd");
  if (folder == NULL) return 0;
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    char target[512];
    const ssize_t length = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);
    if (length < 5) continue;
    target[length] = '\0';
    if (strcmp(target + length - 5, ".lock") == 0) ++count;
  }
  closedir(folder);
  return count;
}

static void *list_with(void *client) { return list_clusters(client) ? NULL : client; }

/* A daemon closes all inherited descriptors and opens others with the same numbers. */
static void daemonized_child_keeps_the_descriptors_that_it_opened(void) {
  enum { DESCRIPTORS = 200 };
  CHECK(list_clusters(admin));
  camunda_config *config = NULL;
  camunda_admin *fetching = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_config_from_env(&config, &error));
  CHECK_OK(camunda_config_set(config, "scope", "another", &error));
  CHECK_OK(camunda_admin_new(config, &fetching, &error));
  camunda_config_free(config);
  sandbox_fault("{\"operation\":\"token\",\"delay_ms\":1500}");
  pthread_t thread;
  pthread_create(&thread, NULL, list_with, fetching);
  EVENTUALLY(open_locks() > 0);
  int result_pipe[2];
  CHECK_INT(pipe(result_pipe), 0);
  const pid_t child = fork_with_limit();
  if (child == 0) {
    for (int number = 3; number < 1000; ++number) {
      if (number != result_pipe[1]) close(number);
    }
    int opened[DESCRIPTORS];
    for (int i = 0; i < DESCRIPTORS; ++i) opened[i] = open("/dev/null", O_RDONLY);
    CHECK(list_clusters(admin));
    camunda_admin_free(admin);
    for (int i = 0; i < DESCRIPTORS; ++i) CHECK(fcntl(opened[i], F_GETFD) >= 0);
    report(result_pipe[1], check_finish() == 0);
  }
  check_report(child, result_pipe);
  pthread_join(thread, NULL);
  sandbox_clear_faults();
  camunda_admin_free(fetching);
}

static pid_t forked = -1;

static int32_t fork_once(void *unused) {
  (void)unused;
  if (forked < 0) forked = fork_with_limit();
  return 0;
}

/* If a callback forks, the call continues in the parent and is cancelled in the child. */
static void call_is_cancelled_in_child_when_callback_forks(void) {
  camunda_call_options *call = camunda_call_options_new();
  camunda_value *clusters = NULL;
  camunda_error *error = NULL;
  int result_pipe[2];
  CHECK_INT(pipe(result_pipe), 0);
  CHECK_OK(camunda_call_options_set_interrupt_check(call, fork_once, NULL, &error));
  sandbox_fault("{\"operation\":\"GET /clusters\",\"delay_ms\":300}");
  const camunda_status status = camunda_cluster_list(admin, call, &clusters, &error);
  if (forked == 0) {
    CHECK_INT(status, CAMUNDA_STATUS_CANCELLED);
    CHECK_PART(camunda_error_message(error), "forked");
    CHECK(list_clusters(admin));
    report(result_pipe[1], check_finish() == 0);
  }
  CHECK_INT(status, CAMUNDA_STATUS_OK);
  CHECK(forked > 0);
  check_report(forked, result_pipe);
  camunda_value_free(clusters);
  camunda_error_free(error);
  camunda_call_options_free(call);
}

/* Frees the client and exits a child of a single-threaded parent. */
static void end_child(int status) {
  camunda_admin_free(admin);
  _exit(status);
}

/* The first process of a PID namespace and that of a nested one have the same process id. */
static void child_opens_new_connections_in_a_new_pid_namespace(void) {
  const long long before = sandbox_count("connections");
  const pid_t outside = fork_with_limit();
  if (outside == 0) {
    if (unshare(CLONE_NEWPID) != 0) end_child(NOT_ALLOWED);
    const pid_t first = fork_with_limit();
    if (first == 0) {
      CHECK_INT(getpid(), 1);
      CHECK(list_clusters(admin));
      if (unshare(CLONE_NEWPID) != 0) end_child(NOT_ALLOWED);
      const pid_t second = fork_with_limit();
      if (second == 0) {
        CHECK_INT(getpid(), 1);
        CHECK(list_clusters(admin));
        end_child(check_finish());
      }
      check_child(second);
      CHECK(list_clusters(admin));
      end_child(check_finish());
    }
    int status = -1;
    CHECK_INT(waitpid(first, &status, 0), first);
    end_child(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
  }
  int status = -1;
  CHECK_INT(waitpid(outside, &status, 0), outside);
  if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_ALLOWED) {
    printf("%s: skipped, PID namespaces are not permitted\n", check_case);
    return;
  }
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK_INT(sandbox_count("connections") - before, 2);
}

/* A log callback of a program that writes to its standard streams, although it has closed them. Counts the
   streams that are open. */
static void write_to_standard_streams(void *user, int32_t level, const char *target, const char *message) {
  (void)level;
  (void)target;
  (void)message;
  for (int stream = 0; stream < 3; ++stream) {
    if (write(stream, "output\n", 7) >= 0) ++*(int *)user;
  }
}

/* Otherwise the output would be sent to the server, or be written into the file with the credentials. */
static void connections_and_files_do_not_use_closed_standard_streams(void) {
  char *id = sandbox_cluster("{\"name\":\"x\"}");
  char *path = scratch("worker.env");
  const pid_t child = fork_with_limit();
  if (child == 0) {
    int open_streams = 0;
    camunda_config *config = NULL;
    camunda_admin *logging = NULL;
    camunda_value *value = NULL;
    bool ok = true;
    for (int stream = 0; stream < 3; ++stream) close(stream);
    ok &= camunda_config_from_env(&config, NULL) == CAMUNDA_STATUS_OK;
    ok &= camunda_config_set_log(config, CAMUNDA_LOG_DEBUG, write_to_standard_streams, &open_streams, NULL) ==
          CAMUNDA_STATUS_OK;
    ok &= camunda_admin_new(config, &logging, NULL) == CAMUNDA_STATUS_OK;
    ok &= list_clusters(logging);
    const char *body = "{\"clientName\":\"worker\"}";
    ok &= camunda_cluster_client_create_env_file(logging, NULL, id, body, strlen(body), path, &value, NULL) ==
          CAMUNDA_STATUS_OK;
    camunda_value_free(value);
    camunda_admin_free(logging);
    camunda_config_free(config);
    end_child(!ok ? 1 : open_streams > 0 ? 2 : 0);
  }
  check_child(child);
  unlink(path);
  free(path);
  free(id);
}

int main(void) {
  admin = connect_from_env();
  RUN(child_reads_token_of_its_parent_from_the_store);
  RUN(child_opens_new_connections);
  RUN(call_is_cancelled_in_child_when_callback_forks);
  RUN(child_opens_new_connections_in_a_new_pid_namespace);
  RUN(connections_and_files_do_not_use_closed_standard_streams);
  if (SANITIZED) {
    /* Other threads can hold locks of AddressSanitizer during a fork; the child would wait forever. */
    printf("children of multi-threaded parents: skipped under AddressSanitizer\n");
  } else {
    RUN(daemonized_child_keeps_the_descriptors_that_it_opened);
    RUN(child_of_multi_threaded_parent_does_not_hang);
  }
  camunda_admin_free(admin);
  return check_finish();
}
