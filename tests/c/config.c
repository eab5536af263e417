/* Versions, settings and credential files. */
#include "check.h"

static void versions_match_the_header(void) {
  CHECK_STR(camunda_version(), CAMUNDA_VERSION);
  CHECK_INT(camunda_abi_version(), CAMUNDA_ABI_VERSION);
}

static void set_accepts_every_setting(void) {
  const char *const settings[][2] = {
      {"client_id", "a"},       {"client_secret", "b"},       {"base_url", "https://example.com"},
      {"oauth_url", "http://localhost:1/x"}, {"audience", "c"}, {"scope", "d"},
      {"token_cache", "memory"}, {"timeout", "2.5"},           {"ca_file", "/tmp/ca.pem"},
      {"client_cert", "/tmp/c.pem"}, {"client_key", "/tmp/k.pem"}, {"proxy", "http://localhost:3128"},
      {"client_secret_file", "./secret"}, {"access_token", "e"},
      {"user_agent", "mine/1"},  {"token_request_format", "form"}, {"max_response_bytes", "1000"},
  };
  camunda_config *config = camunda_config_new();
  camunda_error *error = NULL;
  for (size_t i = 0; i < sizeof settings / sizeof *settings; ++i) {
    CHECK_OK(camunda_config_set(config, settings[i][0], settings[i][1], &error));
  }
  camunda_config_free(config);
}

static void set_names_invalid_setting_without_secrets(void) {
  const char *const bad[][2] = {
      {"colour", "red"},
      {"", ""},
      {"timeout", "soon"},
      {"timeout", "-1"},
      {"base_url", "http://example.com"},
      {"base_url", "nowhere"},
      {"oauth_url", "http://10.0.0.1/token"},
      {"user_agent", "a\r\nX-Evil: 1"},
      {"token_request_format", "xml"},
      {"max_response_bytes", "0"},
      {"token_cache", "memroy"},
      {"token_cache", "none"},
      {"token_cache", "postgres://:hunter2@host"},
      {"client_secret", ""},
      {"client_secret_file", ""},
      {"access_token", "Bearer hunter2"},
  };
  camunda_config *config = camunda_config_new();
  camunda_error *error = NULL;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
    CHECK_FAILS(camunda_config_set(config, bad[i][0], bad[i][1], &error), CAMUNDA_STATUS_CONFIG);
    CHECK_PART(camunda_error_message(error), bad[i][0]);
    CHECK(strstr(camunda_error_message(error), "hunter2") == NULL);
    CHECK_INT(camunda_error_stage(error), CAMUNDA_STAGE_CONFIG);
    CHECK_INT(camunda_error_outcome(error), CAMUNDA_OUTCOME_NOT_SENT);
    CHECK_INT(camunda_error_http_status(error), 0);
    CHECK(camunda_error_retry_after(error) < 0);
    FREE_ERROR(error);
  }
  CHECK_FAILS(camunda_config_set(config, "client_id", "hunter2\n", &error), CAMUNDA_STATUS_CONFIG);
  CHECK(strstr(camunda_error_message(error), "hunter2") == NULL);
  FREE_ERROR(error);
  camunda_config_free(config);
}

static void client_creation_fails_without_client_secret(void) {
  camunda_config *config = camunda_config_new();
  camunda_admin *admin = (camunda_admin *)(void *)config;
  camunda_error *error = NULL;
  CHECK_OK(camunda_config_set(config, "client_id", "a", &error));
  CHECK_FAILS(camunda_admin_new(config, &admin, &error), CAMUNDA_STATUS_CONFIG);
  CHECK(admin == NULL);
  CHECK_PART(camunda_error_message(error), "client_secret");
  FREE_ERROR(error);
  camunda_config_free(config);
}

static void from_env_names_missing_variable(void) {
  const char *const names[] = {"CAMUNDA_CONSOLE_CLIENT_ID", "CAMUNDA_CONSOLE_CLIENT_SECRET"};
  for (size_t i = 0; i < 2; ++i) {
    char *value = strdup(variable(names[i]));
    unsetenv(names[i]);
    camunda_config *config = NULL;
    camunda_error *error = NULL;
    CHECK_FAILS(camunda_config_from_env(&config, &error), CAMUNDA_STATUS_CONFIG);
    CHECK(config == NULL);
    CHECK_PART(camunda_error_message(error), names[i]);
    FREE_ERROR(error);
    setenv(names[i], value, 1);
    free(value);
  }
}

static void write_file(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  fputs(text, file);
  fclose(file);
}

static void from_env_file_reads_settings(void) {
  char *path = scratch("console.env");
  char text[1024];
  snprintf(text, sizeof text,
           "# from the Console\nexport CAMUNDA_CONSOLE_CLIENT_ID='%s'\n"
           "CAMUNDA_CONSOLE_CLIENT_SECRET=\"%s\"\nCAMUNDA_CONSOLE_BASE_URL=%s\n"
           "CAMUNDA_OAUTH_URL=%s\n",
           variable("CAMUNDA_CONSOLE_CLIENT_ID"), variable("CAMUNDA_CONSOLE_CLIENT_SECRET"),
           variable("CAMUNDA_CONSOLE_BASE_URL"), variable("CAMUNDA_OAUTH_URL"));
  write_file(path, text);
  camunda_config *config = NULL;
  camunda_admin *admin = NULL;
  camunda_value *clusters = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_config_from_env_file(path, &config, &error));
  CHECK_OK(camunda_config_set(config, "token_cache", "memory", &error));
  CHECK_OK(camunda_admin_new(config, &admin, &error));
  camunda_config_free(config);
  CHECK_OK(camunda_cluster_list(admin, NULL, &clusters, &error));
  CHECK_INT(camunda_value_kind(clusters), CAMUNDA_KIND_ARRAY);
  camunda_value_free(clusters);
  camunda_admin_free(admin);

  write_file(path, "CAMUNDA_CONSOLE_CLIENT_ID=a\nCAMUNDA_CONSOLE_CLIENT_SECRET='hunter2\n");
  CHECK_FAILS(camunda_config_from_env_file(path, &config, &error), CAMUNDA_STATUS_CONFIG);
  CHECK_PART(camunda_error_message(error), "line 2");
  CHECK(strstr(camunda_error_message(error), "hunter2") == NULL);
  FREE_ERROR(error);
  remove(path);
  CHECK_FAILS(camunda_config_from_env_file(path, &config, &error), CAMUNDA_STATUS_IO);
  FREE_ERROR(error);
  free(path);
}

static void set_credentials_complete_those_of_the_environment(void) {
  char *secret = strdup(variable("CAMUNDA_CONSOLE_CLIENT_SECRET"));
  unsetenv("CAMUNDA_CONSOLE_CLIENT_SECRET");
  camunda_config *config = camunda_config_new();
  camunda_admin *admin = NULL;
  camunda_value *clusters = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_config_set(config, "timeout", "0.000001", &error));
  CHECK_OK(camunda_config_load_env(config, &error));
  CHECK_FAILS(camunda_admin_new(config, &admin, &error), CAMUNDA_STATUS_CONFIG);
  CHECK_PART(camunda_error_message(error), "CAMUNDA_CONSOLE_CLIENT_SECRET");
  CHECK_PART(camunda_error_message(error), "`client_secret`");
  FREE_ERROR(error);
  CHECK_OK(camunda_config_set(config, "client_secret", secret, &error));
  CHECK_OK(camunda_admin_new(config, &admin, &error));
  CHECK_OK(camunda_cluster_list(admin, NULL, &clusters, &error));
  camunda_value_free(clusters);
  camunda_admin_free(admin);

  /* An error leaves the settings unchanged. */
  char *path = scratch("incomplete.env");
  CHECK_FAILS(camunda_config_load_env_file(config, path, &error), CAMUNDA_STATUS_IO);
  FREE_ERROR(error);
  CHECK_OK(camunda_admin_new(config, &admin, &error));
  camunda_admin_free(admin);
  write_file(path, "CAMUNDA_CONSOLE_CLIENT_ID=a\n");
  CHECK_OK(camunda_config_load_env_file(config, path, &error));
  CHECK_FAILS(camunda_admin_new(config, &admin, &error), CAMUNDA_STATUS_CONFIG);
  FREE_ERROR(error);
  CHECK_OK(camunda_config_set(config, "client_secret", secret, &error));
  CHECK_OK(camunda_admin_new(config, &admin, &error));
  camunda_admin_free(admin);
  camunda_config_free(config);
  CHECK_FAILS(camunda_config_load_env(NULL, &error), CAMUNDA_STATUS_INVALID_ARGUMENT);
  FREE_ERROR(error);

  /* A setting replaces a variable whatever its value is. */
  char *url = strdup(variable("CAMUNDA_CONSOLE_BASE_URL"));
  setenv("CAMUNDA_CONSOLE_CLIENT_SECRET", secret, 1);
  setenv("CAMUNDA_CONSOLE_BASE_URL", "ftp://example.com", 1);
  CHECK_FAILS(camunda_config_from_env(&config, &error), CAMUNDA_STATUS_CONFIG);
  FREE_ERROR(error);
  config = camunda_config_new();
  CHECK_OK(camunda_config_load_env(config, &error));
  CHECK_FAILS(camunda_admin_new(config, &admin, &error), CAMUNDA_STATUS_CONFIG);
  CHECK_PART(camunda_error_message(error), "CAMUNDA_CONSOLE_BASE_URL");
  FREE_ERROR(error);
  CHECK_OK(camunda_config_set(config, "base_url", url, &error));
  CHECK_OK(camunda_admin_new(config, &admin, &error));
  camunda_admin_free(admin);
  camunda_config_free(config);
  setenv("CAMUNDA_CONSOLE_BASE_URL", url, 1);
  free(url);
  setenv("CAMUNDA_CONSOLE_CLIENT_SECRET", secret, 1);
  free(secret);
  free(path);
}

static void doctor_reports_on_the_environment(void) {
  camunda_value *report = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_doctor(NULL, NULL, &report, &error));
  CHECK(camunda_value_path_bool(report, "ok", false));
  CHECK_STR(camunda_value_path_str(report, "version", NULL), CAMUNDA_VERSION);
  CHECK_STR(camunda_value_path_str(report, "permissions.0.resource", NULL), "clusters");
  CHECK_STR(camunda_value_path_str(report, "permissions.0.access", NULL), "allowed");
  const camunda_value *checks = camunda_value_get(report, "checks");
  size_t position = 0;
  size_t tokens = 0;
  const camunda_value *check;
  while ((check = camunda_value_next(checks, &position)) != NULL) {
    if (strcmp(camunda_value_path_str(check, "name", ""), "token") != 0) continue;
    CHECK_STR(camunda_value_path_str(check, "status", NULL), "ok");
    ++tokens;
  }
  CHECK_INT(tokens, 1);
  CHECK(strstr(camunda_value_json(report, NULL), variable("CAMUNDA_CONSOLE_CLIENT_SECRET")) == NULL);
  camunda_value_free(report);

  /* A check that fails is part of the report, and the sources of the settings are. */
  char *path = scratch("doctor.env");
  write_file(path, "CAMUNDA_CONSOLE_CLIENT_ID=a\n");
  camunda_config *config = camunda_config_new();
  CHECK_OK(camunda_config_load_env_file(config, path, &error));
  CHECK_OK(camunda_config_set(config, "user_agent", "tests", &error));
  CHECK_OK(camunda_doctor(config, NULL, &report, &error));
  CHECK(!camunda_value_path_bool(report, "ok", true));
  CHECK_PART(camunda_value_path_str(report, "checks.0.message", ""), "CAMUNDA_CONSOLE_CLIENT_SECRET");
  CHECK_STR(camunda_value_path_str(report, "settings.0.key", NULL), "client_id");
  CHECK_STR(camunda_value_path_str(report, "settings.0.value", NULL), "a");
  CHECK_STR(camunda_value_path_str(report, "settings.0.source", NULL), "CAMUNDA_CONSOLE_CLIENT_ID");
  CHECK_STR(camunda_value_path_str(report, "settings.1.key", NULL), "user_agent");
  CHECK_STR(camunda_value_path_str(report, "settings.1.source", NULL), "program");
  camunda_value_free(report);
  free(path);

  camunda_cancel *cancel = camunda_cancel_new();
  camunda_call_options *call = camunda_call_options_new();
  CHECK_OK(camunda_call_options_set_cancel(call, cancel, &error));
  camunda_cancel_trigger(cancel);
  CHECK_FAILS(camunda_doctor(NULL, call, &report, &error), CAMUNDA_STATUS_CANCELLED);
  FREE_ERROR(error);
  CHECK(report == NULL);
  CHECK_FAILS(camunda_doctor(NULL, NULL, NULL, &error), CAMUNDA_STATUS_INVALID_ARGUMENT);
  FREE_ERROR(error);
  camunda_call_options_free(call);
  camunda_cancel_free(cancel);
  camunda_config_free(config);
}

static void credential_file_is_written_and_read(void) {
  const char *created_json =
      "{\"name\":\"w\",\"uuid\":\"u\",\"clientId\":\"id\",\"clientSecret\":\"it's \\\"$x\\\\\","
      "\"permissions\":[\"Zeebe\",\"Operate\"],\"audience\":\"zeebe.camunda.io\","
      "\"links\":{\"zeebe\":\"z:443\",\"oauth\":\"https://o/token\",\"operate\":\"https://op\"}}";
  const char *cluster_json = "{\"uuid\":\"c1\",\"region\":{\"uuid\":\"r\",\"name\":\"bru-2\"}}";
  camunda_value *created = NULL;
  camunda_value *cluster = NULL;
  camunda_value *credentials = NULL;
  camunda_value *again = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_value_parse(created_json, strlen(created_json), &created, &error));
  CHECK_OK(camunda_value_parse(cluster_json, strlen(cluster_json), &cluster, &error));
  CHECK_OK(camunda_credentials_from_client(created, cluster, &credentials, &error));
  camunda_value_free(created);
  CHECK_STR(camunda_value_str(camunda_value_get(credentials, "ZEEBE_CLIENT_SECRET"), NULL),
            "it's \"$x\\");
  CHECK_STR(camunda_value_str(camunda_value_get(credentials, "CAMUNDA_CLUSTER_ID"), NULL), "c1");
  CHECK_STR(camunda_value_str(camunda_value_get(credentials, "CAMUNDA_CREDENTIALS_SCOPES"), NULL),
            "Zeebe,Operate");

  char *path = scratch("worker.env");
  CHECK_OK(camunda_credentials_write(credentials, path, &error));
  struct stat status;
  CHECK_INT(stat(path, &status), 0);
  CHECK_INT(status.st_mode & 0777, 0600);
  CHECK_OK(camunda_credentials_read(path, &again, &error));
  CHECK_STR(camunda_value_json(again, NULL), camunda_value_json(credentials, NULL));
  camunda_value_free(again);

  /* Neither an existing file nor the target of a symbolic link is overwritten. */
  CHECK_FAILS(camunda_credentials_write(credentials, path, &error), CAMUNDA_STATUS_IO);
  CHECK_PART(camunda_error_message(error), path);
  FREE_ERROR(error);
  char *link = scratch("link.env");
  char *elsewhere = scratch("elsewhere");
  CHECK_INT(symlink(elsewhere, link), 0);
  CHECK_FAILS(camunda_credentials_write(credentials, link, &error), CAMUNDA_STATUS_IO);
  FREE_ERROR(error);
  CHECK(access(elsewhere, F_OK) != 0);
  CHECK_FAILS(camunda_credentials_write(cluster, elsewhere, &error),
              CAMUNDA_STATUS_INVALID_ARGUMENT);
  FREE_ERROR(error);
  CHECK(access(elsewhere, F_OK) != 0);

  CHECK_FAILS(camunda_credentials_from_client(cluster, cluster, &again, &error),
              CAMUNDA_STATUS_INVALID_ARGUMENT);
  FREE_ERROR(error);
  camunda_value_free(credentials);
  camunda_value_free(cluster);
  free(path);
  free(link);
  free(elsewhere);
}

static void config_may_be_freed_before_its_clients(void) {
  camunda_config *config = NULL;
  camunda_admin *admins[3] = {NULL, NULL, NULL};
  camunda_error *error = NULL;
  CHECK_OK(camunda_config_from_env(&config, &error));
  for (int i = 0; i < 3; ++i) CHECK_OK(camunda_admin_new(config, &admins[i], &error));
  camunda_config_free(config);
  for (int i = 0; i < 3; ++i) {
    camunda_value *ranges = NULL;
    CHECK_OK(camunda_ip_ranges(admins[i], NULL, &ranges, &error));
    CHECK_INT(camunda_value_kind(camunda_value_get(ranges, "web-modeler")), CAMUNDA_KIND_ARRAY);
    camunda_value_free(ranges);
    camunda_admin_free(admins[i]);
  }
  camunda_admin_free(NULL);
  camunda_config_free(NULL);
}

int main(void) {
  RUN(versions_match_the_header);
  RUN(set_accepts_every_setting);
  RUN(set_names_invalid_setting_without_secrets);
  RUN(client_creation_fails_without_client_secret);
  RUN(from_env_names_missing_variable);
  RUN(from_env_file_reads_settings);
  RUN(set_credentials_complete_those_of_the_environment);
  RUN(doctor_reports_on_the_environment);
  RUN(credential_file_is_written_and_read);
  RUN(config_may_be_freed_before_its_clients);
  return check_finish();
}
