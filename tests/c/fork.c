/* Forked children: they work with connections of their own, and share the token through the store. */
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

enum { CHILDREN = 60, CHILDREN_WHERE_SLOW = 8, THREADS = 4, CHILD_SECONDS = 30 };

/* The exit status of a child that is not allowed what it is to test. */
enum { NOT_ALLOWED = 77 };

static camunda_admin *admin;
static volatile sig_atomic_t stop;

static bool list_clusters(camunda_admin *with) {
  camunda_value *clusters = NULL;
  camunda_error *error = NULL;
  const bool good = camunda_cluster_list(with, NULL, &clusters, &error) == CAMUNDA_STATUS_OK;
  if (!good) fprintf(stderr, "%s\n", camunda_error_message(error));
  camunda_error_free(error);
  camunda_value_free(clusters);
  return good;
}

static void check_child(pid_t child) {
  int status = -1;
  CHECK_INT(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* The parent has no token yet when it forks; the child finds the one that the parent gets. */
static void a_child_finds_its_parents_token_in_the_store(void) {
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

/* Both have an idle connection when they part; were it the same one, answers would go astray. */
static void a_child_has_connections_of_its_own(void) {
  CHECK(list_clusters(admin));
  const long long before = sandbox_count("connections");
  const pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 3; ++i) CHECK(list_clusters(admin));
    /* A child can have children. */
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

/* A child that hangs is killed, and so fails its parent's check. */
static pid_t fork_with_limit(void) {
  const pid_t child = fork();
  if (child == 0) alarm((unsigned)within(CHILD_SECONDS));
  return child;
}

/* Ends a child of a parent with several threads. No leak check here: what the threads held that did
 * not come along looks lost. */
static void report(int to, bool passed) {
  const char good = passed ? 'y' : 'n';
  if (write(to, &good, 1) != 1) _exit(1);
  kill(getpid(), SIGKILL);
}

static void check_report(pid_t child, int told[2]) {
  close(told[1]);
  char good = '-';
  CHECK_INT(read(told[0], &good, 1), 1);
  CHECK_INT(good, 'y');
  close(told[0]);
  CHECK_INT(waitpid(child, NULL, 0), child);
}

/* Whatever the parent's other threads hold when it forks, locks included, stays theirs. */
static void a_child_of_a_busy_parent_does_not_hang(void) {
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; ++i) pthread_create(&threads[i], NULL, keep_listing, NULL);
  const int children = getenv("CHECK_TIMEOUT_FACTOR") == NULL ? CHILDREN : CHILDREN_WHERE_SLOW;
  for (int i = 0; i < children; ++i) {
    int told[2];
    CHECK_INT(pipe(told), 0);
    const pid_t child = fork_with_limit();
    if (child == 0) {
      report(told[1], list_clusters(admin));
    }
    check_report(child, told);
  }
  stop = 1;
  for (int i = 0; i < THREADS; ++i) {
    void *failed = NULL;
    pthread_join(threads[i], &failed);
    CHECK(failed == NULL);
  }
  /* The second is of the client with another scope. */
  CHECK_INT(sandbox_count("token_requests"), 2);
}

/* How many locked files of the token cache this process has open. */
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

/* A daemon closes all descriptors that it inherited, and opens others under their numbers. */
static void a_daemonized_child_keeps_the_descriptors_that_it_opened(void) {
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
  int told[2];
  CHECK_INT(pipe(told), 0);
  const pid_t child = fork_with_limit();
  if (child == 0) {
    for (int number = 3; number < 1000; ++number) {
      if (number != told[1]) close(number);
    }
    int opened[DESCRIPTORS];
    for (int i = 0; i < DESCRIPTORS; ++i) opened[i] = open("/dev/null", O_RDONLY);
    CHECK(list_clusters(admin));
    camunda_admin_free(admin);
    for (int i = 0; i < DESCRIPTORS; ++i) CHECK(fcntl(opened[i], F_GETFD) >= 0);
    report(told[1], check_finish() == 0);
  }
  check_report(child, told);
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

/* A callback can fork: the parent's call goes on, and the child's ends. */
static void a_call_whose_callback_forks_ends_in_the_child(void) {
  camunda_call_options *call = camunda_call_options_new();
  camunda_value *clusters = NULL;
  camunda_error *error = NULL;
  int told[2];
  CHECK_INT(pipe(told), 0);
  CHECK_OK(camunda_call_options_set_interrupt_check(call, fork_once, NULL, &error));
  sandbox_fault("{\"operation\":\"GET /clusters\",\"delay_ms\":300}");
  const camunda_status status = camunda_cluster_list(admin, call, &clusters, &error);
  if (forked == 0) {
    CHECK_INT(status, CAMUNDA_STATUS_CANCELLED);
    CHECK_PART(camunda_error_message(error), "forked");
    CHECK(list_clusters(admin));
    report(told[1], check_finish() == 0);
  }
  CHECK_INT(status, CAMUNDA_STATUS_OK);
  CHECK(forked > 0);
  check_report(forked, told);
  camunda_value_free(clusters);
  camunda_error_free(error);
  camunda_call_options_free(call);
}

/* Ends a child of a parent with one thread. */
static void end_child(int status) {
  camunda_admin_free(admin);
  _exit(status);
}

/* The first process of a PID namespace and its child in another one have the same process id. */
static void a_child_in_a_new_pid_namespace_has_connections_of_its_own(void) {
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
    printf("%s: left out, PID namespaces are not allowed\n", check_case);
    return;
  }
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK_INT(sandbox_count("connections") - before, 2);
}

int main(void) {
  admin = connect_from_env();
  RUN(a_child_finds_its_parents_token_in_the_store);
  RUN(a_child_has_connections_of_its_own);
  RUN(a_call_whose_callback_forks_ends_in_the_child);
  RUN(a_child_in_a_new_pid_namespace_has_connections_of_its_own);
  if (SANITIZED) {
    /* AddressSanitizer's own locks can be held by other threads at the fork, forever in the child. */
    printf("children of busy parents: left out under AddressSanitizer\n");
  } else {
    RUN(a_daemonized_child_keeps_the_descriptors_that_it_opened);
    RUN(a_child_of_a_busy_parent_does_not_hang);
  }
  camunda_admin_free(admin);
  return check_finish();
}
