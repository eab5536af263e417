/**
 * @file camunda_admin.h
 * Client for the Camunda 8 Administration API (SaaS).
 *
 * Conventions of all functions:
 *
 * - Ownership. The caller owns a non-const pointer that a function returns or stores in an out pointer,
 *   and frees it with the `_free` function of its type; `_free(NULL)` is ignored. A const pointer is
 *   borrowed; the function documents from which object. No function takes ownership of its arguments:
 *   strings and bytes are copied, or borrowed during the call.
 * - Errors. A function that can fail returns a camunda_status: CAMUNDA_STATUS_OK (0) or the kind of the
 *   error. Its last parameter is a camunda_error **. It may be NULL; otherwise `*error` is NULL on
 *   success and a new error on failure. Free it with camunda_error_free(). Every out pointer is set to
 *   NULL on entry.
 * - NULL. If a required handle, string or out pointer is NULL, a function returns
 *   CAMUNDA_STATUS_INVALID_ARGUMENT. Accessors accept NULL and return their documented fallback.
 * - Strings. Arguments are NUL-terminated UTF-8; other encodings return
 *   CAMUNDA_STATUS_INVALID_ARGUMENT. Bodies are a pointer and a length. Returned strings are
 *   NUL-terminated, and have a length if they may contain a NUL.
 * - Threads. Thread-safe are camunda_admin, camunda_cancel, camunda_shutdown, and the immutable
 *   camunda_value, camunda_error and camunda_token. Use camunda_config and camunda_object from one
 *   thread at a time, and do not change camunda_call_options during a call that uses it.
 * - Deadlines. A call blocks for at most 60 s (setting `timeout`,
 *   camunda_call_options_set_timeout()), a waiter for at most 30 minutes.
 * - fork. A client created before a fork works in the child: with new connections, and with the tokens
 *   and rate limits of its parent. A fork waits for the library's critical sections (microseconds). If
 *   a callback forks, its call returns CAMUNDA_STATUS_CANCELLED in the child.
 * - Callbacks must not throw, longjmp or end their thread.
 * - exit. A program may exit while its threads are in calls: the library has no state that exit()
 *   destroys. Callbacks run until the process has ended. Keep their data valid until then, or call
 *   camunda_shutdown_start() first. Functions registered with atexit() can make calls.
 *
 * Generated from src/ffi. Do not edit.
 */


#ifndef CAMUNDA_ADMIN_H
#define CAMUNDA_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The version of this header. */
#define CAMUNDA_VERSION "0.1.0"

/**
 * The ABI version of this header. It increases with every change that breaks programs built against
 * an older header.
 */
#define CAMUNDA_ABI_VERSION 1

/**
 * Before any request: settings and arguments.
 */
#define CAMUNDA_STAGE_CONFIG 1

/**
 * Obtaining an access token.
 */
#define CAMUNDA_STAGE_TOKEN 2

/**
 * Sending the request, or receiving its response.
 */
#define CAMUNDA_STAGE_REQUEST 3

/**
 * Decoding the response.
 */
#define CAMUNDA_STAGE_DECODE 4

/**
 * The request did not reach the API: it was not executed.
 */
#define CAMUNDA_OUTCOME_NOT_SENT 1

/**
 * The API received the request and did not execute it.
 */
#define CAMUNDA_OUTCOME_REJECTED 2

/**
 * The API may have executed the request. Check the resource before you retry a change; a read can be
 * retried.
 */
#define CAMUNDA_OUTCOME_UNKNOWN 3

/**
 * The API executed the request, but the response was lost or cannot be decoded.
 */
#define CAMUNDA_OUTCOME_COMPLETED 4

/**
 * Level error.
 */
#define CAMUNDA_LOG_ERROR 1

/**
 * Level warning: problems that need an operator, such as a token store that fails.
 */
#define CAMUNDA_LOG_WARN 2

/**
 * Level info: events of interest to operators, such as retries.
 */
#define CAMUNDA_LOG_INFO 3

/**
 * Level debug: each request.
 */
#define CAMUNDA_LOG_DEBUG 4

/**
 * Level trace: all events.
 */
#define CAMUNDA_LOG_TRACE 5

/**
 * By the method: GET is safe, all other methods are non-idempotent.
 */
#define CAMUNDA_IDEMPOTENCY_BY_METHOD 0

/**
 * Safe: the request changes nothing. The library retries it after transient errors.
 */
#define CAMUNDA_IDEMPOTENCY_SAFE 1

/**
 * Idempotent: executing the request twice has the same effect as once. The library retries it after
 * transient errors.
 */
#define CAMUNDA_IDEMPOTENCY_IDEMPOTENT 2

/**
 * Non-idempotent: the library retries the request only if no byte of it was sent.
 */
#define CAMUNDA_IDEMPOTENCY_NON_IDEMPOTENT 3

/**
 * `null`, or a NULL pointer.
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
 * Client for the Camunda 8 Administration API. Thread-safe.
 */
typedef struct camunda_admin camunda_admin;

/**
 * Options of single calls.
 *
 * Several calls may use the same options concurrently. Do not change them during a call.
 */
typedef struct camunda_call_options camunda_call_options;

/**
 * Cancels calls from another thread or from a signal handler.
 */
typedef struct camunda_cancel camunda_cancel;

/**
 * Settings of a client. Not thread-safe: use it from one thread at a time.
 */
typedef struct camunda_config camunda_config;

/**
 * Error of a function call. Immutable; several threads may read it concurrently.
 */
typedef struct camunda_error camunda_error;

/**
 * Builder of a JSON object, for the body of an operation.
 *
 * Setting a field again replaces its value. Not thread-safe: use it from one thread at a time.
 */
typedef struct camunda_object camunda_object;

/**
 * Shuts down clients as a group: cancels their calls and disables their callbacks. For language
 * runtimes whose threads cannot enter the runtime once the program exits. Thread-safe.
 */
typedef struct camunda_shutdown camunda_shutdown;

/**
 * OAuth 2.0 access token. Immutable; several threads may read it concurrently.
 */
typedef struct camunda_token camunda_token;

/**
 * A JSON value: a response, or a part of one.
 *
 * The caller owns a value that a function stores in an out pointer. Parts are borrowed from it and are
 * invalid after it is freed. Immutable; several threads may read it concurrently. If an object has a
 * key twice, the last one applies. A value uses at most eight times the size of its JSON in memory,
 * plus the copies that camunda_value_json() makes of parts.
 */
typedef struct camunda_value camunda_value;

/**
 * Result of a function call: CAMUNDA_STATUS_OK or the kind of the error. Later versions may add
 * values; treat an unknown value as an error.
 */
typedef int32_t camunda_status;

/**
 * Progress callback of a waiter, called after each successful poll, on the calling thread, during the
 * call only. `resource` is the cluster, backup or restore as just polled; it is borrowed during the
 * callback.
 */
typedef void (*camunda_progress_fn)(void *user, const camunda_value *resource);

/**
 * Interrupt check, called about every 20 ms while a call waits, on the calling thread. A non-zero
 * return value cancels the call. For language runtimes that run their own signal handlers.
 */
typedef int32_t (*camunda_interrupt_check_fn)(void *user);

/**
 * Log callback: receives the level (CAMUNDA_LOG_…), the module that logs, and a message without
 * secrets. Runs on the calling thread, during calls only. The strings are borrowed during the
 * callback.
 */
typedef void (*camunda_log_fn)(void *user, int32_t level, const char *target, const char *message);

/**
 * Write callback: receives a chunk of `len` bytes, on the calling thread. The chunk is not
 * NUL-terminated, and is borrowed during the callback. Return 0 to continue; any other value ends the
 * call.
 */
typedef int32_t (*camunda_write_fn)(void *user, const char *data, size_t len);

/**
 * Reads the value of `name`: passes it to `write`, in one or several chunks, with `value` as the
 * `user` of `write`. Does not call `write` if there is no value or if it has expired. Returns 0 on
 * success, else an `errno` value.
 */
typedef int32_t (*camunda_token_store_get_fn)(void *user,
                                              const char *name,
                                              camunda_write_fn write,
                                              void *value);

/**
 * Stores `len` bytes under `name` and replaces the previous value. Must be atomic: a concurrent reader
 * gets the old or the new value, never a mix. The value expires after `ttl_ms` milliseconds; the store
 * may then delete it. Returns 0 on success, else an `errno` value.
 */
typedef int32_t (*camunda_token_store_put_fn)(void *user,
                                              const char *name,
                                              const char *data,
                                              size_t len,
                                              uint64_t ttl_ms);

/**
 * Tries to acquire the lock of `name`, without blocking. On success, sets `*lock` to a non-NULL pointer,
 * which the library passes to camunda_token_store_unlock_fn. If another owner holds the lock, leaves
 * `*lock` NULL. Returns 0 in both cases, else an `errno` value.
 *
 * If the owner terminates without releasing the lock, the store must release it: immediately if it can
 * detect that, else after `lease_ms` milliseconds. Locks and values have separate namespaces: a lock
 * and a value may have the same name.
 */
typedef int32_t (*camunda_token_store_try_lock_fn)(void *user,
                                                   const char *name,
                                                   uint64_t lease_ms,
                                                   void **lock);

/**
 * Releases a lock. May run on a different thread than the one that acquired it.
 */
typedef void (*camunda_token_store_unlock_fn)(void *user, void *lock);

/**
 * Returns a description of the store for logs and diagnostics, without passwords, NUL-terminated. The
 * library copies it in camunda_config_set_token_store().
 */
typedef const char *(*camunda_token_store_describe_fn)(void *user);

/**
 * Frees the resources of the store.
 */
typedef void (*camunda_token_store_free_fn)(void *user);

/**
 * Functions of a custom token store, for camunda_config_set_token_store(). The library passes the same
 * `user` to each.
 *
 * Values are small (a few kilobytes). Names consist of lower-case letters, digits and `-`. Neither
 * needs protection: names are digests, and values that contain a token are encrypted
 * (ChaCha20-Poly1305) with a key that is derived from the client secret.
 *
 * The functions are called from several threads concurrently, and in forked children of the process.
 * They must not throw or longjmp. A call cannot be interrupted: return within 250 ms, or API calls
 * exceed their deadline.
 *
 * An error never fails an API call. After an error the library does not use the function that failed
 * for 30 s; after one such as ETIMEDOUT or ECONNREFUSED, it uses none of `get`, `put` and `try_lock`.
 */
typedef struct {
  /**
   * sizeof(camunda_token_store). Tells later versions of the library which functions are present.
   */
  size_t size;
  /**
   * Reads a value. Required.
   */
  camunda_token_store_get_fn get;
  /**
   * Stores a value. Required.
   */
  camunda_token_store_put_fn put;
  /**
   * Acquires a lock. Required.
   */
  camunda_token_store_try_lock_fn try_lock;
  /**
   * Releases a lock. Required.
   */
  camunda_token_store_unlock_fn unlock;
  /**
   * Describes the store. May be NULL.
   */
  camunda_token_store_describe_fn describe;
  /**
   * Called once, after the settings and all clients that use the store are freed; not in a forked
   * child. May be NULL.
   */
  camunda_token_store_free_fn free;
} camunda_token_store;

/**
 * Success.
 */
#define CAMUNDA_STATUS_OK 0

/**
 * An argument is invalid: NULL, empty, not UTF-8, of the wrong type, or a `.` or `..` path segment.
 */
#define CAMUNDA_STATUS_INVALID_ARGUMENT 1

/**
 * A setting is missing or invalid; the message names it.
 */
#define CAMUNDA_STATUS_CONFIG 2

/**
 * HTTP 401, or the token endpoint rejected the credentials.
 */
#define CAMUNDA_STATUS_AUTHENTICATION 3

/**
 * HTTP 403: the credentials lack a permission, a quota is exhausted, or the cluster belongs to
 * another organization.
 */
#define CAMUNDA_STATUS_PERMISSION_DENIED 4

/**
 * HTTP 404: the resource does not exist.
 */
#define CAMUNDA_STATUS_NOT_FOUND 5

/**
 * HTTP 409: the current state of the resource does not allow the operation.
 */
#define CAMUNDA_STATUS_CONFLICT 6

/**
 * HTTP 412: the resource is not ready yet; retry later.
 */
#define CAMUNDA_STATUS_NOT_READY 7

/**
 * Any other HTTP 4xx: the API rejected the request.
 */
#define CAMUNDA_STATUS_INVALID_REQUEST 8

/**
 * HTTP 429, or the library's own rate limit of token requests.
 */
#define CAMUNDA_STATUS_RATE_LIMITED 9

/**
 * HTTP 5xx: the API failed.
 */
#define CAMUNDA_STATUS_SERVICE 10

/**
 * The deadline of the call passed.
 */
#define CAMUNDA_STATUS_TIMEOUT 11

/**
 * The call was cancelled.
 */
#define CAMUNDA_STATUS_CANCELLED 12

/**
 * No connection, a lost connection, or a TLS or HTTP protocol error.
 */
#define CAMUNDA_STATUS_NETWORK 13

/**
 * The response does not have the documented format. camunda_error_body() returns its body.
 */
#define CAMUNDA_STATUS_DECODE 14

/**
 * The resource can no longer reach the state that a waiter waits for.
 */
#define CAMUNDA_STATUS_WAIT_FAILED 15

/**
 * A file could not be read or written, or a sink callback ended the call.
 */
#define CAMUNDA_STATUS_IO 16

/**
 * A bug in this library; please report it.
 */
#define CAMUNDA_STATUS_INTERNAL 17

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Returns the version of the library, for example `0.1.0`: a static string. Do not free it.
 */
const char *camunda_version(void);

/**
 * Returns the ABI version of the loaded library. Compare it with CAMUNDA_ABI_VERSION, the version of
 * the header that the program was built with.
 */
uint32_t camunda_abi_version(void);

/**
 * Creates a client from settings. Reads the files that the settings name; sends no request.
 *
 * On success, `*admin` is a new client. Free it with camunda_admin_free(). Returns
 * CAMUNDA_STATUS_CONFIG if a setting is missing or invalid; the message names it.
 */
camunda_status camunda_admin_new(const camunda_config *config,
                                 camunda_admin **admin,
                                 camunda_error **error);

/**
 * Reads the counters of the client: `calls`, `requests`, `retries`, `token_requests`,
 * `token_cache_hits`, `bytes_sent` and `bytes_received`, each since the client was created.
 *
 * On success, `*stats` is a new value, an object. Free it with camunda_value_free().
 */
camunda_status camunda_admin_stats(const camunda_admin *admin,
                                   camunda_value **stats,
                                   camunda_error **error);

/**
 * Reads the state of the tokens, rate limiters and token stores of this process, without secrets:
 * `process_id`, `tokens`, `rate_limiters`, `stores` and `counters`. Times are in seconds from now.
 *
 * On success, `*diagnostics` is a new value, an object. Free it with camunda_value_free().
 */
camunda_status camunda_admin_diagnostics(const camunda_admin *admin,
                                         camunda_value **diagnostics,
                                         camunda_error **error);

/**
 * Clears the stored authentication failure of this client's credentials, in memory and in the token
 * store, so that the next call sends a token request. Call it after the credentials were fixed in the
 * Console; without it, calls fail with CAMUNDA_STATUS_AUTHENTICATION and send nothing until
 * camunda_error_retry_after() has elapsed. Does nothing if the client has no credentials.
 */
camunda_status camunda_admin_clear_auth_failure(const camunda_admin *admin,
                                                camunda_error **error);

/**
 * Removes the client's access token from memory and from the token store, so that the next call
 * requests a new one.
 */
camunda_status camunda_admin_invalidate_tokens(const camunda_admin *admin, camunda_error **error);

/**
 * Frees a client. No call through it may be in progress. NULL is ignored.
 */
void camunda_admin_free(camunda_admin *admin);

/**
 * Returns new options with the defaults. Free them with camunda_call_options_free().
 */
camunda_call_options *camunda_call_options_new(void);

/**
 * Sets the timeout of a call in seconds. It covers the token, the rate limit, retries and the response
 * body; for a waiter, the whole wait. Default: the setting `timeout` of the client (60 s); for a
 * waiter, 30 minutes.
 */
camunda_status camunda_call_options_set_timeout(camunda_call_options *call,
                                                double timeout,
                                                camunda_error **error);

/**
 * Sets the maximum delay between two polls of a waiter in seconds; default: 10 s. A longer `Retry-After`
 * of the API is honored; one beyond the deadline fails the wait immediately.
 */
camunda_status camunda_call_options_set_max_poll_interval(camunda_call_options *call,
                                                          double interval,
                                                          camunda_error **error);

/**
 * Sets the handle that cancels the call. NULL removes it. The handle may be freed during the call.
 */
camunda_status camunda_call_options_set_cancel(camunda_call_options *call,
                                               const camunda_cancel *cancel,
                                               camunda_error **error);

/**
 * Sets the progress callback of a waiter. NULL removes it. `user` is passed to each callback
 * unchanged.
 */
camunda_status camunda_call_options_set_progress(camunda_call_options *call,
                                                 camunda_progress_fn progress,
                                                 void *user,
                                                 camunda_error **error);

/**
 * Sets the interrupt check of a call. NULL removes it. `user` is passed to each callback unchanged.
 */
camunda_status camunda_call_options_set_interrupt_check(camunda_call_options *call,
                                                        camunda_interrupt_check_fn interrupt,
                                                        void *user,
                                                        camunda_error **error);

/**
 * Frees options. NULL is ignored.
 */
void camunda_call_options_free(camunda_call_options *call);

/**
 * Returns a new handle that cancels nothing yet. Free it with camunda_cancel_free(). Thread-safe.
 */
camunda_cancel *camunda_cancel_new(void);

/**
 * Cancels every call that uses this handle, including calls that start before camunda_cancel_reset().
 * Calls in progress return CAMUNDA_STATUS_CANCELLED within 100 ms. Async-signal-safe. NULL is ignored.
 */
void camunda_cancel_trigger(const camunda_cancel *cancel);

/**
 * Makes the handle usable for new calls. Calls that were in progress during
 * camunda_cancel_trigger() stay cancelled. NULL is ignored.
 */
void camunda_cancel_reset(const camunda_cancel *cancel);

/**
 * Returns whether the handle is triggered and not reset. False if `cancel` is NULL.
 */
bool camunda_cancel_is_triggered(const camunda_cancel *cancel);

/**
 * Frees a handle. NULL is ignored. Calls in progress that use it continue.
 */
void camunda_cancel_free(camunda_cancel *cancel);

/**
 * Returns new settings with the defaults. Reads no environment variable. Free them with
 * camunda_config_free().
 */
camunda_config *camunda_config_new(void);

/**
 * Reads settings from the environment variables of Camunda's SDKs.
 *
 * On success, `*config` is a new object. Free it with camunda_config_free().
 *
 * CAMUNDA_CONSOLE_CLIENT_ID and CAMUNDA_CONSOLE_CLIENT_SECRET are required. Optional:
 * CAMUNDA_CONSOLE_BASE_URL, CAMUNDA_CONSOLE_OAUTH_AUDIENCE, CAMUNDA_OAUTH_URL, CAMUNDA_TOKEN_SCOPE,
 * CAMUNDA_TOKEN_CACHE_DIR, CAMUNDA_TOKEN_DISK_CACHE_DISABLE, CAMUNDA_TOKEN_CACHE_REDIS_URL,
 * CAMUNDA_CUSTOM_ROOT_CERT_PATH, CAMUNDA_CUSTOM_CERT_CHAIN_PATH, CAMUNDA_CUSTOM_PRIVATE_KEY_PATH and
 * CAMUNDA_CUSTOM_USER_AGENT_STRING. Returns CAMUNDA_STATUS_CONFIG if a variable is missing or invalid;
 * the message names it. No other thread may change the environment during the call.
 */
camunda_status camunda_config_from_env(camunda_config **config,
                                       camunda_error **error);

/**
 * Reads settings from a credential file of the Console: `export NAME='value'` or `NAME=value` lines
 * with the variables of camunda_config_from_env().
 *
 * On success, `*config` is a new object. Free it with camunda_config_free().
 */
camunda_status camunda_config_from_env_file(const char *path,
                                            camunda_config **config,
                                            camunda_error **error);

/**
 * Creates settings with the credentials of a cluster's client, for camunda_admin_token(): client id,
 * client secret, token URL and audience. All other settings have the defaults of
 * camunda_config_new().
 *
 * `credentials` is an object that camunda_credentials_from_client(), camunda_credentials_read() or
 * camunda_credentials_from_env() returned. On success, `*config` is a new object. Free it with
 * camunda_config_free().
 */
camunda_status camunda_config_from_credentials(const camunda_value *credentials,
                                               camunda_config **config,
                                               camunda_error **error);

/**
 * Sets a setting. The strings are copied. Keys: `client_id`, `client_secret`, `base_url`, `oauth_url`, `audience`,
 * `scope`, `token_cache` (`auto`, `memory`, a directory with a separator in its path or beginning
 * with `.` or `~`, or a redis://, rediss://, valkey:// or valkeys:// URL), `timeout` (seconds,
 * decimals allowed; default: 60), `ca_file` (certificates in PEM, trusted instead of the
 * platform's), `client_cert`, `client_key` (not encrypted), `proxy`, `user_agent`,
 * `token_request_format` (`json` or `form`), `max_response_bytes`.
 *
 * Returns CAMUNDA_STATUS_CONFIG for an unknown key or an invalid value, and then changes nothing. The
 * message names the key.
 */
camunda_status camunda_config_set(camunda_config *config,
                                  const char *key,
                                  const char *value,
                                  camunda_error **error);

/**
 * Sets the log callback of clients created from these settings. NULL removes it.
 *
 * It receives events of `level` (CAMUNDA_LOG_…) and of more severe levels. `user` is passed to each
 * callback unchanged. The callback runs on the calling thread, during calls only. It must be
 * thread-safe.
 */
camunda_status camunda_config_set_log(camunda_config *config,
                                      int32_t level,
                                      camunda_log_fn log,
                                      void *user,
                                      camunda_error **error);

/**
 * Sets a custom token store. It replaces the setting `token_cache`, and setting that later replaces the
 * store. `store` is copied; the library calls its functions with `user` until it calls `store->free`.
 *
 * Returns CAMUNDA_STATUS_INVALID_ARGUMENT if `store->size` is too small or a required function is NULL,
 * and then changes nothing and does not call `store->free`. The message names the function.
 */
camunda_status camunda_config_set_token_store(camunda_config *config,
                                              const camunda_token_store *store,
                                              void *user,
                                              camunda_error **error);

/**
 * Sets the handle that shuts down clients created from these settings, see camunda_shutdown_start().
 * NULL removes it. Set it before a token store. The handle may be freed while the clients are in use.
 */
camunda_status camunda_config_set_shutdown(camunda_config *config,
                                           const camunda_shutdown *shutdown,
                                           camunda_error **error);

/**
 * Frees settings. Clients created from them remain valid. NULL is ignored.
 */
void camunda_config_free(camunda_config *config);

/**
 * Combines a new cluster client and its cluster into credentials: an object of environment variables
 * such as ZEEBE_ADDRESS and ZEEBE_CLIENT_SECRET, with which a program connects to the cluster.
 *
 * `created` is the response of camunda_cluster_client_create(), `cluster` that of
 * camunda_cluster_get(). On success, `*credentials` is a new value that contains the client secret.
 * Free it with camunda_value_free().
 */
camunda_status camunda_credentials_from_client(const camunda_value *created,
                                               const camunda_value *cluster,
                                               camunda_value **credentials,
                                               camunda_error **error);

/**
 * Writes credentials as `export NAME='value'` lines to a new file with mode 0600, and flushes it to
 * the disk. To store the credentials of a client that is not created yet, use
 * camunda_cluster_client_create_env_file().
 *
 * Returns CAMUNDA_STATUS_IO if the path exists, also as a symbolic link: the function never overwrites
 * a file. Returns CAMUNDA_STATUS_INVALID_ARGUMENT for an invalid variable name or a value that
 * contains a NUL, before it creates the file.
 */
camunda_status camunda_credentials_write(const camunda_value *credentials,
                                         const char *path,
                                         camunda_error **error);

/**
 * Reads a credential file of the Console: `export NAME='value'` or `NAME=value` lines, with quotes and
 * comments.
 *
 * On success, `*credentials` is a new value, an object of the variables that contains the client
 * secret. Free it with camunda_value_free().
 */
camunda_status camunda_credentials_read(const char *path,
                                        camunda_value **credentials,
                                        camunda_error **error);

/**
 * Reads the variables of the Console's credential file from the environment, such as ZEEBE_ADDRESS
 * and ZEEBE_TOKEN_AUDIENCE. ZEEBE_CLIENT_ID and ZEEBE_CLIENT_SECRET are required; an empty variable
 * counts as not set.
 *
 * On success, `*credentials` is a new value, an object of the variables that contains the client
 * secret. Free it with camunda_value_free(). Returns CAMUNDA_STATUS_CONFIG if a variable is missing or
 * not UTF-8; the message names it. No other thread may change the environment during the call.
 */
camunda_status camunda_credentials_from_env(camunda_value **credentials,
                                            camunda_error **error);

/**
 * Returns the status code. CAMUNDA_STATUS_OK if `error` is NULL.
 */
camunda_status camunda_error_status(const camunda_error *error);

/**
 * Returns a one-line message for humans, without secrets, for example
 * `create cluster: rejected with HTTP 400: Name is too long`. Borrowed from `error`; an empty string if
 * `error` is NULL.
 */
const char *camunda_error_message(const camunda_error *error);

/**
 * Returns the HTTP status code of the response. 0 if no response was received, or if `error` is NULL.
 */
int32_t camunda_error_http_status(const camunda_error *error);

/**
 * Returns the stage of the call that failed: CAMUNDA_STAGE_…. 0 if `error` is NULL.
 */
int32_t camunda_error_stage(const camunda_error *error);

/**
 * Returns whether the API executed the operation: CAMUNDA_OUTCOME_…. 0 if `error` is NULL. A waiter
 * changes nothing: its error has CAMUNDA_OUTCOME_NOT_SENT if no poll was sent, else
 * CAMUNDA_OUTCOME_REJECTED.
 */
int32_t camunda_error_outcome(const camunda_error *error);

/**
 * Returns whether the operation is a change that was or may have been applied, although no complete,
 * usable response was received. Check the resource before you retry the change; the message says
 * which of the two it is and what to check. False for reads, for waiters, and if `error` is NULL.
 */
bool camunda_error_may_have_been_applied(const camunda_error *error);

/**
 * Returns the error message of the API, or NULL if the response has none. Borrowed from `error`.
 */
const char *camunda_error_server_message(const camunda_error *error);

/**
 * Returns the unmodified response body, NUL-terminated, or NULL if there is none. If `len` is not NULL,
 * `*len` is set to the number of bytes without the NUL. Borrowed from `error`.
 *
 * If a response that the API returns only once, such as a client secret, cannot be decoded, this is
 * its only copy. Store it safely and do not log it.
 */
const char *camunda_error_body(const camunda_error *error,
                               size_t *len);

/**
 * Returns the time to wait before a retry, in seconds. Negative if unknown.
 */
double camunda_error_retry_after(const camunda_error *error);

/**
 * Returns the number of requests of which at least one byte was sent, including the polls of a waiter,
 * excluding token requests. 0 if the connection could not be established, and for NULL.
 */
uint32_t camunda_error_attempts(const camunda_error *error);

/**
 * Returns the request id that the API assigned, or NULL if the response has none. Borrowed from
 * `error`.
 */
const char *camunda_error_request_id(const camunda_error *error);

/**
 * Returns the name of the operation, for example `create cluster`, or NULL if no operation was started.
 * Borrowed from `error`.
 */
const char *camunda_error_operation(const camunda_error *error);

/**
 * Returns the HTTP method of the request, or NULL if no request was prepared. Borrowed from `error`.
 */
const char *camunda_error_method(const camunda_error *error);

/**
 * Returns the path of the request, or NULL if no request was prepared. Borrowed from `error`.
 */
const char *camunda_error_path(const camunda_error *error);

/**
 * Returns the time from the start of the call to its failure, in seconds. Negative if no call was
 * started.
 */
double camunda_error_elapsed(const camunda_error *error);

/**
 * Frees an error. NULL is ignored.
 */
void camunda_error_free(camunda_error *error);

/**
 * Returns a new, empty object. Free it with camunda_object_free().
 */
camunda_object *camunda_object_new(void);

/**
 * Sets a field to a string. The strings are copied.
 */
camunda_status camunda_object_set_str(camunda_object *object,
                                      const char *key,
                                      const char *value,
                                      camunda_error **error);

/**
 * Sets a field to a number. Returns CAMUNDA_STATUS_INVALID_ARGUMENT for NaN and infinity, which JSON
 * cannot represent.
 */
camunda_status camunda_object_set_number(camunda_object *object,
                                         const char *key,
                                         double value,
                                         camunda_error **error);

/**
 * Sets a field to an integer.
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
 * Sets a field to an array of `count` NUL-terminated strings. `values` may be NULL if `count` is 0. The
 * strings are copied.
 */
camunda_status camunda_object_set_strings(camunda_object *object,
                                          const char *key,
                                          const char *const *values,
                                          size_t count,
                                          camunda_error **error);

/**
 * Sets a field to a JSON value, given as `json_len` bytes of UTF-8, which are copied. Returns
 * CAMUNDA_STATUS_INVALID_ARGUMENT if they are not JSON.
 */
camunda_status camunda_object_set_json(camunda_object *object,
                                       const char *key,
                                       const char *json,
                                       size_t json_len,
                                       camunda_error **error);

/**
 * Returns the JSON of the object, NUL-terminated. If `len` is not NULL, `*len` is set to the length
 * without the NUL. Borrowed from `object` until it is changed or freed. NULL if `object` is NULL.
 */
const char *camunda_object_json(const camunda_object *object, size_t *len);

/**
 * Frees an object and zeroizes its values. NULL is ignored.
 */
void camunda_object_free(camunda_object *object);

/**
 * Creates a client of a cluster and writes its credentials to a new file.
 *
 * The API returns the client secret only once, so the file is created first: with mode 0600, without
 * overwriting an existing file, and with its disk space allocated. Then the client is created, and the
 * credentials are written and flushed. If no client was created, or if that is unknown, the file is
 * removed. The function also reads the cluster, for its URLs. The timeout of `call` covers all of it.
 *
 * `json` is the request body: a CreateClusterClient, encoded as JSON in UTF-8, `json_len` bytes. The
 * library validates it before it sends the request, and borrows it during the call. `path` is the path
 * of the file; camunda_credentials_read() reads such a file. On success, `*value` is a new value: a
 * CreatedClusterClient. Free it with camunda_value_free(). If `call` is NULL, default options apply.
 * `error` may be NULL; otherwise `*error` is NULL on success and a new error on failure. Free it with
 * camunda_error_free(). Thread-safe.
 *
 * Fails as camunda_cluster_client_create() does. Also returns CAMUNDA_STATUS_IO: with
 * CAMUNDA_OUTCOME_NOT_SENT if the file exists or cannot be created, and with CAMUNDA_OUTCOME_COMPLETED if
 * it cannot be written afterwards. In that case the client exists, and camunda_error_body() returns the
 * response with its secret.
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
 * Adds an entry to the IP allowlist of a cluster. Replaces an entry with the same `ip`.
 *
 * Reads the allowlist, changes it and writes it, since the API has no operation for this. Concurrent
 * changes are not detected: the last write wins, and earlier changes are lost.
 *
 * If `call` is NULL, default options apply. On success, `*value` is a new value: the resulting
 * allowlist. Free it with camunda_value_free(). Thread-safe.
 */
camunda_status camunda_cluster_add_to_ip_allowlist(const camunda_admin *admin,
                                                   const camunda_call_options *call,
                                                   const char *cluster_uuid,
                                                   const char *ip,
                                                   const char *description,
                                                   camunda_value **value,
                                                   camunda_error **error);

/**
 * Removes the entry with this `ip` from the IP allowlist of a cluster. Concurrent changes are not
 * detected, see camunda_cluster_add_to_ip_allowlist().
 *
 * If `call` is NULL, default options apply. On success, `*value` is a new value: the resulting
 * allowlist. Free it with camunda_value_free(). Thread-safe.
 */
camunda_status camunda_cluster_remove_from_ip_allowlist(const camunda_admin *admin,
                                                        const camunda_call_options *call,
                                                        const char *cluster_uuid,
                                                        const char *ip,
                                                        camunda_value **value,
                                                        camunda_error **error);

/**
 * Sends a request to an endpoint that this version has no function for, with the client's token.
 *
 * `method` is GET, POST, PUT, PATCH or DELETE. `path` is a path with an optional query, for example
 * `/clusters?new=1`.
 * `idempotency` is CAMUNDA_IDEMPOTENCY_…. `json` is the request body of
 * `json_len` bytes, or NULL. If `call` is NULL, default options apply. On success, `*value` is a new
 * value: the response, or `null` if it has no body. Free it with camunda_value_free(). Thread-safe.
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
 * Returns a new shutdown handle. Free it with camunda_shutdown_free(). Add clients to it with
 * camunda_config_set_shutdown().
 */
camunda_shutdown *camunda_shutdown_new(void);

/**
 * Shuts down all clients of the handle permanently.
 *
 * Calls in progress on other threads return CAMUNDA_STATUS_CANCELLED, and so do new ones, without
 * sending a request. Blocks until the calls in progress have returned, at most `timeout` seconds.
 * Afterwards the library calls no callback of these clients on another thread: progress, log,
 * interrupt check, sink and token store functions. A thread that is unwound inside such a callback
 * (pthread_exit) blocks until the process ends.
 *
 * Calls of the current thread are not affected, so that a program can still clean up. Returns whether
 * all calls have returned. NULL is ignored, and returns true.
 */
bool camunda_shutdown_start(const camunda_shutdown *shutdown,
                            double timeout);

/**
 * Returns whether calls of the current thread are cancelled because of camunda_shutdown_start(). False
 * if `shutdown` is NULL.
 */
bool camunda_shutdown_stops_calls(const camunda_shutdown *shutdown);

/**
 * Frees a shutdown handle. Its clients remain valid. NULL is ignored.
 */
void camunda_shutdown_free(camunda_shutdown *shutdown);

/**
 * Returns an access token of the client's credentials. If `audience` is NULL, uses the audience of the
 * client.
 *
 * Uses the same cache as the client's calls, so it sends a token request only if neither this process
 * nor the token store has a valid token.
 *
 * If `call` is NULL, default options apply. On success, `*token` is a new token. Free it with
 * camunda_token_free(). Thread-safe.
 */
camunda_status camunda_admin_token(const camunda_admin *admin,
                                   const camunda_call_options *call,
                                   const char *audience,
                                   camunda_token **token,
                                   camunda_error **error);

/**
 * Invalidates a token that an API rejected: removes it from memory and from the token store, unless a
 * newer one has replaced it. The next camunda_admin_token() requests a new one. `audience` must be the
 * one of the call that returned the token.
 */
camunda_status camunda_admin_invalidate_token(const camunda_admin *admin,
                                              const char *audience,
                                              const camunda_token *token,
                                              camunda_error **error);

/**
 * Returns the access token, NUL-terminated. If `len` is not NULL, `*len` is set to the length without
 * the NUL. Borrowed from `token`; NULL if `token` is NULL. Do not log it.
 */
const char *camunda_token_str(const camunda_token *token,
                              size_t *len);

/**
 * Returns the expiry of the token, in milliseconds since 1970-01-01 UTC, by the local clock. 0 if
 * `token` is NULL.
 */
int64_t camunda_token_expires_at(const camunda_token *token);

/**
 * Frees a token and zeroizes its bytes. NULL is ignored.
 */
void camunda_token_free(camunda_token *token);

/**
 * Returns the type of a value: CAMUNDA_KIND_…. CAMUNDA_KIND_NULL if `value` is NULL.
 */
int32_t camunda_value_kind(const camunda_value *value);

/**
 * Returns the number of elements of an array or fields of an object. 0 for other types, and if `value`
 * is NULL.
 */
size_t camunda_value_len(const camunda_value *value);

/**
 * Returns the field named `key`. NULL if the field is absent or `value` is not an object. Borrowed from
 * `value`.
 */
const camunda_value *camunda_value_get(const camunda_value *value,
                                       const char *key);

/**
 * Returns the value at a path of field names and array indexes, separated by dots, for example
 * `status.ready` or `channels.0.name`. NULL if it is absent. Borrowed from `value`.
 */
const camunda_value *camunda_value_path(const camunda_value *value, const char *path);

/**
 * Returns the element of an array, or the value of the field of an object, at `index`. NULL if `index`
 * is out of range. Borrowed from `value`.
 */
const camunda_value *camunda_value_at(const camunda_value *value,
                                      size_t index);

/**
 * Returns the name of the field of an object at `index`, NUL-terminated. If `len` is not NULL, `*len`
 * is set to the length without the NUL. Replaces escapes that are not valid UTF-16, such as an unpaired
 * surrogate, by U+FFFD. NULL if `index` is out of range. Borrowed from `value`.
 */
const char *camunda_value_key(const camunda_value *value,
                              size_t index,
                              size_t *len);

/**
 * Returns the content of a string in UTF-8, NUL-terminated. If `len` is not NULL, `*len` is set to the
 * length without the NUL; use it if the string may contain a NUL. NULL for other types. Borrowed from
 * `value`.
 */
const char *camunda_value_str(const camunda_value *value,
                              size_t *len);

/**
 * Returns a number, rounded to the nearest double. `fallback` for other types. camunda_value_json()
 * returns all digits.
 */
double camunda_value_number(const camunda_value *value, double fallback);

/**
 * Returns an integer. `fallback` for other types, for fractions, and if the number is out of range.
 */
int64_t camunda_value_integer(const camunda_value *value, int64_t fallback);

/**
 * Returns a boolean. `fallback` for other types.
 */
bool camunda_value_bool(const camunda_value *value, bool fallback);

/**
 * Returns the JSON of a value, NUL-terminated: for a whole response, its unmodified bytes. If `len` is
 * not NULL, `*len` is set to the length without the NUL. NULL if `value` is NULL. Borrowed from
 * `value`.
 */
const char *camunda_value_json(const camunda_value *value,
                               size_t *len);

/**
 * Parses JSON of `json_len` bytes, which are copied.
 *
 * On success, `*value` is a new value. Free it with camunda_value_free(). Returns
 * CAMUNDA_STATUS_INVALID_ARGUMENT if the bytes are not JSON in UTF-8.
 */
camunda_status camunda_value_parse(const char *json,
                                   size_t json_len,
                                   camunda_value **value,
                                   camunda_error **error);

/**
 * Frees a value that the caller owns, with all its parts, and zeroizes its bytes. Never call it for a
 * part. NULL is ignored.
 */
void camunda_value_free(camunda_value *value);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CAMUNDA_ADMIN_H */
