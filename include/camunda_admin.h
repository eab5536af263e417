/**
 * @file camunda_admin.h
 * Client for the Camunda 8 Administration API (SaaS).
 *
 * Conventions, which hold for every function:
 *
 * - Ownership. A non-const pointer that a function returns or stores through an out pointer is owned
 *   by the caller, who ends it with the `_free` of its type; `_free(NULL)` does nothing. A const one
 *   is borrowed, and the function says from whom. No function consumes its arguments: texts and
 *   bytes are copied or borrowed during the call.
 * - Errors. A function that can fail returns a camunda_status: CAMUNDA_STATUS_OK (0) or why not.
 *   Its last parameter is a camunda_error **: NULL, or where to store what went wrong. Every out
 *   pointer is set to NULL on entry.
 * - NULL for a handle, a text or an out pointer that a function needs is
 *   CAMUNDA_STATUS_INVALID_ARGUMENT; readers take NULL and answer their documented fallback.
 * - Texts that go in are NUL-terminated UTF-8, refused where they are not; bodies are pointer and
 *   length. Texts that come out are NUL-terminated, with their length where they may hold a NUL.
 * - Threads. camunda_admin, camunda_cancel, camunda_shutdown, and the immutable camunda_value,
 *   camunda_error and camunda_token may be used from several threads at once; camunda_config,
 *   camunda_object and, while it is changed, camunda_call from one at a time.
 * - Deadlines. A call blocks for 60 seconds at most, unless the setting `timeout` or
 *   camunda_call_set_timeout says otherwise.
 * - fork. A client made before a fork works in the child, with connections of its own and with the
 *   tokens and rate limits that its parent knew. A fork waits for the library's critical sections
 *   (microseconds). If a callback forks, its call ends in the child with CAMUNDA_STATUS_CANCELLED.
 * - Callbacks must not throw, longjmp or end their thread.
 * - exit. A program may end while its threads are in calls: the library has nothing that exit()
 *   destroys. Callbacks run until the process has ended, so what they use must exist until then, or
 *   camunda_shutdown_start() must be called first. Functions registered with atexit() can make calls.
 *
 * Generated from src/ffi; not to be edited.
 */


#ifndef CAMUNDA_ADMIN_H
#define CAMUNDA_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The version of this header. */
#define CAMUNDA_VERSION "0.1.0"

/**
 * The version of the ABI: raised when a program built against an older header would misbehave.
 */
#define CAMUNDA_ABI_VERSION 1

/**
 * Before anything was sent: settings and arguments.
 */
#define CAMUNDA_STAGE_CONFIG 1

/**
 * While getting a token.
 */
#define CAMUNDA_STAGE_TOKEN 2

/**
 * While sending the request or waiting for its answer.
 */
#define CAMUNDA_STAGE_REQUEST 3

/**
 * While making sense of the answer.
 */
#define CAMUNDA_STAGE_DECODE 4

/**
 * Certain: the service never saw the request.
 */
#define CAMUNDA_OUTCOME_NOT_SENT 1

/**
 * Certain: the service saw the request and did not do it.
 */
#define CAMUNDA_OUTCOME_REJECTED 2

/**
 * The request may have been carried out. A change: check before you repeat it. A read: repeat it.
 */
#define CAMUNDA_OUTCOME_UNKNOWN 3

/**
 * Certain: it was carried out, but its response was lost or cannot be decoded.
 */
#define CAMUNDA_OUTCOME_COMPLETED 4

/**
 * Errors.
 */
#define CAMUNDA_LOG_ERROR 1

/**
 * Warnings: a store that cannot be used, say.
 */
#define CAMUNDA_LOG_WARN 2

/**
 * What a person running the program may want to know: retries, for one.
 */
#define CAMUNDA_LOG_INFO 3

/**
 * Every request.
 */
#define CAMUNDA_LOG_DEBUG 4

/**
 * Everything.
 */
#define CAMUNDA_LOG_TRACE 5

/**
 * By the method: GET is safe, everything else is sent once.
 */
#define CAMUNDA_IDEMPOTENCY_BY_METHOD 0

/**
 * Changes nothing: sent again after passing failures.
 */
#define CAMUNDA_IDEMPOTENCY_SAFE 1

/**
 * Sets a state, so twice is as good as once: sent again after passing failures.
 */
#define CAMUNDA_IDEMPOTENCY_IDEMPOTENT 2

/**
 * Sent again only where it is certain that no byte of it left.
 */
#define CAMUNDA_IDEMPOTENCY_NON_IDEMPOTENT 3

/**
 * `null`, or no value at all.
 */
#define CAMUNDA_KIND_NULL 0

/**
 * `true` or `false`.
 */
#define CAMUNDA_KIND_BOOL 1

/**
 * A number.
 */
#define CAMUNDA_KIND_NUMBER 2

/**
 * A string.
 */
#define CAMUNDA_KIND_STRING 3

/**
 * An array.
 */
#define CAMUNDA_KIND_ARRAY 4

/**
 * An object.
 */
#define CAMUNDA_KIND_OBJECT 5

/**
 * A connection to the Administration API. May be used from several threads at once.
 */
typedef struct camunda_admin camunda_admin;

/**
 * Options of single calls.
 *
 * May be used by several calls at once; not to be changed meanwhile.
 */
typedef struct camunda_call_options camunda_call_options;

/**
 * Stops calls from another thread or from a signal handler.
 */
typedef struct camunda_cancel camunda_cancel;

/**
 * Settings of a client. To be used from one thread at a time.
 */
typedef struct camunda_config camunda_config;

/**
 * What went wrong. Immutable: may be read from several threads at once.
 */
typedef struct camunda_error camunda_error;

/**
 * A JSON object under construction, for use as the body of an operation.
 *
 * A field that is set again is replaced. To be used from one thread at a time.
 */
typedef struct camunda_object camunda_object;

/**
 * Shuts down clients as a group: cancels their calls and disables their callbacks. For language
 * runtimes whose threads cannot enter the runtime any more once the program ends. May be used from
 * several threads at once.
 */
typedef struct camunda_shutdown camunda_shutdown;

/**
 * A bearer token. Immutable: may be read from several threads at once.
 */
typedef struct camunda_token camunda_token;

/**
 * A JSON value: an answer, or a part of one.
 *
 * A value that a function hands out through an out pointer is owned by the caller; parts of it are
 * borrowed from it and end with it. Immutable: may be read from several threads at once. Where a
 * key comes twice in an object, the last one counts. Takes at most eight times the bytes of its JSON in
 * memory, besides what camunda_value_json copies of parts.
 */
typedef struct camunda_value camunda_value;

/**
 * What became of a function call: CAMUNDA_STATUS_OK or why not. Values are only ever added, so
 * treat an unknown one as a failure.
 */
typedef int32_t camunda_status;

/**
 * Told by a waiter what each look showed. Runs on the calling thread, during the call only; `seen`
 * is borrowed during the callback.
 */
typedef void (*camunda_progress_fn)(void *user, const camunda_value *seen);

/**
 * Asked about every 20 ms while a call waits, on the calling thread; non-zero cancels the call.
 * For hosts that have to run signal handlers of their own.
 */
typedef int32_t (*camunda_interrupt_check_fn)(void *user);

/**
 * Gets log events: a level (CAMUNDA_LOG_…), the part of the library, and a line without secrets.
 * Runs on the calling thread, during calls only; the texts are borrowed during the callback.
 */
typedef void (*camunda_log_fn)(void *user, int32_t level, const char *target, const char *message);

/**
 * Gets text piece by piece, on the calling thread; returns 0 to go on, anything else ends the call.
 * The piece is not NUL-terminated and borrowed during the callback.
 */
typedef int32_t (*camunda_write_fn)(void *user, const char *data, size_t len);

/**
 * Reads the value last put under `name`: hands it to `write` together with `value`, in one piece or
 * several; does not call it where there is none, or none any more.
 */
typedef int32_t (*camunda_token_store_get_fn)(void *user,
                                              const char *name,
                                              camunda_write_fn write,
                                              void *value);

/**
 * Keeps `len` bytes under `name` instead of what was there; a reader sees either of them whole.
 * After `ttl_ms` milliseconds they are of no use any more and may go.
 */
typedef int32_t (*camunda_token_store_put_fn)(void *user,
                                              const char *name,
                                              const char *data,
                                              size_t len,
                                              uint64_t ttl_ms);

/**
 * Takes the lock of `name`, without waiting: `*lock` gets what camunda_token_store_unlock_fn will be
 * given, not NULL; it is left as it is, NULL, where someone else has the lock.
 *
 * If the owner dies without releasing it, the store does: at once where it can tell, after
 * `lease_ms` milliseconds where it cannot. HeldLocks and values are apart, even where their names are
 * the same.
 */
typedef int32_t (*camunda_token_store_try_lock_fn)(void *user,
                                                   const char *name,
                                                   uint64_t lease_ms,
                                                   void **lock);

/**
 * Releases a lock. May run on another thread than the one that took it.
 */
typedef void (*camunda_token_store_unlock_fn)(void *user, void *lock);

/**
 * Says what the store is and where, for logs and diagnostics, without passwords. The text is copied
 * when the store is set.
 */
typedef const char *(*camunda_token_store_describe_fn)(void *user);

/**
 * Frees what belongs to the store.
 */
typedef void (*camunda_token_store_free_fn)(void *user);

/**
 * A token store of the program's own, for camunda_config_set_token_store: what its functions do,
 * each given the same `user`.
 *
 * What is kept are small values (a few kilobytes) under short names of small letters, digits and
 * `-`. Both are safe to show: names are digests, and values with a token in them are sealed with a
 * key that is derived from the client secret.
 *
 * The functions are called by many threads at once, and in forked children of the process. None
 * should block for longer than a caller would like to wait, a quarter of a second, say; none may
 * throw or jump out. Those that return a number return 0, or an `errno` that says what went wrong:
 * no call fails because of it. After an error the library does not lock, does not read or does not
 * write for 30 s, whichever failed; after one such as ETIMEDOUT or ECONNREFUSED, none of the three.
 */
typedef struct {
  /**
   * sizeof(camunda_token_store), so that a library with more functions knows which are there.
   */
  size_t size;
  /**
   * Reads a value. Needed.
   */
  camunda_token_store_get_fn get;
  /**
   * Keeps a value. Needed.
   */
  camunda_token_store_put_fn put;
  /**
   * Takes a lock. Needed.
   */
  camunda_token_store_try_lock_fn try_lock;
  /**
   * Releases a lock. Needed.
   */
  camunda_token_store_unlock_fn unlock;
  /**
   * Says what it is. May be NULL.
   */
  camunda_token_store_describe_fn describe;
  /**
   * Called once, when neither the settings nor a client made from them are left that use the
   * store; not in a forked child. May be NULL.
   */
  camunda_token_store_free_fn free;
} camunda_token_store;

/**
 * Done.
 */
#define CAMUNDA_STATUS_OK 0

/**
 * An argument is not usable: NULL, empty, not UTF-8, of the wrong kind, a path trick.
 */
#define CAMUNDA_STATUS_INVALID_ARGUMENT 1

/**
 * A setting is missing or not usable; the message names it.
 */
#define CAMUNDA_STATUS_CONFIG 2

/**
 * The credentials are not accepted (401).
 */
#define CAMUNDA_STATUS_AUTHENTICATION 3

/**
 * The credentials lack a permission, a quota is used up, or the cluster is another's (403).
 */
#define CAMUNDA_STATUS_PERMISSION_DENIED 4

/**
 * No such thing (404).
 */
#define CAMUNDA_STATUS_NOT_FOUND 5

/**
 * The state of the thing forbids it (409).
 */
#define CAMUNDA_STATUS_CONFLICT 6

/**
 * Not ready yet; try later (412).
 */
#define CAMUNDA_STATUS_NOT_READY 7

/**
 * The service refuses the request (any other 4xx).
 */
#define CAMUNDA_STATUS_INVALID_REQUEST 8

/**
 * Too many requests (429), or this machine's own pacing of token requests.
 */
#define CAMUNDA_STATUS_RATE_LIMITED 9

/**
 * The service failed (5xx).
 */
#define CAMUNDA_STATUS_SERVICE 10

/**
 * The deadline passed.
 */
#define CAMUNDA_STATUS_TIMEOUT 11

/**
 * Cancelled by the caller.
 */
#define CAMUNDA_STATUS_CANCELLED 12

/**
 * No connection, a broken one, TLS or HTTP violated.
 */
#define CAMUNDA_STATUS_NETWORK 13

/**
 * The answer arrived and is not what was described; camunda_error_body has it.
 */
#define CAMUNDA_STATUS_DECODE 14

/**
 * What was waited for cannot come any more.
 */
#define CAMUNDA_STATUS_WAIT_FAILED 15

/**
 * A file could not be read or written, or a sink ended the call.
 */
#define CAMUNDA_STATUS_IO 16

/**
 * A defect of this library.
 */
#define CAMUNDA_STATUS_INTERNAL 17

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library, such as `0.1.0`. Static; never freed.
 */
const char *camunda_version(void);

/**
 * The version of the ABI that the library speaks; a program compares it with CAMUNDA_ABI_VERSION
 * of the header that it was built with.
 */
uint32_t camunda_abi_version(void);

/**
 * A client with these settings; `admin` gets it, owned by the caller: camunda_admin_free. Sends
 * nothing; reads the files that the settings name. CAMUNDA_STATUS_CONFIG names a bad setting.
 */
camunda_status camunda_admin_new(const camunda_config *config,
                                 camunda_admin **admin,
                                 camunda_error **error);

/**
 * What the client did so far, as an object of counters: `calls`, `requests`, `retries`,
 * `token_requests`, `token_cache_hits`, `bytes_sent`, `bytes_received`. `stats` gets it, owned by the
 * caller: camunda_value_free.
 */
camunda_status camunda_admin_stats(const camunda_admin *admin,
                                   camunda_value **stats,
                                   camunda_error **error);

/**
 * The state of all tokens of this process, of the pace of token requests, and of the stores, as an
 * object without secrets: `slots`, `gates`, `stores` and `counters`. Times are seconds from now.
 * `diagnostics` gets it, owned by the caller: camunda_value_free.
 */
camunda_status camunda_admin_diagnostics(const camunda_admin *admin,
                                         camunda_value **diagnostics,
                                         camunda_error **error);

/**
 * Forgets that the token endpoint refused these credentials, so that the next call asks again
 * instead of failing fast.
 */
camunda_status camunda_admin_clear_auth_failure(const camunda_admin *admin, camunda_error **error);

/**
 * Forgets the client's token, here and in the shared store, so that the next call asks for another.
 */
camunda_status camunda_admin_invalidate_tokens(const camunda_admin *admin, camunda_error **error);

/**
 * Frees a client; no call may be under way through it. NULL does nothing.
 */
void camunda_admin_free(camunda_admin *admin);

/**
 * Options that change nothing, owned by the caller: camunda_call_options_free.
 */
camunda_call_options *camunda_call_options_new(void);

/**
 * Sets the deadline of the whole call in seconds: waiting for a token or a turn, retries and the
 * body included. Of a waiter: the deadline of the whole wait.
 */
camunda_status camunda_call_options_set_timeout(camunda_call_options *call,
                                                double timeout,
                                                camunda_error **error);

/**
 * Sets the maximum delay between two polls of a waiter in seconds, default 10. A longer `Retry-After`
 * of the API is honored; one beyond the deadline fails the wait immediately.
 */
camunda_status camunda_call_options_set_max_poll_interval(camunda_call_options *call,
                                                          double interval,
                                                          camunda_error **error);

/**
 * Lets `cancel` end the call; NULL takes it back. The handle may be freed while the call goes on.
 */
camunda_status camunda_call_options_set_cancel(camunda_call_options *call,
                                               const camunda_cancel *cancel,
                                               camunda_error **error);

/**
 * Lets a waiter report what each look showed; NULL for none. `user` is passed on as it is.
 */
camunda_status camunda_call_options_set_progress(camunda_call_options *call,
                                                 camunda_progress_fn progress,
                                                 void *user,
                                                 camunda_error **error);

/**
 * Lets a waiting call ask whether it is to end; NULL for none. `user` is passed on as it is.
 */
camunda_status camunda_call_options_set_interrupt_check(camunda_call_options *call,
                                                        camunda_interrupt_check_fn interrupt,
                                                        void *user,
                                                        camunda_error **error);

/**
 * Frees options. NULL does nothing.
 */
void camunda_call_options_free(camunda_call_options *call);

/**
 * A flag that is not set, owned by the caller: camunda_cancel_free. May be used from several
 * threads at once.
 */
camunda_cancel *camunda_cancel_new(void);

/**
 * Cancels every call that was given this flag, and those to come until camunda_cancel_reset; calls
 * under way end with CAMUNDA_STATUS_CANCELLED within 100 ms. Async-signal-safe. NULL does nothing.
 */
void camunda_cancel_trigger(const camunda_cancel *cancel);

/**
 * Makes the flag usable for new calls. Calls that were in progress at the time of
 * camunda_cancel_trigger stay cancelled. NULL is ignored.
 */
void camunda_cancel_reset(const camunda_cancel *cancel);

/**
 * Whether the flag is set. False for NULL.
 */
bool camunda_cancel_is_triggered(const camunda_cancel *cancel);

/**
 * Frees a flag. NULL does nothing. Calls that were given it go on unharmed.
 */
void camunda_cancel_free(camunda_cancel *cancel);

/**
 * The defaults, owned by the caller: camunda_config_free. The environment is not read.
 */
camunda_config *camunda_config_new(void);

/**
 * The settings of the environment variables that Camunda's own SDKs read; `config` gets them,
 * owned by the caller: camunda_config_free.
 *
 * CAMUNDA_CONSOLE_CLIENT_ID and CAMUNDA_CONSOLE_CLIENT_SECRET have to be there;
 * CAMUNDA_CONSOLE_BASE_URL, CAMUNDA_CONSOLE_OAUTH_AUDIENCE, CAMUNDA_OAUTH_URL, CAMUNDA_TOKEN_SCOPE,
 * CAMUNDA_TOKEN_CACHE_DIR, CAMUNDA_TOKEN_DISK_CACHE_DISABLE, CAMUNDA_TOKEN_CACHE_REDIS_URL,
 * CAMUNDA_CUSTOM_ROOT_CERT_PATH, CAMUNDA_CUSTOM_CERT_CHAIN_PATH, CAMUNDA_CUSTOM_PRIVATE_KEY_PATH and
 * CAMUNDA_CUSTOM_USER_AGENT_STRING may be. CAMUNDA_STATUS_CONFIG names the variable that is missing
 * or not usable. No other thread may change the environment meanwhile.
 */
camunda_status camunda_config_from_env(camunda_config **config,
                                       camunda_error **error);

/**
 * The settings of a file of `export NAME='value'` or `NAME=value` lines with the same variables, as
 * the Console hands it out; `config` gets them, owned by the caller: camunda_config_free.
 */
camunda_status camunda_config_from_env_file(const char *path,
                                            camunda_config **config,
                                            camunda_error **error);

/**
 * The settings with which a cluster's client gets its tokens, for camunda_admin_token: its id,
 * secret, token endpoint and audience, everything else as in camunda_config_new.
 *
 * `credentials` is what camunda_credentials_from_client or camunda_credentials_read gave. `config`
 * gets the settings, owned by the caller: camunda_config_free.
 */
camunda_status camunda_config_from_credentials(const camunda_value *credentials,
                                               camunda_config **config,
                                               camunda_error **error);

/**
 * Sets one setting. Keys: `client_id`, `client_secret`, `base_url`, `oauth_url`, `audience`,
 * `scope`, `token_cache` (`auto`, `memory`, a directory with a separator in its path or beginning
 * with `.` or `~`, or a redis://, rediss://, valkey:// or valkeys:// URL), `timeout` (seconds,
 * decimals allowed; default: 60), `ca_file` (certificates in PEM, trusted instead of the
 * platform's), `client_cert`, `client_key` (not encrypted), `proxy`, `user_agent`,
 * `token_request_format` (`json` or `form`), `max_response_bytes`.
 *
 * CAMUNDA_STATUS_CONFIG for an unknown key or a bad value, naming it; nothing is changed then. The
 * texts are copied.
 */
camunda_status camunda_config_set(camunda_config *config,
                                  const char *key,
                                  const char *value,
                                  camunda_error **error);

/**
 * Lets the calls of clients made from these settings log to `log`, events of `level`
 * (CAMUNDA_LOG_…) and above; NULL for none. `user` is passed on as it is. The function runs on the
 * calling thread, during calls only, and has to bear being called from several threads at once.
 */
camunda_status camunda_config_set_log(camunda_config *config,
                                      int32_t level,
                                      camunda_log_fn log,
                                      void *user,
                                      camunda_error **error);

/**
 * Keeps tokens in a store of the program's own instead of where `token_cache` says; whichever is set
 * last counts. `store` is copied; its functions are called with `user` until `store->free` is.
 *
 * CAMUNDA_STATUS_INVALID_ARGUMENT for a table that is too short or lacks a function that is needed,
 * naming it; nothing is changed then, and `store->free` is not called.
 */
camunda_status camunda_config_set_token_store(camunda_config *config,
                                              const camunda_token_store *store,
                                              void *user,
                                              camunda_error **error);

/**
 * Lets clients made from these settings be shut down by `shutdown`, see camunda_shutdown_start(); NULL
 * takes it back. Set it before a token store. The handle may be freed while the clients are in use.
 */
camunda_status camunda_config_set_shutdown(camunda_config *config,
                                           const camunda_shutdown *shutdown,
                                           camunda_error **error);

/**
 * Frees settings; clients made from them go on unharmed. NULL does nothing.
 */
void camunda_config_free(camunda_config *config);

/**
 * Everything a program needs to use a cluster as a client that was just created: an object of
 * variables such as ZEEBE_ADDRESS and ZEEBE_CLIENT_SECRET.
 *
 * `created` is the answer of camunda_cluster_client_create, `cluster` that of camunda_cluster_get.
 * `credentials` gets the object, owned by the caller: camunda_value_free. Handle it as a secret.
 */
camunda_status camunda_credentials_from_client(const camunda_value *created,
                                               const camunda_value *cluster,
                                               camunda_value **credentials,
                                               camunda_error **error);

/**
 * Writes credentials as `export NAME='value'` lines to a new file with mode 0600, and flushes it to
 * the disk. Never overwrites (CAMUNDA_STATUS_IO): if the path exists, a symbolic link included, nothing
 * is changed. A name that is not valid or a value with a NUL is CAMUNDA_STATUS_INVALID_ARGUMENT, before
 * the file is created. To keep the credentials of a client that is yet to be created, use
 * camunda_cluster_client_create_env_file.
 */
camunda_status camunda_credentials_write(const camunda_value *credentials,
                                         const char *path,
                                         camunda_error **error);

/**
 * Reads a credential file of `export NAME='value'` or `NAME=value` lines, as the Console hands it
 * out, quotes and comments understood. `credentials` gets an object of its variables, owned by the
 * caller: camunda_value_free. Handle it as a secret.
 */
camunda_status camunda_credentials_read(const char *path,
                                        camunda_value **credentials,
                                        camunda_error **error);

/**
 * Reads the variables of the Console's credential file from the environment, such as ZEEBE_ADDRESS
 * and ZEEBE_TOKEN_AUDIENCE. ZEEBE_CLIENT_ID and ZEEBE_CLIENT_SECRET are required; an empty variable
 * counts as not set. `credentials` gets an object of the variables, owned by the caller:
 * camunda_value_free. Handle it as a secret.
 *
 * CAMUNDA_STATUS_CONFIG names the variable that is not set or not UTF-8. No other thread may change
 * the environment meanwhile.
 */
camunda_status camunda_credentials_from_env(camunda_value **credentials, camunda_error **error);

/**
 * The status; CAMUNDA_STATUS_OK for NULL.
 */
camunda_status camunda_error_status(const camunda_error *error);

/**
 * One line that a person can act on, such as `create cluster refused (400): Name is too long`.
 * Without secrets. Borrowed from `error`; empty for NULL.
 */
const char *camunda_error_message(const camunda_error *error);

/**
 * The HTTP status; 0 where the service did not answer.
 */
int32_t camunda_error_http_status(const camunda_error *error);

/**
 * Where it went wrong: CAMUNDA_STAGE_…; 0 for NULL.
 */
int32_t camunda_error_stage(const camunda_error *error);

/**
 * What became of the operation: CAMUNDA_OUTCOME_…; 0 for NULL. A waiter changes nothing: its error has
 * CAMUNDA_OUTCOME_NOT_SENT if no poll was sent, else CAMUNDA_OUTCOME_REJECTED.
 */
int32_t camunda_error_outcome(const camunda_error *error);

/**
 * Whether the operation is a change that was applied or may have been applied, although its complete,
 * usable response did not arrive: check before you repeat it. The message says which of the two it is
 * and what to look for. False for reads, for waiters, and for NULL.
 */
bool camunda_error_may_have_been_applied(const camunda_error *error);

/**
 * The service's own words; NULL where it said none. Borrowed from `error`.
 */
const char *camunda_error_server_message(const camunda_error *error);

/**
 * The body of the answer as it came, NUL-terminated; `len` (or NULL) gets its length without the
 * NUL. NULL where there is none. Borrowed from `error`.
 *
 * Where an answer that is given only once (a client's secret, say) cannot be decoded, this is the
 * only place that has it: keep it safe, and out of logs.
 */
const char *camunda_error_body(const camunda_error *error, size_t *len);

/**
 * How long to wait before asking again, in seconds; negative where nobody said.
 */
double camunda_error_retry_after(const camunda_error *error);

/**
 * Number of requests of which at least one byte was sent, including those of a waiter's polls and
 * excluding token requests. 0 if the connection could not be established, and for NULL.
 */
uint32_t camunda_error_attempts(const camunda_error *error);

/**
 * The service's name for the request; NULL where it sent none. Borrowed from `error`.
 */
const char *camunda_error_request_id(const camunda_error *error);

/**
 * The operation by its plain name, such as `create cluster`; NULL before one began. Borrowed from
 * `error`.
 */
const char *camunda_error_operation(const camunda_error *error);

/**
 * The HTTP method of the request; NULL before there was one. Borrowed from `error`.
 */
const char *camunda_error_method(const camunda_error *error);

/**
 * The path of the request; NULL before there was one. Borrowed from `error`.
 */
const char *camunda_error_path(const camunda_error *error);

/**
 * How long the call took until it failed, in seconds; negative where no call began.
 */
double camunda_error_elapsed(const camunda_error *error);

/**
 * Frees an error. NULL does nothing.
 */
void camunda_error_free(camunda_error *error);

/**
 * An empty object, owned by the caller: camunda_object_free.
 */
camunda_object *camunda_object_new(void);

/**
 * Sets a field to a string. The texts are copied.
 */
camunda_status camunda_object_set_str(camunda_object *object,
                                      const char *key,
                                      const char *value,
                                      camunda_error **error);

/**
 * Sets a field to a number; what JSON has no number for (NaN, infinity) is refused.
 */
camunda_status camunda_object_set_number(camunda_object *object,
                                         const char *key,
                                         double value,
                                         camunda_error **error);

/**
 * Sets a field to a whole number.
 */
camunda_status camunda_object_set_integer(camunda_object *object,
                                          const char *key,
                                          int64_t value,
                                          camunda_error **error);

/**
 * Sets a field to `true` or `false`.
 */
camunda_status camunda_object_set_bool(camunda_object *object,
                                       const char *key,
                                       bool value,
                                       camunda_error **error);

/**
 * Sets a field to an array of `count` strings, each NUL-terminated; `values` may be NULL where
 * `count` is 0. The texts are copied.
 */
camunda_status camunda_object_set_strings(camunda_object *object,
                                          const char *key,
                                          const char *const *values,
                                          size_t count,
                                          camunda_error **error);

/**
 * Sets a field to any JSON, given as text of `json_len` bytes, which is copied.
 */
camunda_status camunda_object_set_json(camunda_object *object,
                                       const char *key,
                                       const char *json,
                                       size_t json_len,
                                       camunda_error **error);

/**
 * The JSON of the object, NUL-terminated; `len` (or NULL) gets its length. Borrowed from `object`
 * until it is changed or freed. NULL for NULL.
 */
const char *camunda_object_json(const camunda_object *object, size_t *len);

/**
 * Frees an object, overwriting its values. NULL does nothing.
 */
void camunda_object_free(camunda_object *object);

/**
 * Creates a client of a cluster, and keeps its credentials in a new file.
 *
 * The secret is shown only once, so the file comes first: it is created with mode 0600, never over
 * another, and takes its room on the disk; then the client is created; then the file is filled and
 * flushed. If no client was created, or if that is unknown, the file is removed again. The cluster
 * is read as well, for its addresses. One deadline covers all of it.
 *
 * `json` is the body, a CreateClusterClient, as JSON text of `json_len` bytes; it is checked before
 * anything is sent, and borrowed during the call. `path` is that of the file; camunda_credentials_read
 * reads it. `value` gets a CreatedClusterClient, owned by the caller: camunda_value_free. `call` may be
 * NULL: the client's own timeout. `error` may be NULL; else it gets NULL, or what went wrong, owned by
 * the caller: camunda_error_free. Safe from several threads at once.
 *
 * Fails as camunda_cluster_client_create does, and with CAMUNDA_STATUS_IO: with the outcome
 * CAMUNDA_OUTCOME_NOT_SENT if the file exists or cannot be created, and with CAMUNDA_OUTCOME_COMPLETED if
 * it cannot be filled afterwards. The client exists then, and camunda_error_body has the response
 * with its secret.
 */
camunda_status camunda_cluster_client_create_env_file(const camunda_admin *admin,
                                                      const camunda_call_options *call,
                                                      const char *cluster_uuid,
                                                      const char *json,
                                                      size_t json_len,
                                                      const char *path,
                                                      camunda_value **value,
                                                      camunda_error **error);

/**
 * Adds an entry to a cluster's allowlist: reads, changes, writes. An entry with the same `ip` is
 * replaced. The service has no operation for this, so two of them at once can race: the later write
 * wins, and the other's change is lost.
 *
 * `call` may be NULL. `value` gets the list as it is then, owned by the caller: camunda_value_free.
 * Safe from several threads at once.
 */
camunda_status camunda_cluster_add_to_ip_allowlist(const camunda_admin *admin,
                                                   const camunda_call_options *call,
                                                   const char *cluster_uuid,
                                                   const char *ip,
                                                   const char *description,
                                                   camunda_value **value,
                                                   camunda_error **error);

/**
 * Removes the entry with that `ip` from a cluster's allowlist. Races as
 * camunda_cluster_add_to_ip_allowlist does.
 *
 * `call` may be NULL. `value` gets the list as it is then, owned by the caller: camunda_value_free.
 * Safe from several threads at once.
 */
camunda_status camunda_cluster_remove_from_ip_allowlist(const camunda_admin *admin,
                                                        const camunda_call_options *call,
                                                        const char *cluster_uuid,
                                                        const char *ip,
                                                        camunda_value **value,
                                                        camunda_error **error);

/**
 * Reaches operations that are newer than this library: any method, a path such as
 * `/clusters?new=1`, and JSON in and out, under the same token.
 *
 * `idempotency` is CAMUNDA_IDEMPOTENCY_…. `json` is the body of `json_len` bytes, or NULL for none. `call` may
 * be NULL. `value` gets the answer (`null` where it has no body), owned by the caller:
 * camunda_value_free. Safe from several threads at once.
 */
camunda_status camunda_request(const camunda_admin *admin,
                               const camunda_call_options *call,
                               int32_t idempotency,
                               const char *method,
                               const char *path,
                               const char *json,
                               size_t json_len,
                               camunda_value **value,
                               camunda_error **error);

/**
 * List clusters (`GET /clusters`).
 *
 * Lists the clusters of the organisation, all of them: there is no paging.
 *
 * On success, `*value` is a new value: an array of Cluster. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 */
camunda_status camunda_cluster_list(const camunda_admin *admin,
                                    const camunda_call_options *call,
                                    camunda_value **value,
                                    camunda_error **error);

/**
 * Create cluster (`POST /clusters`).
 *
 * Creates a cluster. Returns at once; the cluster is `Creating` for minutes. Costs money, so it is
 * never sent twice.
 *
 * `json` is the request body: a CreateCluster, encoded as JSON in UTF-8, `json_len` bytes. The
 * library validates it before it sends the request, and borrows it during the call.
 * On success, `*value` is a new value: a CreatedCluster. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 400 name too long; plan type, region, channel or generation not valid; no reservation left
 * - 503 cluster creation is not available
 */
camunda_status camunda_cluster_create(const camunda_admin *admin,
                                      const camunda_call_options *call,
                                      const char *json,
                                      size_t json_len,
                                      camunda_value **value,
                                      camunda_error **error);

/**
 * List creation parameters (`GET /clusters/parameters`).
 *
 * Lists channels with their generations, plan types and regions: the only source of the ids that
 * creating a cluster takes.
 *
 * On success, `*value` is a new value: a Parameters. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 */
camunda_status camunda_cluster_parameters(const camunda_admin *admin,
                                          const camunda_call_options *call,
                                          camunda_value **value,
                                          camunda_error **error);

/**
 * Get cluster (`GET /clusters/{clusterUuid}`).
 *
 * Reads a cluster.
 *
 * On success, `*value` is a new value: a Cluster. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 404 no such cluster
 */
camunda_status camunda_cluster_get(const camunda_admin *admin,
                                   const camunda_call_options *call,
                                   const char *cluster_uuid,
                                   camunda_value **value,
                                   camunda_error **error);

/**
 * Update cluster (`PATCH /clusters/{clusterUuid}`).
 *
 * Changes the fields that are set, and no other; an empty description clears it.
 *
 * `json` is the request body: a UpdateCluster, encoded as JSON in UTF-8, `json_len` bytes. The
 * library validates it before it sends the request, and borrows it during the call.
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 404 no such cluster
 */
camunda_status camunda_cluster_update(const camunda_admin *admin,
                                      const camunda_call_options *call,
                                      const char *cluster_uuid,
                                      const char *json,
                                      size_t json_len,
                                      camunda_error **error);

/**
 * Delete cluster (`DELETE /clusters/{clusterUuid}`).
 *
 * Deletes a cluster. Irreversible.
 *
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 404 no such cluster
 */
camunda_status camunda_cluster_delete(const camunda_admin *admin,
                                      const camunda_call_options *call,
                                      const char *cluster_uuid,
                                      camunda_error **error);

/**
 * Wake cluster (`PUT /clusters/{clusterUuid}/wake`).
 *
 * Resumes a suspended cluster, which takes minutes.
 *
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 */
camunda_status camunda_cluster_wake(const camunda_admin *admin,
                                    const camunda_call_options *call,
                                    const char *cluster_uuid,
                                    camunda_error **error);

/**
 * Upgrade cluster (`PUT /clusters/{clusterUuid}/upgrade`).
 *
 * Begins the upgrade to the newest generation of the cluster's channel, which takes minutes.
 *
 * On success, `*value` is a new value: a GenerationUpgrade. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 400 no upgrade available
 * - 404 no such cluster
 * - 409 an upgrade gate blocks it; the body names the reason and the next step
 * - 412 cluster not ready for an upgrade
 */
camunda_status camunda_cluster_upgrade(const camunda_admin *admin,
                                       const camunda_call_options *call,
                                       const char *cluster_uuid,
                                       camunda_value **value,
                                       camunda_error **error);

/**
 * Update cluster encryption (`PUT /clusters/{clusterUuid}/encryption`).
 *
 * Sets or rotates the customer's own AWS KMS keys. The second key is given exactly for dual-region
 * clusters. In use once `encryption.status` is `Ready`.
 *
 * `json` is the request body: a UpdateEncryption, encoded as JSON in UTF-8, `json_len` bytes. The
 * library validates it before it sends the request, and borrows it during the call.
 * On success, `*value` is a new value: a Cluster. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 400 malformed ARN, region mismatch, or the second key missing or unwanted
 * - 403 not on this plan, or the region is not AWS
 * - 404 no such cluster
 * - 409 cluster was not created with External encryption
 */
camunda_status camunda_cluster_set_encryption(const camunda_admin *admin,
                                              const camunda_call_options *call,
                                              const char *cluster_uuid,
                                              const char *json,
                                              size_t json_len,
                                              camunda_value **value,
                                              camunda_error **error);

/**
 * Set IP allowlist (`PUT /clusters/{clusterUuid}/ipallowlist`).
 *
 * Replaces the whole list of addresses that may reach the cluster; an empty list removes it. Each
 * `ip` is a CIDR or several with commas between them.
 *
 * `json` is the request body: a UpdateIpAllowlist, encoded as JSON in UTF-8, `json_len` bytes. The
 * library validates it before it sends the request, and borrows it during the call.
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 */
camunda_status camunda_cluster_set_ip_allowlist(const camunda_admin *admin,
                                                const camunda_call_options *call,
                                                const char *cluster_uuid,
                                                const char *json,
                                                size_t json_len,
                                                camunda_error **error);

/**
 * Trigger failover (`POST /clusters/{clusterUuid}/failover`).
 *
 * Makes a new cluster in the paired region from the backups and suspends the source for ever. Not
 * enabled for every organisation. Never sent twice.
 *
 * `json` is the request body: a TriggerFailover, encoded as JSON in UTF-8, `json_len` bytes. The
 * library validates it before it sends the request, and borrows it during the call.
 * On success, `*value` is a new value: a FailoverResult. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 400 backup ids missing, empty or not valid
 * - 403 cluster belongs to another organisation
 * - 404 no such cluster or backup
 * - 409 already failed over, or not ready yet (see message)
 * - 422 not multi-region, or its region pair has no failover
 */
camunda_status camunda_cluster_fail_over(const camunda_admin *admin,
                                         const camunda_call_options *call,
                                         const char *cluster_uuid,
                                         const char *json,
                                         size_t json_len,
                                         camunda_value **value,
                                         camunda_error **error);

/**
 * List clients (`GET /clusters/{clusterUuid}/clients`).
 *
 * Lists the clients of the cluster. The only place that tells a client's permissions.
 *
 * On success, `*value` is a new value: an array of ClusterClient. Free it with
 * camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 cluster belongs to another organisation
 * - 404 no such cluster
 */
camunda_status camunda_cluster_client_list(const camunda_admin *admin,
                                           const camunda_call_options *call,
                                           const char *cluster_uuid,
                                           camunda_value **value,
                                           camunda_error **error);

/**
 * Create client (`POST /clusters/{clusterUuid}/clients`).
 *
 * Creates a client of the cluster; without permissions it gets all of them. An empty list of
 * permissions is not accepted. The answer is the ONLY time that the secret is shown. Never sent
 * twice.
 *
 * `json` is the request body: a CreateClusterClient, encoded as JSON in UTF-8, `json_len` bytes.
 * The library validates it before it sends the request, and borrows it during the call.
 * On success, `*value` is a new value: a CreatedClusterClient. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 400 client names must be unique
 * - 403 maximum number of clients reached, or cluster belongs to another organisation
 * - 404 no such cluster
 */
camunda_status camunda_cluster_client_create(const camunda_admin *admin,
                                             const camunda_call_options *call,
                                             const char *cluster_uuid,
                                             const char *json,
                                             size_t json_len,
                                             camunda_value **value,
                                             camunda_error **error);

/**
 * Get client (`GET /clusters/{clusterUuid}/clients/{clientId}`).
 *
 * Reads how to connect as a client, its secret left out.
 *
 * On success, `*value` is a new value: a ClusterClientConnectionDetails. Free it with
 * camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 cluster belongs to another organisation
 * - 404 no such cluster or client
 * - 412 cluster not ready; try later
 */
camunda_status camunda_cluster_client_get(const camunda_admin *admin,
                                          const camunda_call_options *call,
                                          const char *cluster_uuid,
                                          const char *client_id,
                                          camunda_value **value,
                                          camunda_error **error);

/**
 * Delete client (`DELETE /clusters/{clusterUuid}/clients/{clientId}`).
 *
 * Deletes a client. Irreversible.
 *
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 cluster belongs to another organisation
 * - 404 no such cluster or client
 */
camunda_status camunda_cluster_client_delete(const camunda_admin *admin,
                                             const camunda_call_options *call,
                                             const char *cluster_uuid,
                                             const char *client_id,
                                             camunda_error **error);

/**
 * List backups (`GET /clusters/{clusterUuid}/backups`).
 *
 * Lists the backups of the cluster.
 *
 * On success, `*value` is a new value: an array of Backup. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 cluster belongs to another organisation
 * - 404 no such cluster
 */
camunda_status camunda_backup_list(const camunda_admin *admin,
                                   const camunda_call_options *call,
                                   const char *cluster_uuid,
                                   camunda_value **value,
                                   camunda_error **error);

/**
 * Create backup (`POST /clusters/{clusterUuid}/backups`).
 *
 * Begins a backup, which takes minutes; at most one every 15 minutes. Never sent twice.
 *
 * On success, `*value` is a new value: a Backup. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 404 no such cluster
 */
camunda_status camunda_backup_create(const camunda_admin *admin,
                                     const camunda_call_options *call,
                                     const char *cluster_uuid,
                                     camunda_value **value,
                                     camunda_error **error);

/**
 * Delete backup (`DELETE /clusters/{clusterUuid}/backups/{backupId}`).
 *
 * Deletes a backup and answers it. Irreversible.
 *
 * On success, `*value` is a new value: a Backup. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 cluster belongs to another organisation
 */
camunda_status camunda_backup_delete(const camunda_admin *admin,
                                     const camunda_call_options *call,
                                     const char *cluster_uuid,
                                     const char *backup_id,
                                     camunda_value **value,
                                     camunda_error **error);

/**
 * Get restore (`GET /clusters/{clusterUuid}/backups/{backupId}/restore`).
 *
 * Reads the latest restore of the backup.
 *
 * On success, `*value` is a new value: a Restore. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 cluster belongs to another organisation
 * - 404 no restore was ever triggered for this backup
 */
camunda_status camunda_backup_restore_status(const camunda_admin *admin,
                                             const camunda_call_options *call,
                                             const char *cluster_uuid,
                                             const char *backup_id,
                                             camunda_value **value,
                                             camunda_error **error);

/**
 * Restore from backup (`POST /clusters/{clusterUuid}/backups/{backupId}/restore`).
 *
 * Begins a restore onto the source cluster, which the service suspends and resumes; takes minutes.
 * Never sent twice.
 *
 * On success, `*value` is a new value: a Restore. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 cluster belongs to another organisation
 * - 404 no such cluster or backup
 * - 409 backup of an unknown generation, or a restore in flight
 */
camunda_status camunda_backup_restore(const camunda_admin *admin,
                                      const camunda_call_options *call,
                                      const char *cluster_uuid,
                                      const char *backup_id,
                                      camunda_value **value,
                                      camunda_error **error);

/**
 * Get backup schedule (`GET /clusters/{clusterUuid}/backups/schedule`).
 *
 * Reads the backup schedule; there is at most one per cluster.
 *
 * On success, `*value` is a new value: a BackupSchedule. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 cluster belongs to another organisation
 * - 404 no schedule configured
 */
camunda_status camunda_backup_schedule(const camunda_admin *admin,
                                       const camunda_call_options *call,
                                       const char *cluster_uuid,
                                       camunda_value **value,
                                       camunda_error **error);

/**
 * Set backup schedule (`PUT /clusters/{clusterUuid}/backups/schedule`).
 *
 * Makes backups by a five-field cron expression in UTC, at most once every 15 minutes. Replaces
 * the schedule there is.
 *
 * `json` is the request body: a SetBackupSchedule, encoded as JSON in UTF-8, `json_len` bytes. The
 * library validates it before it sends the request, and borrows it during the call.
 * On success, `*value` is a new value: a BackupSchedule. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 400 not a valid cron expression
 * - 403 cluster belongs to another organisation
 * - 404 no such cluster
 */
camunda_status camunda_backup_set_schedule(const camunda_admin *admin,
                                           const camunda_call_options *call,
                                           const char *cluster_uuid,
                                           const char *json,
                                           size_t json_len,
                                           camunda_value **value,
                                           camunda_error **error);

/**
 * Delete backup schedule (`DELETE /clusters/{clusterUuid}/backups/schedule`).
 *
 * Ends scheduled backups; those made so far stay. Succeeds where there is no schedule.
 *
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 cluster belongs to another organisation
 * - 404 no such cluster
 */
camunda_status camunda_backup_delete_schedule(const camunda_admin *admin,
                                              const camunda_call_options *call,
                                              const char *cluster_uuid,
                                              camunda_error **error);

/**
 * List secrets (`GET /clusters/{clusterUuid}/secrets`).
 *
 * Lists the connector secrets of the cluster, name to VALUE: the answer itself is secret.
 *
 * On success, `*value` is a new value: an object that maps secret names to secret values. Free it
 * with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 cluster belongs to another organisation
 * - 404 no such cluster
 */
camunda_status camunda_secret_list(const camunda_admin *admin,
                                   const camunda_call_options *call,
                                   const char *cluster_uuid,
                                   camunda_value **value,
                                   camunda_error **error);

/**
 * Create secret (`POST /clusters/{clusterUuid}/secrets`).
 *
 * Creates a connector secret; its name has fewer than 50 characters.
 *
 * `json` is the request body: a CreateSecret, encoded as JSON in UTF-8, `json_len` bytes. The
 * library validates it before it sends the request, and borrows it during the call.
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 400 name has 50 characters or more
 * - 403 maximum number of secrets reached, or cluster belongs to another organisation
 * - 404 no such cluster
 * - 409 name taken, or another change to the secrets is in progress (then try again)
 */
camunda_status camunda_secret_create(const camunda_admin *admin,
                                     const camunda_call_options *call,
                                     const char *cluster_uuid,
                                     const char *json,
                                     size_t json_len,
                                     camunda_error **error);

/**
 * Update secret (`PUT /clusters/{clusterUuid}/secrets/{secretName}`).
 *
 * Gives a connector secret another value.
 *
 * `json` is the request body: a UpdateSecret, encoded as JSON in UTF-8, `json_len` bytes. The
 * library validates it before it sends the request, and borrows it during the call.
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 cluster belongs to another organisation
 * - 404 no such cluster
 * - 409 another change to the secrets is in progress: try again
 */
camunda_status camunda_secret_update(const camunda_admin *admin,
                                     const camunda_call_options *call,
                                     const char *cluster_uuid,
                                     const char *secret_name,
                                     const char *json,
                                     size_t json_len,
                                     camunda_error **error);

/**
 * Delete secret (`DELETE /clusters/{clusterUuid}/secrets/{secretName}`).
 *
 * Deletes a connector secret, which may still be listed for a short while. Irreversible.
 *
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 cluster belongs to another organisation
 * - 409 another change to the secrets is in progress: try again
 */
camunda_status camunda_secret_delete(const camunda_admin *admin,
                                     const camunda_call_options *call,
                                     const char *cluster_uuid,
                                     const char *secret_name,
                                     camunda_error **error);

/**
 * Activate monitoring (`POST /clusters/{clusterUuid}/monitoring`).
 *
 * Switches external (bring-your-own) monitoring on.
 *
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 cluster belongs to another organisation
 * - 404 no such cluster
 * - 409 already active
 */
camunda_status camunda_monitoring_activate(const camunda_admin *admin,
                                           const camunda_call_options *call,
                                           const char *cluster_uuid,
                                           camunda_error **error);

/**
 * Deactivate monitoring (`DELETE /clusters/{clusterUuid}/monitoring`).
 *
 * Switches external monitoring off.
 *
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 cluster belongs to another organisation
 * - 404 no such cluster
 * - 409 not active
 */
camunda_status camunda_monitoring_deactivate(const camunda_admin *admin,
                                             const camunda_call_options *call,
                                             const char *cluster_uuid,
                                             camunda_error **error);

/**
 * List monitoring clients (`GET /clusters/{clusterUuid}/monitoring/clients`).
 *
 * Reads the monitoring clients and how monitoring is; its `status` is an empty object while it is
 * off.
 *
 * On success, `*value` is a new value: a Monitoring. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 cluster belongs to another organisation
 * - 404 no such cluster
 */
camunda_status camunda_monitoring_get(const camunda_admin *admin,
                                      const camunda_call_options *call,
                                      const char *cluster_uuid,
                                      camunda_value **value,
                                      camunda_error **error);

/**
 * Create monitoring client (`POST /clusters/{clusterUuid}/monitoring/clients`).
 *
 * Creates a monitoring client. The password is shown this once. Never sent twice.
 *
 * `json` is the request body: a CreateMonitoringClient, encoded as JSON in UTF-8, `json_len`
 * bytes. The library validates it before it sends the request, and borrows it during the call.
 * On success, `*value` is a new value: a CreatedMonitoringClient. Free it with
 * camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 404 no such cluster
 */
camunda_status camunda_monitoring_create_client(const camunda_admin *admin,
                                                const camunda_call_options *call,
                                                const char *cluster_uuid,
                                                const char *json,
                                                size_t json_len,
                                                camunda_value **value,
                                                camunda_error **error);

/**
 * Delete monitoring client (`DELETE /clusters/{clusterUuid}/monitoring/clients/{clientUuid}`).
 *
 * Deletes a monitoring client. Irreversible.
 *
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 cluster belongs to another organisation
 * - 404 no such client
 */
camunda_status camunda_monitoring_delete_client(const camunda_admin *admin,
                                                const camunda_call_options *call,
                                                const char *cluster_uuid,
                                                const char *client_uuid,
                                                camunda_error **error);

/**
 * Rotate monitoring client password (`POST
 * /clusters/{clusterUuid}/monitoring/clients/{clientUuid}/rotate`).
 *
 * Gives a monitoring client another password, which is shown this once. Never sent twice.
 *
 * On success, `*value` is a new value: a CreatedMonitoringClient. Free it with
 * camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 cluster belongs to another organisation
 * - 404 no such client
 */
camunda_status camunda_monitoring_rotate_password(const camunda_admin *admin,
                                                  const camunda_call_options *call,
                                                  const char *cluster_uuid,
                                                  const char *client_uuid,
                                                  camunda_value **value,
                                                  camunda_error **error);

/**
 * Get secure connectivity (`GET /clusters/{clusterUuid}/secure-connectivity`).
 *
 * Reads the secure connectivity; its `status` is an empty object while it is off.
 *
 * On success, `*value` is a new value: a SecureConnectivityStatus. Free it with
 * camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 cluster belongs to another organisation
 * - 404 no such cluster
 */
camunda_status camunda_secure_connectivity_get(const camunda_admin *admin,
                                               const camunda_call_options *call,
                                               const char *cluster_uuid,
                                               camunda_value **value,
                                               camunda_error **error);

/**
 * Activate secure connectivity (`POST /clusters/{clusterUuid}/secure-connectivity`).
 *
 * Switches secure connectivity on, for these principals and regions.
 *
 * `json` is the request body: a ActivateSecureConnectivity, encoded as JSON in UTF-8, `json_len`
 * bytes. The library validates it before it sends the request, and borrows it during the call.
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 cluster belongs to another organisation
 * - 404 no such cluster
 * - 409 already active
 */
camunda_status camunda_secure_connectivity_activate(const camunda_admin *admin,
                                                    const camunda_call_options *call,
                                                    const char *cluster_uuid,
                                                    const char *json,
                                                    size_t json_len,
                                                    camunda_error **error);

/**
 * Deactivate secure connectivity (`DELETE /clusters/{clusterUuid}/secure-connectivity`).
 *
 * Switches secure connectivity off.
 *
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 cluster belongs to another organisation
 * - 404 no such cluster
 * - 409 not active
 */
camunda_status camunda_secure_connectivity_deactivate(const camunda_admin *admin,
                                                      const camunda_call_options *call,
                                                      const char *cluster_uuid,
                                                      camunda_error **error);

/**
 * List members (`GET /members`).
 *
 * Lists members and pending invites.
 *
 * On success, `*value` is a new value: an array of Member. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 missing permission
 */
camunda_status camunda_member_list(const camunda_admin *admin,
                                   const camunda_call_options *call,
                                   camunda_value **value,
                                   camunda_error **error);

/**
 * Set member roles (`POST /members/{email}`).
 *
 * Invites the member where needed, else replaces the roles. Since 8.8 `operationsengineer`,
 * `taskuser`, `developer` and `visitor` are discouraged.
 *
 * `json` is the request body: a SetMemberRoles, encoded as JSON in UTF-8, `json_len` bytes. The
 * library validates it before it sends the request, and borrows it during the call.
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 400 a role is not valid
 * - 403 missing permission, or no seat left
 */
camunda_status camunda_member_set_roles(const camunda_admin *admin,
                                        const camunda_call_options *call,
                                        const char *email,
                                        const char *json,
                                        size_t json_len,
                                        camunda_error **error);

/**
 * Delete member (`DELETE /members/{email}`).
 *
 * Removes a member from the organisation.
 *
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 missing permission
 * - 404 not a member of the organisation
 */
camunda_status camunda_member_delete(const camunda_admin *admin,
                                     const camunda_call_options *call,
                                     const char *email,
                                     camunda_error **error);

/**
 * List activity events (`GET /activity/json`).
 *
 * Lists what was done in the organisation.
 *
 * On success, `*value` is a new value: an array of AuditEvent. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 missing permission
 */
camunda_status camunda_activity_list(const camunda_admin *admin,
                                     const camunda_call_options *call,
                                     camunda_value **value,
                                     camunda_error **error);

/**
 * Activity events as CSV (`GET /activity/csv`).
 *
 * Writes what was done in the organisation as CSV text.
 *
 * `sink` receives the response body in chunks, on the calling thread, with `user` passed
 * unchanged. It returns 0 to continue; any other value ends the call with CAMUNDA_STATUS_IO.
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 *
 * Error responses of the API:
 * - 403 missing permission
 */
camunda_status camunda_activity_csv(const camunda_admin *admin,
                                    const camunda_call_options *call,
                                    camunda_write_fn sink,
                                    void *user,
                                    camunda_error **error);

/**
 * List egress IP ranges (`GET /meta/ip-ranges`).
 *
 * Lists the addresses from which the service calls out. Changes are published here 24 hours ahead.
 * The one operation without a token.
 *
 * On success, `*value` is a new value: a IpRanges. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 */
camunda_status camunda_ip_ranges(const camunda_admin *admin,
                                 const camunda_call_options *call,
                                 camunda_value **value,
                                 camunda_error **error);

/**
 * Wait until healthy.
 *
 * Waits until the cluster is `Healthy` on two looks in a row, and answers it. Fails at once where
 * it is suspended, waits for input of its owner, or is gone.
 *
 * The timeout of `call` limits the whole wait; default: 30 minutes. The progress callback of
 * `call` receives the resource after each poll. Returns CAMUNDA_STATUS_WAIT_FAILED when the
 * resource can no longer reach the state.
 *
 * On success, `*value` is a new value: a Cluster. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 */
camunda_status camunda_cluster_wait_until_healthy(const camunda_admin *admin,
                                                  const camunda_call_options *call,
                                                  const char *cluster_uuid,
                                                  camunda_value **value,
                                                  camunda_error **error);

/**
 * Wait until gone.
 *
 * Waits until the cluster is no longer there, after its deletion.
 *
 * The timeout of `call` limits the whole wait; default: 30 minutes. The progress callback of
 * `call` receives the resource after each poll. Returns CAMUNDA_STATUS_WAIT_FAILED when the
 * resource can no longer reach the state.
 *
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 */
camunda_status camunda_cluster_wait_until_deleted(const camunda_admin *admin,
                                                  const camunda_call_options *call,
                                                  const char *cluster_uuid,
                                                  camunda_error **error);

/**
 * Wait until upgraded.
 *
 * Waits until the cluster runs that generation (the `newGeneration.id` of the upgrade's answer)
 * and is `Healthy` on two looks in a row, and answers it. Fails at once where it waits for input
 * of its owner, or is gone.
 *
 * The timeout of `call` limits the whole wait; default: 30 minutes. The progress callback of
 * `call` receives the resource after each poll. Returns CAMUNDA_STATUS_WAIT_FAILED when the
 * resource can no longer reach the state.
 *
 * On success, `*value` is a new value: a Cluster. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 */
camunda_status camunda_cluster_wait_until_upgraded(const camunda_admin *admin,
                                                   const camunda_call_options *call,
                                                   const char *cluster_uuid,
                                                   const char *generation_id,
                                                   camunda_value **value,
                                                   camunda_error **error);

/**
 * Wait until woken.
 *
 * Waits, after `wake`, until the cluster is `Healthy` on two looks in a row, and answers it. Fails
 * at once where it waits for input of its owner, or is gone.
 *
 * The timeout of `call` limits the whole wait; default: 30 minutes. The progress callback of
 * `call` receives the resource after each poll. Returns CAMUNDA_STATUS_WAIT_FAILED when the
 * resource can no longer reach the state.
 *
 * On success, `*value` is a new value: a Cluster. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 */
camunda_status camunda_cluster_wait_until_woken(const camunda_admin *admin,
                                                const camunda_call_options *call,
                                                const char *cluster_uuid,
                                                camunda_value **value,
                                                camunda_error **error);

/**
 * Wait until encrypted.
 *
 * Waits, after keys were set, until `encryption.status` is `Ready`, and answers the cluster. Fails
 * at once where the key could not be set up, or the cluster is gone.
 *
 * The timeout of `call` limits the whole wait; default: 30 minutes. The progress callback of
 * `call` receives the resource after each poll. Returns CAMUNDA_STATUS_WAIT_FAILED when the
 * resource can no longer reach the state.
 *
 * On success, `*value` is a new value: a Cluster. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 */
camunda_status camunda_cluster_wait_until_encrypted(const camunda_admin *admin,
                                                    const camunda_call_options *call,
                                                    const char *cluster_uuid,
                                                    camunda_value **value,
                                                    camunda_error **error);

/**
 * Wait until backup complete.
 *
 * Waits until the backup is complete, and answers it. Fails at once where it failed, or is not
 * among the cluster's backups.
 *
 * The timeout of `call` limits the whole wait; default: 30 minutes. The progress callback of
 * `call` receives the resource after each poll. Returns CAMUNDA_STATUS_WAIT_FAILED when the
 * resource can no longer reach the state.
 *
 * On success, `*value` is a new value: a Backup. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 */
camunda_status camunda_backup_wait_until_complete(const camunda_admin *admin,
                                                  const camunda_call_options *call,
                                                  const char *cluster_uuid,
                                                  const char *backup_id,
                                                  camunda_value **value,
                                                  camunda_error **error);

/**
 * Wait until restored.
 *
 * Waits until the latest restore of the backup is completed, and answers it. Fails at once where
 * it failed or was aborted.
 *
 * The timeout of `call` limits the whole wait; default: 30 minutes. The progress callback of
 * `call` receives the resource after each poll. Returns CAMUNDA_STATUS_WAIT_FAILED when the
 * resource can no longer reach the state.
 *
 * On success, `*value` is a new value: a Restore. Free it with camunda_value_free().
 * If `call` is NULL, default options apply. `error` may be NULL; otherwise `*error` is NULL on
 * success and a new error on failure. Free it with camunda_error_free(). Thread-safe.
 */
camunda_status camunda_backup_wait_until_restored(const camunda_admin *admin,
                                                  const camunda_call_options *call,
                                                  const char *cluster_uuid,
                                                  const char *backup_id,
                                                  camunda_value **value,
                                                  camunda_error **error);

/**
 * Returns a new shutdown. Free it with camunda_shutdown_free(). Clients join it by
 * camunda_config_set_shutdown().
 */
camunda_shutdown *camunda_shutdown_new(void);

/**
 * Shuts down all clients that joined, for good.
 *
 * Calls in progress on other threads end with CAMUNDA_STATUS_CANCELLED, and new ones do so without
 * sending anything. Waits until those in progress have returned, at most `timeout` seconds. After
 * that, no callback of these clients is entered on another thread: progress, log, interrupt, sink and
 * token store functions. A thread that is unwound while it still runs such a callback (pthread_exit)
 * stops where it is until the process ends.
 *
 * Calls of the thread that calls this function are not affected, so that a program can still clean
 * up. Returns whether all calls have ended. NULL is ignored, and returns true.
 */
bool camunda_shutdown_start(const camunda_shutdown *shutdown,
                            double timeout);

/**
 * Returns whether the calls of this thread end because of camunda_shutdown_start(). False for NULL.
 */
bool camunda_shutdown_stops_calls(const camunda_shutdown *shutdown);

/**
 * Frees a shutdown; clients that joined it remain valid. NULL is ignored.
 */
void camunda_shutdown_free(camunda_shutdown *shutdown);

/**
 * A token of the client's credentials for an audience, or for its own audience where `audience` is
 * NULL. Comes from the same cache as the tokens of the calls, so it costs a token request only where
 * no process of the machine has one.
 *
 * `call` may be NULL. `token` gets the token, owned by the caller: camunda_token_free. Safe from
 * several threads at once.
 */
camunda_status camunda_admin_token(const camunda_admin *admin,
                                   const camunda_call_options *call,
                                   const char *audience,
                                   camunda_token **token,
                                   camunda_error **error);

/**
 * Says that the token was not accepted: drops it, here and in the shared store, unless a newer one
 * is there already. The next camunda_admin_token asks for another. `audience` as it was there.
 */
camunda_status camunda_admin_invalidate_token(const camunda_admin *admin,
                                              const char *audience,
                                              const camunda_token *token,
                                              camunda_error **error);

/**
 * The token itself, NUL-terminated; `len` (or NULL) gets its length. Keep it out of logs. NULL for
 * NULL. Borrowed from `token`.
 */
const char *camunda_token_str(const camunda_token *token, size_t *len);

/**
 * When the token expires, in milliseconds since 1970 (UTC) by this machine's clock. 0 for NULL.
 */
int64_t camunda_token_expires_at(const camunda_token *token);

/**
 * Frees a token, overwriting its bytes. NULL does nothing.
 */
void camunda_token_free(camunda_token *token);

/**
 * What a value is: CAMUNDA_KIND_…. NULL reads as CAMUNDA_KIND_NULL.
 */
int32_t camunda_value_kind(const camunda_value *value);

/**
 * How many elements an array has, or fields an object; 0 for anything else, NULL included.
 */
size_t camunda_value_len(const camunda_value *value);

/**
 * The field of that name; NULL where there is none, or `value` is no object. Borrowed from `value`.
 */
const camunda_value *camunda_value_get(const camunda_value *value, const char *key);

/**
 * The value at a path of fields and indexes with dots between them, such as `status.ready` or
 * `channels.0.name`; NULL where there is none. Borrowed from `value`.
 */
const camunda_value *camunda_value_path(const camunda_value *value, const char *path);

/**
 * The element of an array, or the field of an object, at that index; NULL beyond the last one.
 * Borrowed from `value`.
 */
const camunda_value *camunda_value_at(const camunda_value *value, size_t index);

/**
 * The name of the field of an object at that index, NUL-terminated; `len` (or NULL) gets its
 * length. Where its escapes make no text, such as half a surrogate pair, U+FFFD is in their place.
 * NULL beyond the last one. Borrowed from `value`.
 */
const char *camunda_value_key(const camunda_value *value, size_t index, size_t *len);

/**
 * The text of a string, NUL-terminated; `len` (or NULL) gets its length, which tells where the
 * text has a NUL of its own. NULL for anything else. Borrowed from `value`.
 */
const char *camunda_value_str(const camunda_value *value, size_t *len);

/**
 * A number as the nearest double; `fallback` for anything else. camunda_value_json has all digits.
 */
double camunda_value_number(const camunda_value *value, double fallback);

/**
 * A whole number; `fallback` for anything else, one that does not fit included.
 */
int64_t camunda_value_integer(const camunda_value *value, int64_t fallback);

/**
 * Whether it is `true`; `fallback` for anything but `true` and `false`.
 */
bool camunda_value_bool(const camunda_value *value, bool fallback);

/**
 * The JSON of a value, NUL-terminated; `len` (or NULL) gets its length. Of a whole answer these are
 * the bytes that came. NULL for NULL. Borrowed from `value`.
 */
const char *camunda_value_json(const camunda_value *value, size_t *len);

/**
 * Reads JSON text of `json_len` bytes into a value of the caller's own: camunda_value_free.
 * CAMUNDA_STATUS_INVALID_ARGUMENT where it is not JSON in UTF-8.
 */
camunda_status camunda_value_parse(const char *json,
                                   size_t json_len,
                                   camunda_value **value,
                                   camunda_error **error);

/**
 * Frees a value that the caller owns, overwriting its bytes, and with it all its parts. NULL does
 * nothing; never call it for a part.
 */
void camunda_value_free(camunda_value *value);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CAMUNDA_ADMIN_H */
