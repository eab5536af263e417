// Exceptions: each status its class, everything that C tells, and whether it may have been applied.
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include "camunda_admin.hpp"
#include "check.h"

using namespace camunda;
using namespace std::chrono_literals;

namespace {

AdminClient admin = AdminClient::from_env();

void an_error_has_everything() {
  sandbox_fault(
      R"({"operation":"GET /clusters/{clusterUuid}","headers":{"x-request-id":"r-17"},"when":"after"})");
  try {
    admin.cluster("no such/one?").get();
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
    // A copy is the same error.
    const Error copy = error;
    CHECK_STR(copy.what(), error.what());
    CHECK(copy.path() == error.path());
  }
}

template <class E>
void is_thrown(int http, bool unknown) {
  sandbox_fault((R"({"operation":"POST /clusters/{clusterUuid}/backups","status":)" +
                 std::to_string(http) + "}")
                    .c_str());
  bool right_class = false;
  bool known_as_unknown = false;
  try {
    try {
      admin.cluster("c").backups().create();
    } catch (const OutcomeUnknownError& error) {
      known_as_unknown = true;
      CHECK(error.outcome() == Outcome::Unknown);
      throw;
    }
  } catch (const E& error) {
    right_class = error.http_status() == http;
  }
  CHECK(right_class);
  CHECK_INT(known_as_unknown, unknown);
  // By their common classes, too.
  sandbox_fault((R"({"operation":"POST /clusters/{clusterUuid}/backups","status":)" +
                 std::to_string(http) + "}")
                    .c_str());
  bool standard = false;
  try {
    admin.cluster("c").backups().create();
  } catch (const std::runtime_error& error) {
    standard = std::string(error.what()).find("create backup") == 0;
  }
  CHECK(standard);
}

void each_status_has_its_class() {
  is_thrown<InvalidRequestError>(400, false);
  is_thrown<PermissionDeniedError>(403, false);
  is_thrown<NotFoundError>(404, false);
  is_thrown<ConflictError>(409, false);
  is_thrown<NotReadyError>(412, false);
  is_thrown<RateLimitedError>(429, false);
  is_thrown<ServiceError>(500, true);
}

void a_timeout_of_a_change_is_of_unknown_outcome() {
  sandbox_fault(R"({"operation":"POST /clusters/{clusterUuid}/backups","stall":true})");
  const double start = now();
  try {
    admin.with(CallOptions{}.timeout(300ms)).cluster("c").backups().create();
    CHECK(false);
  } catch (const OutcomeUnknownError& error) {
    CHECK(dynamic_cast<const TimeoutError*>(&error) != nullptr);
    CHECK(error.elapsed() >= Seconds(0.29));
    CHECK_PART(error.what(), "may have been applied");
  }
  CHECK(now() - start < within(0.4));
}

void truncated_response_of_a_change_is_of_unknown_outcome() {
  char* uuid = sandbox_cluster(R"({"name":"cut"})");
  sandbox_fault(
      R"({"operation":"POST /clusters/{clusterUuid}/backups","cut_body":9,"when":"after"})");
  try {
    admin.cluster(uuid).backups().create();
    CHECK(false);
  } catch (const OutcomeUnknownError& error) {
    CHECK(dynamic_cast<const NetworkError*>(&error) != nullptr);
    CHECK(error.outcome() == Outcome::Completed);
    CHECK(error.may_have_been_applied());
    CHECK_PART(error.what(), "; the change was applied: look for it among");
  }
  free(uuid);
}

void reads_and_waiters_are_never_of_unknown_outcome() {
  char* uuid = sandbox_cluster(R"({"name":"slow","status":{"ready":"Creating"}})");
  const auto handle = admin.with(CallOptions{}.timeout(300ms)).cluster(uuid);
  sandbox_fault(R"({"operation":"GET /clusters/{clusterUuid}","stall":true})");
  try {
    handle.get();
    CHECK(false);
  } catch (const TimeoutError& error) {
    CHECK(dynamic_cast<const OutcomeUnknownError*>(&error) == nullptr);
  }
  try {
    admin.cluster(uuid).wait_until_healthy(Wait<Cluster>{}.timeout(300ms));
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

void an_answer_given_once_is_not_lost() {
  char* uuid = sandbox_cluster(R"({"name":"once"})");
  sandbox_fault(
      R"({"operation":"POST /clusters/{clusterUuid}/clients","replace":{"/name":[1]}})");
  try {
    admin.cluster(uuid).clients().create({"worker"});
    CHECK(false);
  } catch (const DecodeError& error) {
    CHECK(error.outcome() == Outcome::Completed);
    const Value answer = Value::parse(error.body().value_or(""));
    CHECK(answer["clientSecret"].str().has_value());
    CHECK(std::string(error.what()).find(*answer["clientSecret"].str()) == std::string::npos);
  }
  free(uuid);
}

// What an error has is its own: not its client's, nor its thread's.
void an_error_outlives_its_client_and_its_thread() {
  char* uuid = sandbox_cluster(R"({"name":"elsewhere"})");
  sandbox_fault(
      R"({"operation":"POST /clusters/{clusterUuid}/clients","replace":{"/name":[1]}})");
  std::exception_ptr thrown;
  std::thread([&] {
    try {
      AdminClient::from_env().cluster(uuid).clients().create({"worker"});
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

// An exception on its way up passes everything that is to be freed.
void what_is_half_built_is_freed() {
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
    AdminClientBuilder::from_env().user_agent("mine/1").timeout(1s).proxy("").build();
    CHECK(false);
  } catch (const ConfigError& error) {
    CHECK_PART(error.what(), "proxy");
  }
}

template <class F>
void is_refused(F&& call, const char* part) {
  try {
    call();
    check_fail(__FILE__, __LINE__, "not refused: %s", part);
  } catch (const InvalidArgumentError& error) {
    CHECK_PART(error.what(), part);
    CHECK(error.outcome() == Outcome::NotSent);
  }
}

void bad_arguments_are_refused_and_never_cut() {
  const long long before = sandbox_count("requests");
  is_refused([] { admin.cluster("").get(); }, "clusterUuid");
  is_refused([] { admin.cluster("..").get(); }, "clusterUuid");
  is_refused([] { admin.cluster(std::string("a\0b", 3)).get(); }, "cluster_uuid has a NUL");
  is_refused([] { admin.cluster("\xff").get(); }, "UTF-8");
  is_refused([] { admin.members().delete_(std::string_view("a@b\0c", 5)); }, "email has a NUL");
  is_refused([] { admin.cluster("c").secrets().update(std::string_view("a\0b", 3), "v"); }, "NUL");
  is_refused([] { admin.cluster("c").clients().create({"\xff"}); }, "create client");
  is_refused([] { admin.request("GET", "clusters"); }, "path");
  is_refused([] { admin.request("GET", "/clusters", "{"); }, "JSON");
  is_refused([] { (void)admin.with(CallOptions{}.timeout(-1s)); }, "timeout");
  is_refused([] { (void)admin.token(std::string_view("a\0", 2)); }, "audience");
  CHECK_INT(sandbox_count("requests"), before);
}

void bad_settings_are_named() {
  try {
    AdminClient::builder().base_url("http://example.com");
    CHECK(false);
  } catch (const ConfigError& error) {
    CHECK_PART(error.what(), "base_url");
  }
  try {
    AdminClient::builder().client_id("a").build();
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
    AdminClient::from_env_file("/nowhere/at/all.env");
    CHECK(false);
  } catch (const IoError& error) {
    CHECK_PART(error.what(), "/nowhere/at/all.env");
  }
  // Every setting has a function.
  AdminClientBuilder builder;
  builder.client_id("a").client_secret("b").base_url("https://example.com");
  builder.oauth_url("https://example.com/t").audience("c").scope("d").token_cache("memory");
  builder.timeout(1500ms).ca_file("/a").client_cert("/b").client_key("/c");
  builder.proxy("http://localhost:1").user_agent("mine/1").token_request_format("form");
  builder.max_response_bytes(1000);
}

void wrong_credentials_are_told() {
  try {
    AdminClientBuilder::from_env().client_secret("hunter2").build().clusters().list();
    CHECK(false);
  } catch (const AuthenticationError& error) {
    CHECK(error.stage() == Stage::Token);
    CHECK(std::string(error.what()).find("hunter2") == std::string::npos);
  }
}

void a_hopeless_wait_fails_at_once() {
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
  admin.clusters().list();
  RUN(an_error_has_everything);
  RUN(each_status_has_its_class);
  RUN(a_timeout_of_a_change_is_of_unknown_outcome);
  RUN(truncated_response_of_a_change_is_of_unknown_outcome);
  RUN(reads_and_waiters_are_never_of_unknown_outcome);
  RUN(an_answer_given_once_is_not_lost);
  RUN(an_error_outlives_its_client_and_its_thread);
  RUN(what_is_half_built_is_freed);
  RUN(bad_arguments_are_refused_and_never_cut);
  RUN(bad_settings_are_named);
  RUN(wrong_credentials_are_told);
  RUN(a_hopeless_wait_fails_at_once);
  return check_finish();
}
