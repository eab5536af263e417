/* Loads the library that the argument names, uses it, unloads it, and forks. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *library;

/* Stores the address of an exported function in the function pointer `function`. */
static void find(const char *name, void *function) {
  void *symbol = dlsym(library, name);
  if (symbol == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    exit(2);
  }
  memcpy(function, &symbol, sizeof symbol);
}

/* Uses the library on a new thread. Destructors of thread-local variables keep the library loaded until
 * the thread ends. */
static void *use(void *unused) {
  void *(*config_new)(void);
  int (*config_set)(void *, const char *, const char *, void **);
  int (*admin_new)(const void *, void **, void **);
  void (*admin_free)(void *);
  void (*config_free)(void *);
  find("camunda_config_new", &config_new);
  find("camunda_config_set", &config_set);
  find("camunda_admin_new", &admin_new);
  find("camunda_admin_free", &admin_free);
  find("camunda_config_free", &config_free);
  void *config = config_new();
  void *admin = NULL;
  int status = config_set(config, "client_id", "id", NULL);
  if (status == 0) status = config_set(config, "client_secret", "secret", NULL);
  if (status == 0) status = config_set(config, "token_cache", "memory", NULL);
  if (status == 0) status = admin_new(config, &admin, NULL);
  if (status != 0) {
    fprintf(stderr, "no client: status %d\n", status);
    exit(2);
  }
  admin_free(admin);
  config_free(config);
  return unused;
}

static int fork_and_wait(void) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  int status = -1;
  if (waitpid(child, &status, 0) != child) return 3;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 4;
}

int main(int count, char **arguments) {
  if (count != 2) return 2;
  library = dlopen(arguments[1], RTLD_NOW);
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return 2;
  }
  pthread_t thread;
  if (pthread_create(&thread, NULL, use, NULL) != 0) return 2;
  pthread_join(thread, NULL);
  if (fork_and_wait() != 0) return 3;
  dlclose(library);
  void *still = dlopen(arguments[1], RTLD_NOW | RTLD_NOLOAD);
  printf("%s\n", still == NULL ? "unloaded" : "still loaded");
  return fork_and_wait();
}
