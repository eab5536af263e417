// Exceptions: the class of each status, all properties of the C error, and OutcomeUnknownError.
#include <exception>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "camunda_admin.hpp"
#include "check.h"

using namespace camunda;
using namespace std::chrono_literals;

namespace {

AdminClient admin = AdminClient::from_env();

void error_has_all_properties_of_the_c_error() {
  sandbox_fault(
      R"({"operation":"GET /clusters/{clusterUuid}","headers":{"x-request-id":"r-17"},"when":"after"})");
  try {
    static_cast<void>(admin.cluster("no such/one?").get());
    CHECK(false);
  } catch (const NotFoundError& error) {
    CHECK(error.status() == Status::NotFound);
    CHECK(error.stage() == Stage::Request);
    CHECK(error.outcome() == Outcome::Rejected);
    CHECK(error.http_status() == 404);
    CHECK(error.server_message() == "cluster no such/one? not found");
    CHECK(error.body() && error.body()->find("not found") != std::string_view::npos);
    CHECK(!error.retry_after());
    CHECK_INT(error.attempts(), 1);
    CHECK(error.request_id() == "r-17");
    CHECK(error.operation() == "get cluster");
    CHECK(error.method() == "GET");
    CHECK(error.path() == "/clusters/no%20such%2Fone%3F");
    CHECK(error.elapsed() && error.elapsed()->count() >= 0);
    CHECK_PART(error.what(), "get cluster: rejected with HTTP 404");
    CHECK(error.message() == error.what());
    // A copy has the same properties.
    const Error copy = error;
    CHECK_STR(copy.what(), error.what());
    CHECK(copy.path() == error.path());
  }
}

template <class E>
void check_class(int http, bool unknown) {
  sandbox_fault((R"({"operation":"POST /clusters/{clusterUuid}/backups","status":)" +
                 std::to_string(http) + "}")
                    .c_str());
  bool class_matches = false;
  bool is_outcome_unknown = false;
  try {
    try {
      static_cast<void>(admin.cluster("c").backups().create());
    } catch (const OutcomeUnknownError& error) {
      is_outcome_unknown = true;
      CHECK(error.outcome() == Outcome::Unknown);
      throw;
    }
  } catch (const E& error) {
    class_matches = error.http_status() == http;
  }
  CHECK(class_matches);
  CHECK_INT(is_outcome_unknown, unknown);
  // std::runtime_error catches it too.
  sandbox_fault((R"({"operation":"POST /clusters/{clusterUuid}/backups","status":)" +
                 std::to_string(http) + "}")
                    .c_str());
  bool standard = false;
  try {
    static_cast<void>(admin.cluster("c").backups().create());
  } catch (const std::runtime_error& error) {
    standard = std::string(error.what()).find("create backup") == 0;
  }
  CHECK(standard);
}

void error_has_the_class_of_its_status() {
  check_class<InvalidRequestError>(400, false);
  check_class<PermissionDeniedError>(403, false);
  check_class<NotFoundError>(404, false);
  check_class<ConflictError>(409, false);
  check_class<NotReadyError>(412, false);
  check_class<RateLimitedError>(429, false);
  check_class<ServiceError>(500, true);
}

void timeout_of_a_change_is_an_outcome_unknown_error() {
  const auto lateness = [] {
    sandbox_fault(R"({"operation":"POST /clusters/{clusterUuid}/backups","stall":true})");
    const double start = now();
    try {
      static_cast<void>(admin.with(CallOptions{}.timeout(300ms)).cluster("c").backups().create());
      CHECK(false);
    } catch (const OutcomeUnknownError& error) {
      CHECK(dynamic_cast<const TimeoutError*>(&error) != nullptr);
      CHECK(error.elapsed() >= Seconds(0.29));
      CHECK_PART(error.what(), "may have been applied");
    } catch (const TimeoutError& error) {
      // On a loaded machine the deadline can pass before the request is sent.
      CHECK(error.outcome() == Outcome::NotSent);
      sandbox_clear_faults();
      return HUGE_VAL;
    }
    return now() - start - 0.3;
  };
  IN_TIME(lateness());
}

void truncated_response_of_a_change_is_an_outcome_unknown_error() {
  char* uuid = sandbox_cluster(R"({"name":"cut"})");
  sandbox_fault(
      R"({"operation":"POST /clusters/{clusterUuid}/backups","cut_body":9,"when":"after"})");
  try {
    static_cast<void>(admin.cluster(uuid).backups().create());
    CHECK(false);
  } catch (const OutcomeUnknownError& error) {
    CHECK(dynamic_cast<const NetworkError*>(&error) != nullptr);
    CHECK(error.outcome() == Outcome::Completed);
    CHECK(error.may_have_been_applied());
    CHECK_PART(error.what(), "; the change was applied: look for it among");
  }
  free(uuid);
}

void reads_and_waiters_never_throw_outcome_unknown_error() {
  char* uuid = sandbox_cluster(R"({"name":"slow","status":{"ready":"Creating"}})");
  const auto handle = admin.with(CallOptions{}.timeout(300ms)).cluster(uuid);
  sandbox_fault(R"({"operation":"GET /clusters/{clusterUuid}","stall":true})");
  try {
    static_cast<void>(handle.get());
    CHECK(false);
  } catch (const TimeoutError& error) {
    CHECK(dynamic_cast<const OutcomeUnknownError*>(&error) == nullptr);
  }
  try {
    admin.cluster(uuid).wait_until_healthy(Wait<Cluster>{}.timeout(3s));
    CHECK(false);
  } catch (const TimeoutError& error) {
    CHECK(dynamic_cast<const OutcomeUnknownError*>(&error) == nullptr);
    CHECK(error.outcome() == Outcome::Rejected);
    CHECK(error.attempts() >= 1);
    CHECK_PART(error.what(), uuid);
    CHECK_PART(error.what(), "last state: Creating");
  }
  free(uuid);
}

void decode_error_keeps_the_body_of_a_one_time_response() {
  char* uuid = sandbox_cluster(R"({"name":"once"})");
  sandbox_fault(
      R"({"operation":"POST /clusters/{clusterUuid}/clients","replace":{"/name":[1]}})");
  try {
    static_cast<void>(admin.cluster(uuid).clients().create({"worker"}));
    CHECK(false);
  } catch (const DecodeError& error) {
    CHECK(error.outcome() == Outcome::Completed);
    const Value response = Value::parse(error.body().value_or(""));
    CHECK(response["clientSecret"].str().has_value());
    CHECK(std::string(error.what()).find(*response["clientSecret"].str()) == std::string::npos);
  }
  free(uuid);
}

void error_outlives_its_client_and_its_thread() {
  char* uuid = sandbox_cluster(R"({"name":"elsewhere"})");
  sandbox_fault(
      R"({"operation":"POST /clusters/{clusterUuid}/clients","replace":{"/name":[1]}})");
  std::exception_ptr thrown;
  std::thread([&] {
    try {
      static_cast<void>(AdminClient::from_env().cluster(uuid).clients().create({"worker"}));
    } catch (...) {
      thrown = std::current_exception();
    }
  }).join();
  for (int times = 0; times < 2; ++times) {
    try {
      std::rethrow_exception(thrown);
    } catch (const Error& error) {
      const Error copy = error;
      CHECK(copy.status() == Status::Decode);
      CHECK(copy.path() && copy.path()->find(uuid) != std::string::npos);
      CHECK(copy.body() && Value::parse(*copy.body())["clientSecret"].str().has_value());
    }
  }
  free(uuid);
}

// Valgrind and the sanitizers detect a handle that is not freed.
void exception_frees_the_handles_of_its_scope() {
  std::vector<Value> parsed;
  std::string stopped;
  try {
    for (const char* json : {"[1,[2]]", R"({"a":{"b":"c"}})", "{", "null"}) {
      parsed.push_back(Value::parse(json));
      stopped = parsed.back().json();
    }
  } catch (const InvalidArgumentError& error) {
    CHECK_PART(error.what(), "not JSON");
  }
  CHECK_INT(parsed.size(), 2);
  CHECK_STR(stopped.c_str(), R"({"a":{"b":"c"}})");
  try {
    static_cast<void>(AdminClientBuilder::from_env().user_agent("program/1").timeout(1s).proxy("").build());
    CHECK(false);
  } catch (const ConfigError& error) {
    CHECK_PART(error.what(), "proxy");
  }
}

template <class F>
void check_invalid(F&& call, const char* part) {
  try {
    call();
    check_fail(__FILE__, __LINE__, "no InvalidArgumentError: %s", part);
  } catch (const InvalidArgumentError& error) {
    CHECK_PART(error.what(), part);
    CHECK(error.outcome() == Outcome::NotSent);
  }
}

void invalid_arguments_throw_before_any_request() {
  const long long before = sandbox_count("requests");
  check_invalid([] { static_cast<void>(admin.cluster("").get()); }, "clusterUuid");
  check_invalid([] { static_cast<void>(admin.cluster("..").get()); }, "clusterUuid");
  check_invalid([] { static_cast<void>(admin.cluster(std::string("a\0b", 3)).get()); }, "cluster_uuid has a NUL");
  check_invalid([] { static_cast<void>(admin.cluster("\xff").get()); }, "UTF-8");
  check_invalid([] { admin.members().remove(std::string_view("a@b\0c", 5)); }, "email has a NUL");
  check_invalid([] { admin.cluster("c").secrets().update(std::string_view("a\0b", 3), "v"); }, "NUL");
  check_invalid([] { static_cast<void>(admin.cluster("c").clients().create({"\xff"})); }, "create client");
  check_invalid([] { admin.cluster("c").update(UpdateCluster::from_json(R"({"stageLabels":"dev"})")); },
                "did you mean `stageLabel`");
  check_invalid([] { admin.request("GET", "clusters"); }, "path");
  check_invalid([] { admin.request("GET", "/clusters", "{"); }, "JSON");
  check_invalid([] { (void)admin.with(CallOptions{}.timeout(-1s)); }, "timeout");
  check_invalid([] { (void)admin.token(std::string_view("a\0", 2)); }, "audience");
  AdminClient moved = admin;
  const AdminClient other = std::move(moved);
  check_invalid([&] { static_cast<void>(moved.clusters().list()); }, "admin is NULL");
  CHECK_INT(sandbox_count("requests"), before);
}

/* A setter of a temporary object returns a value, whose lifetime a reference extends. */
void builder_in_a_reference_exists() {
  const auto& first = AdminClientBuilder::from_env().timeout(1s);
  auto&& second = AdminClient::builder().base_url("http://127.0.0.1:1").on_log(LogLevel::Error, nullptr);
  static_cast<void>(first.build());
  CHECK(second.user_agent("a").build().get() != nullptr);
}

void config_error_names_the_setting() {
  try {
    static_cast<void>(AdminClient::builder().base_url("http://example.com"));
    CHECK(false);
  } catch (const ConfigError& error) {
    CHECK_PART(error.what(), "base_url");
  }
  try {
    static_cast<void>(AdminClient::builder().client_id("a").build());
    CHECK(false);
  } catch (const ConfigError& error) {
    CHECK_PART(error.what(), "client_secret");
  }
  try {
    AdminClientBuilder builder;
    builder.set("colour", "red");
    CHECK(false);
  } catch (const ConfigError& error) {
    CHECK_PART(error.what(), "colour");
  }
  try {
    static_cast<void>(AdminClient::from_env_file("/nowhere/at/all.env"));
    CHECK(false);
  } catch (const IoError& error) {
    CHECK_PART(error.what(), "/nowhere/at/all.env");
  }
  // Each setting has a setter.
  AdminClientBuilder builder;
  builder.client_id("a").client_secret("b").base_url("https://example.com");
  builder.client_secret_file("./secret").access_token("e");
  builder.oauth_url("https://example.com/t").audience("c").scope("d").token_cache("memory");
  builder.timeout(1500ms).ca_file("/a").client_cert("/b").client_key("/c");
  builder.proxy("http://localhost:1").user_agent("program/1").token_request_format("form");
  builder.max_response_bytes(1000);
  // Durations that 64 bits of microseconds cannot represent.
  builder.timeout(Seconds::max()).timeout(std::chrono::hours::max());
  for (const double seconds : {0.0, -1e300, std::numeric_limits<double>::quiet_NaN()}) {
    bool rejected = false;
    try {
      builder.timeout(Seconds(seconds));
    } catch (const ConfigError& error) {
      CHECK_PART(error.what(), "timeout");
      rejected = true;
    }
    CHECK(rejected);
  }
}

void setter_replaces_a_variable_that_is_missing() {
  const std::string secret = variable("CAMUNDA_CONSOLE_CLIENT_SECRET");
  unsetenv("CAMUNDA_CONSOLE_CLIENT_SECRET");
  try {
    static_cast<void>(AdminClient::from_env());
    CHECK(false);
  } catch (const ConfigError& error) {
    CHECK_PART(error.what(), "CAMUNDA_CONSOLE_CLIENT_SECRET");
    CHECK_PART(error.what(), "`client_secret`");
  }
  static_cast<void>(AdminClientBuilder::from_env().client_secret(secret).build().clusters().list());
  setenv("CAMUNDA_CONSOLE_CLIENT_SECRET", secret.c_str(), 1);
}

void setter_replaces_a_variable_that_is_invalid() {
  const std::string url = variable("CAMUNDA_CONSOLE_BASE_URL");
  setenv("CAMUNDA_CONSOLE_BASE_URL", "ftp://example.com", 1);
  try {
    static_cast<void>(AdminClientBuilder::from_env().user_agent("a").build());
    CHECK(false);
  } catch (const ConfigError& error) {
    CHECK_PART(error.what(), "CAMUNDA_CONSOLE_BASE_URL");
  }
  static_cast<void>(AdminClientBuilder::from_env().base_url(url).build().clusters().list());
  setenv("CAMUNDA_CONSOLE_BASE_URL", url.c_str(), 1);
}

void rejected_credentials_throw_authentication_error_without_the_secret() {
  try {
    static_cast<void>(AdminClientBuilder::from_env().client_secret("hunter2").build().clusters().list());
    CHECK(false);
  } catch (const AuthenticationError& error) {
    CHECK(error.stage() == Stage::Token);
    CHECK(std::string(error.what()).find("hunter2") == std::string::npos);
  }
}

void access_token_is_used_without_a_token_request() {
  const std::string api = "api.cloud.camunda.io";
  const std::string token(admin.token(api).expose());
  const AdminClient given = AdminClientBuilder::from_env().access_token(token).build();
  static_cast<void>(given.clusters().list());
  CHECK(given.token(api).expose() == token);
  CHECK(given.stats().token_requests == 0);
  try {
    static_cast<void>(
        AdminClientBuilder::from_env().access_token("hunter2").build().clusters().list());
    CHECK(false);
  } catch (const AuthenticationError& error) {
    CHECK_PART(error.what(), "access_token");
    CHECK(std::string(error.what()).find("hunter2") == std::string::npos);
  }
}

void wait_fails_immediately_when_the_state_is_unreachable() {
  char* uuid = sandbox_cluster(R"({"name":"asleep"})");
  free(sandbox_control(
      (std::string(R"({"status":{"cluster":")") + uuid + R"(","ready":"Suspended"}})").c_str(),
      nullptr));
  bool failed = false;
  try {
    admin.cluster(uuid).wait_until_healthy();
  } catch (const WaitFailedError&) {
    failed = true;
  }
  CHECK(failed);
  free(uuid);
}

}  // namespace

int main() {
  static_cast<void>(admin.clusters().list());
  RUN(error_has_all_properties_of_the_c_error);
  RUN(error_has_the_class_of_its_status);
  RUN(timeout_of_a_change_is_an_outcome_unknown_error);
  RUN(truncated_response_of_a_change_is_an_outcome_unknown_error);
  RUN(reads_and_waiters_never_throw_outcome_unknown_error);
  RUN(decode_error_keeps_the_body_of_a_one_time_response);
  RUN(error_outlives_its_client_and_its_thread);
  RUN(exception_frees_the_handles_of_its_scope);
  RUN(invalid_arguments_throw_before_any_request);
  RUN(builder_in_a_reference_exists);
  RUN(config_error_names_the_setting);
  RUN(setter_replaces_a_variable_that_is_missing);
  RUN(setter_replaces_a_variable_that_is_invalid);
  RUN(rejected_credentials_throw_authentication_error_without_the_secret);
  RUN(access_token_is_used_without_a_token_request);
  RUN(wait_fails_immediately_when_the_state_is_unreachable);
  return check_finish();
}
