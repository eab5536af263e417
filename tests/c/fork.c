/* Forked children: they work with connections of their own, and share the token through the store. */
#include <sys/wait.h>

#include "check.h"

enum { CHILDREN = 8, THREADS = 4 };

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

/* Whatever the parent's other threads hold when it forks, locks included, stays theirs. */
static void a_child_of_a_busy_parent_does_not_hang(void) {
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; ++i) pthread_create(&threads[i], NULL, keep_listing, NULL);
  for (int i = 0; i < CHILDREN; ++i) {
    int told[2];
    CHECK_INT(pipe(told), 0);
    const pid_t child = fork();
    if (child == 0) {
      const char good = list_clusters(admin) ? 'y' : 'n';
      if (write(told[1], &good, 1) != 1) _exit(1);
      /* No leak check here: what the threads held that did not come along looks lost. */
      kill(getpid(), SIGKILL);
    }
    close(told[1]);
    char good = '-';
    CHECK_INT(read(told[0], &good, 1), 1);
    CHECK_INT(good, 'y');
    close(told[0]);
    CHECK_INT(waitpid(child, NULL, 0), child);
  }
  stop = 1;
  for (int i = 0; i < THREADS; ++i) {
    void *failed = NULL;
    pthread_join(threads[i], &failed);
    CHECK(failed == NULL);
  }
  CHECK_INT(sandbox_count("token_requests"), 1);
}

int main(void) {
  admin = connect_from_env();
  RUN(a_child_finds_its_parents_token_in_the_store);
  RUN(a_child_has_connections_of_its_own);
  RUN(a_child_of_a_busy_parent_does_not_hang);
  camunda_admin_free(admin);
  return check_finish();
}
