/* Custom token store in memory that is shared with forked children. */
/* For MAP_ANONYMOUS. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "check.h"

enum { ENTRIES = 16, MAX_VALUE = 8192 };

/* The values and locks of the store. */
struct memory {
  pthread_mutex_t mutex;
  struct {
    char name[128];
    char data[MAX_VALUE];
    size_t length;
    bool held;
  } entries[ENTRIES];
};

/* A store. Several may use the same memory, as if they were on different hosts. */
struct store {
  struct memory *memory;
  int fails_with;
  bool returns_endless_value;
  int calls;
  int freed;
};

static void *entry_lock(struct memory *memory, int index) { return &memory->entries[index]; }

static struct memory *new_memory(void) {
  void *memory = mmap(NULL, sizeof(struct memory), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) exit(2);
  pthread_mutexattr_t shared;
  pthread_mutexattr_init(&shared);
  pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(&((struct memory *)memory)->mutex, &shared);
  pthread_mutexattr_destroy(&shared);
  return (struct memory *)memory;
}

/* Returns the entry of a name; creates it if it is absent. The caller holds the mutex. */
static int find(struct memory *memory, const char *name) {
  for (int i = 0; i < ENTRIES; ++i) {
    if (memory->entries[i].name[0] == '\0') strcpy(memory->entries[i].name, name);
    if (strcmp(memory->entries[i].name, name) == 0) return i;
  }
  fprintf(stderr, "the store is too small for the test\n");
  exit(2);
}

static int32_t get(void *user, const char *name, camunda_write_fn write, void *value) {
  struct store *store = (struct store *)user;
  ++store->calls;
  if (store->fails_with != 0) return store->fails_with;
  if (store->returns_endless_value) {
    /* More than the maximum size of a value. */
    static const char chunk[65536];
    for (int i = 0; i < 64; ++i) {
      if (write(value, chunk, sizeof chunk) != 0) return 0;
    }
    CHECK(!"the library reads without end");
    return 0;
  }
  struct memory *memory = store->memory;
  pthread_mutex_lock(&memory->mutex);
  const int index = find(memory, name);
  const size_t length = memory->entries[index].length;
  if (length > 0) {
    /* In two chunks. */
    CHECK_INT(write(value, memory->entries[index].data, length / 2), 0);
    CHECK_INT(write(value, memory->entries[index].data + length / 2, length - length / 2), 0);
  }
  pthread_mutex_unlock(&memory->mutex);
  return 0;
}

static int32_t put(void *user, const char *name, const char *data, size_t length, uint64_t ttl_ms) {
  struct store *store = (struct store *)user;
  ++store->calls;
  CHECK(length <= MAX_VALUE && ttl_ms > 0);
  CHECK_INT(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(name));
  if (store->fails_with != 0) return store->fails_with;
  struct memory *memory = store->memory;
  pthread_mutex_lock(&memory->mutex);
  const int index = find(memory, name);
  memcpy(memory->entries[index].data, data, length);
  memory->entries[index].length = length;
  pthread_mutex_unlock(&memory->mutex);
  return 0;
}

static int32_t try_lock(void *user, const char *name, uint64_t lease_ms, void **lock) {
  struct store *store = (struct store *)user;
  ++store->calls;
  CHECK(*lock == NULL && lease_ms > 0);
  if (store->fails_with != 0) return store->fails_with;
  struct memory *memory = store->memory;
  pthread_mutex_lock(&memory->mutex);
  const int index = find(memory, name);
  if (!memory->entries[index].held) {
    memory->entries[index].held = true;
    *lock = entry_lock(memory, index);
  }
  pthread_mutex_unlock(&memory->mutex);
  return 0;
}

static void unlock(void *user, void *lock) {
  struct memory *memory = ((struct store *)user)->memory;
  pthread_mutex_lock(&memory->mutex);
  for (int i = 0; i < ENTRIES; ++i) {
    if (lock == entry_lock(memory, i)) {
      CHECK(memory->entries[i].held);
      memory->entries[i].held = false;
    }
  }
  pthread_mutex_unlock(&memory->mutex);
}

static const char *describe(void *user) {
  (void)user;
  return "shared memory";
}

static const char *describe_badly(void *user) {
  (void)user;
  return "\xff\xfe";
}

static const char *error_message(void *user) {
  return ((struct store *)user)->fails_with == ENOSPC ? " quota\nof \xff exceeded " : NULL;
}

static void release(void *user) { ++((struct store *)user)->freed; }

static const camunda_token_store TABLE = {
    sizeof(camunda_token_store), get, put, try_lock, unlock, describe, release, error_message,
};

static camunda_config *config_with(const camunda_token_store *table, struct store *store) {
  camunda_config *config = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_config_from_env(&config, &error));
  CHECK_OK(camunda_config_set_token_store(config, table, store, &error));
  return config;
}

static camunda_admin *admin_with(struct store *store) {
  camunda_admin *admin = NULL;
  camunda_error *error = NULL;
  camunda_config *config = config_with(&TABLE, store);
  CHECK_OK(camunda_admin_new(config, &admin, &error));
  camunda_config_free(config);
  return admin;
}

static void list_clusters(camunda_admin *admin) {
  camunda_value *clusters = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_cluster_list(admin, NULL, &clusters, &error));
  camunda_value_free(clusters);
}

static void set_token_store_rejects_incomplete_table(void) {
  struct store store = {NULL, 0, false, 0, 0};
  camunda_config *config = camunda_config_new();
  camunda_error *error = NULL;
  struct {
    const char *names;
    camunda_token_store table;
  } cases[] = {
      {"store->size", TABLE},     {"store->size", TABLE},   {"store->get", TABLE},
      {"store->put", TABLE},      {"store->try_lock", TABLE}, {"store->unlock", TABLE},
      {"store->describe", TABLE},
  };
  cases[0].table.size = 0;
  cases[1].table.size = sizeof(camunda_token_store) - 1;
  cases[2].table.get = NULL;
  cases[3].table.put = NULL;
  cases[4].table.try_lock = NULL;
  cases[5].table.unlock = NULL;
  cases[6].table.describe = describe_badly;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
    CHECK_FAILS(camunda_config_set_token_store(config, &cases[i].table, &store, &error),
                CAMUNDA_STATUS_INVALID_ARGUMENT);
    CHECK_PART(camunda_error_message(error), cases[i].names);
    FREE_ERROR(error);
  }
  /* The memory has only the size that the table states. */
  size_t *shortest = (size_t *)malloc(sizeof *shortest);
  *shortest = sizeof *shortest;
  CHECK_FAILS(camunda_config_set_token_store(config, (const camunda_token_store *)(const void *)shortest,
                                             &store, &error),
              CAMUNDA_STATUS_INVALID_ARGUMENT);
  CHECK_PART(camunda_error_message(error), "store->size");
  FREE_ERROR(error);
  free(shortest);
  camunda_config_free(config);
  /* After an error the caller still owns the store. */
  CHECK_INT(store.freed, 0);
  CHECK_INT(store.calls, 0);
}

/* A table of a later version is longer; the library does not read its additional fields. */
static void set_token_store_accepts_longer_table_and_missing_optional_functions(void) {
  struct {
    camunda_token_store table;
    void *later;
  } longer = {TABLE, NULL};
  longer.table.size = sizeof longer;
  longer.table.describe = NULL;
  longer.table.free = NULL;
  longer.table.error_message = NULL;
  struct store store = {NULL, 0, false, 0, 0};
  camunda_config_free(config_with(&longer.table, &store));
  CHECK_INT(store.freed, 0);
}

static void store_is_freed_after_its_last_user(void) {
  struct store store = {new_memory(), 0, false, 0, 0};
  struct store other = {store.memory, 0, false, 0, 0};
  camunda_config *config = config_with(&TABLE, &store);
  camunda_admin *admins[2] = {NULL, NULL};
  camunda_error *error = NULL;
  CHECK_OK(camunda_admin_new(config, &admins[0], &error));
  CHECK_OK(camunda_admin_new(config, &admins[1], &error));
  /* Replaces the store. */
  CHECK_OK(camunda_config_set_token_store(config, &TABLE, &other, &error));
  list_clusters(admins[0]);
  camunda_admin_free(admins[0]);
  CHECK_INT(store.freed, 0);
  list_clusters(admins[1]);
  camunda_admin_free(admins[1]);
  CHECK_INT(store.freed, 1);
  CHECK_INT(other.freed, 0);
  CHECK_OK(camunda_config_set(config, "token_cache", "memory", &error));
  CHECK_INT(other.freed, 1);
  camunda_config_free(config);
  CHECK_INT(store.freed + other.freed, 2);
  CHECK(store.calls > 0);
  munmap(store.memory, sizeof(struct memory));
}

/* Two stores with the same memory act as two hosts: a token that one of them requested serves the other. */
static void token_is_shared_between_stores_with_the_same_memory(void) {
  struct store store = {new_memory(), 0, false, 0, 0};
  struct store elsewhere = {store.memory, 0, false, 0, 0};
  camunda_admin *here = admin_with(&store);
  camunda_admin *there = admin_with(&elsewhere);
  const long long before = sandbox_count("token_requests");
  list_clusters(here);
  list_clusters(there);
  CHECK_INT(sandbox_count("token_requests") - before, 1);
  camunda_token *token = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_admin_token(there, NULL, NULL, &token, &error));
  size_t length = 0;
  const char *text = camunda_token_str(token, &length);
  const char *bytes = (const char *)store.memory;
  bool found = false;
  for (size_t at = 0; at + length <= sizeof *store.memory; ++at) {
    found = found || memcmp(bytes + at, text, length) == 0;
  }
  CHECK(!found);
  camunda_token_free(token);
  camunda_admin_free(here);
  camunda_admin_free(there);
  munmap(store.memory, sizeof(struct memory));
}

/* Runs first: the library has to detect forks before it creates its first client. */
static void store_of_settings_is_not_freed_in_a_forked_child(void) {
  struct store store = {new_memory(), 0, false, 0, 0};
  camunda_config *config = config_with(&TABLE, &store);
  const pid_t child = fork();
  if (child == 0) {
    camunda_config_free(config);
    CHECK_INT(store.freed, 0);
    exit(check_finish());
  }
  int status = -1;
  CHECK_INT(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  camunda_config_free(config);
  CHECK_INT(store.freed, 1);
  munmap(store.memory, sizeof(struct memory));
}

/* Calls of a child use the store; only the parent frees it. */
static void forked_child_uses_the_store(void) {
  struct store store = {new_memory(), 0, false, 0, 0};
  camunda_admin *admin = admin_with(&store);
  const long long before = sandbox_count("token_requests");
  int ready[2];
  CHECK_INT(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    char byte;
    CHECK_INT(read(ready[0], &byte, 1), 1);
    list_clusters(admin);
    CHECK(store.calls > 0);
    camunda_admin_free(admin);
    CHECK_INT(store.freed, 0);
    close(ready[0]);
    close(ready[1]);
    exit(check_finish());
  }
  list_clusters(admin);
  CHECK_INT(write(ready[1], "x", 1), 1);
  int status = -1;
  CHECK_INT(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK_INT(sandbox_count("token_requests") - before, 1);
  close(ready[0]);
  close(ready[1]);
  camunda_admin_free(admin);
  CHECK_INT(store.freed, 1);
  munmap(store.memory, sizeof(struct memory));
}

static int warnings;

static void count_warnings(void *user, int32_t level, const char *target, const char *message) {
  (void)target;
  if (level > CAMUNDA_LOG_WARN || strstr(message, "shared memory") == NULL) return;
  ++warnings;
  CHECK_PART(message, (const char *)user);
}

/* An error of the store is logged once, with its message, and reported in the diagnostics. */
static void call_succeeds_when_store_returns(int number, const char *expected) {
  struct store failing = {new_memory(), number, false, 0, 0};
  camunda_config *config = config_with(&TABLE, &failing);
  camunda_admin *admin = NULL;
  camunda_value *diagnostics = NULL;
  camunda_error *error = NULL;
  warnings = 0;
  CHECK_OK(camunda_config_set_log(config, CAMUNDA_LOG_WARN, count_warnings, (void *)(uintptr_t)expected, &error));
  CHECK_OK(camunda_admin_new(config, &admin, &error));
  camunda_config_free(config);
  for (int i = 0; i < 3; ++i) list_clusters(admin);
  CHECK_INT(warnings, 1);
  CHECK_OK(camunda_admin_diagnostics(admin, &diagnostics, &error));
  const camunda_value *stores = camunda_value_get(diagnostics, "stores");
  const camunda_value *found = NULL;
  for (size_t i = 0; i < camunda_value_len(stores); ++i) {
    const camunda_value *store = camunda_value_at(stores, i);
    const char *name = camunda_value_str(camunda_value_get(store, "store"), NULL);
    if (name != NULL && strcmp(name, "shared memory") == 0) found = store;
  }
  CHECK(found != NULL);
  CHECK(!camunda_value_bool(camunda_value_get(found, "usable"), true));
  CHECK_PART(camunda_value_str(camunda_value_get(found, "last_error"), NULL), expected);
  camunda_value_free(diagnostics);
  camunda_admin_free(admin);
  CHECK_INT(failing.freed, 1);
  munmap(failing.memory, sizeof(struct memory));
}

static void calls_succeed_when_store_fails(void) {
  call_succeeds_when_store_returns(ENOSPC, "quota of \xef\xbf\xbd exceeded");
  call_succeeds_when_store_returns(EDOM, strerror(EDOM));
}

static void calls_succeed_when_store_returns_endless_value(void) {
  struct store store = {new_memory(), 0, true, 0, 0};
  camunda_admin *admin = admin_with(&store);
  list_clusters(admin);
  camunda_admin_free(admin);
  munmap(store.memory, sizeof(struct memory));
}

int main(void) {
  RUN(store_of_settings_is_not_freed_in_a_forked_child);
  RUN(set_token_store_rejects_incomplete_table);
  RUN(set_token_store_accepts_longer_table_and_missing_optional_functions);
  RUN(store_is_freed_after_its_last_user);
  RUN(token_is_shared_between_stores_with_the_same_memory);
  RUN(forked_child_uses_the_store);
  RUN(calls_succeed_when_store_fails);
  RUN(calls_succeed_when_store_returns_endless_value);
  return check_finish();
}
