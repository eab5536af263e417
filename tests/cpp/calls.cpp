// Calls: cancellation, interrupt checks, callbacks and their exceptions, concurrent threads.
#include <atomic>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "camunda_admin.hpp"
#include "check.h"

using namespace camunda;
using namespace std::chrono_literals;

namespace {

std::optional<AdminClient> shared_admin;
const AdminClient& admin() { return *shared_admin; }

#define CHECK_THROWS(type, expression)          \
  do {                                          \
    bool thrown = false;                        \
    try {                                       \
      (void)(expression);                       \
    } catch (const type&) {                     \
      thrown = true;                            \
    }                                           \
    CHECK(thrown && #type " from " #expression); \
  } while (0)

struct CallbackError {
  int number;
};

/// Half of the threads share a client, the others create one each.
void concurrent_calls_without_cached_token_send_one_token_request() {
  std::atomic<int> ready{0};
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      try {
        const AdminClient mine = i % 2 == 0 ? admin() : AdminClient::from_env();
        for (++ready; ready < 16;) std::this_thread::yield();
        static_cast<void>(mine.clusters().list());
      } catch (const std::exception& error) {
        ++failures;
        std::fprintf(stderr, "%s\n", error.what());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_INT(failures, 0);
  CHECK_INT(sandbox_count("token_requests"), 1);
}

void call_ends_when_another_thread_cancels() {
  const Cancel cancel;
  const AdminClient cancellable = admin().with(CallOptions{}.cancel(cancel));
  const auto lateness = [&] {
    sandbox_fault(R"({"operation":"GET /clusters","stall":true})");
    const long long before = sandbox_count("requests");
    std::atomic<double> cancelled_at{0};
    std::thread other([&] {
      const double end = now() + within(10);
      while (sandbox_count("requests") == before && now() < end) pause_briefly();
      cancelled_at = now();
      cancel.cancel();
    });
    bool cancelled = false;
    try {
      static_cast<void>(cancellable.clusters().list());
    } catch (const CancelledError&) {
      cancelled = true;
    }
    const double ended = now();
    other.join();
    CHECK(cancelled);
    CHECK(cancel.is_cancelled());
    cancel.reset();
    CHECK(!cancel.is_cancelled());
    return ended - cancelled_at;
  };
  IN_TIME(lateness());
  static_cast<void>(cancellable.clusters().list());
  // Others never were.
  static_cast<void>(admin().clusters().list());
}

void with_keeps_options_that_are_not_set_again() {
  const Cancel cancel;
  const AdminClient cancellable = admin().with(CallOptions{}.cancel(cancel));
  const AdminClient both = cancellable.with(CallOptions{}.timeout(30s));
  cancel.cancel();
  CHECK_THROWS(CancelledError, both.clusters().list());
  cancel.reset();

  sandbox_fault(R"({"operation":"GET /clusters","stall":true})");
  const AdminClient quick = admin().with(CallOptions{}.timeout(1s));
  CHECK_THROWS(TimeoutError, quick.with(CallOptions{}.cancel(cancel)).clusters().list());

  int checks = 0;
  sandbox_fault(R"({"operation":"GET /clusters","stall":true})");
  const AdminClient interruptible =
      admin().with(CallOptions{}.interrupt_check([&] { return ++checks >= 3; }));
  CHECK_THROWS(CancelledError, interruptible.with(CallOptions{}.timeout(30s)).clusters().list());
  CHECK_INT(checks, 3);
}

void call_ends_when_interrupt_check_returns_true_or_throws() {
  int checks = 0;
  const AdminClient interruptible =
      admin().with(CallOptions{}.interrupt_check([&] { return ++checks >= 3; }));
  sandbox_fault(R"({"operation":"GET /clusters","stall":true})");
  bool cancelled = false;
  try {
    static_cast<void>(interruptible.clusters().list());
  } catch (const CancelledError&) {
    cancelled = true;
  }
  CHECK(cancelled);
  CHECK_INT(checks, 3);

  const AdminClient throwing =
      admin().with(CallOptions{}.interrupt_check([]() -> bool { throw CallbackError{7}; }));
  sandbox_fault(R"({"operation":"GET /clusters","stall":true})");
  int number = 0;
  try {
    static_cast<void>(throwing.clusters().list());
  } catch (const CallbackError& exception) {
    number = exception.number;
  }
  CHECK_INT(number, 7);
  // The exception belongs to the failed call only.
  static_cast<void>(admin().clusters().list());
}

void progress_callback_can_throw_and_make_calls() {
  char* uuid = sandbox_cluster(R"({"name":"slow"})");
  const ClusterHandle cluster = admin().cluster(uuid);
  free(sandbox_control(
      (std::string(R"({"status":{"cluster":")") + uuid + R"(","ready":"Creating"}})").c_str(),
      nullptr));
  int polls = 0;
  int number = 0;
  const double start = now();
  try {
    cluster.wait_until_healthy(Wait{}.max_poll_interval(5s).on_progress([&](const Cluster& polled) {
      CHECK(polled.status.ready == ClusterComponentStatus::Creating);
      ++polls;
      // An error that the callback catches does not end the wait.
      try {
        static_cast<void>(admin().cluster("no such").get());
      } catch (const NotFoundError&) {
        throw CallbackError{8};
      }
    }));
  } catch (const CallbackError& exception) {
    number = exception.number;
  }
  CHECK_INT(polls, 1);
  CHECK_INT(number, 8);
  CHECK(now() - start < within(4));

  // An exception after the last poll is thrown too.
  free(sandbox_control(
      (std::string(R"({"status":{"cluster":")") + uuid + R"(","ready":"Healthy"}})").c_str(), nullptr));
  number = 0;
  polls = 0;
  try {
    cluster.wait_until_healthy(Wait{}.max_poll_interval(10ms).on_progress([&](const Cluster&) {
      if (++polls == 2) throw CallbackError{9};
    }));
  } catch (const CallbackError& exception) {
    number = exception.number;
  }
  CHECK_INT(number, 9);
  free(uuid);
}

void wait_ends_when_cancelled_or_at_its_deadline() {
  char* uuid = sandbox_cluster(R"({"name":"slow"})");
  free(sandbox_control(
      (std::string(R"({"status":{"cluster":")") + uuid + R"(","ready":"Creating"}})").c_str(),
      nullptr));
  const Cancel cancel;
  bool cancelled = false;
  try {
    admin().with(CallOptions{}.cancel(cancel)).cluster(uuid).wait_until_healthy(
        Wait{}.on_progress([&](const Cluster&) { cancel.cancel(); }));
  } catch (const CancelledError&) {
    cancelled = true;
  }
  CHECK(cancelled);
  bool timed_out = false;
  try {
    admin().cluster(uuid).wait_until_healthy(Wait{}.timeout(200ms));
  } catch (const TimeoutError&) {
    timed_out = true;
  }
  CHECK(timed_out);
  free(uuid);
}

void csv_ends_when_the_receiver_stops_throws_or_fails() {
  bool stopped = false;
  try {
    admin().activity().csv([](std::string_view) { return false; });
  } catch (const IoError&) {
    stopped = true;
  }
  CHECK(stopped);

  int number = 0;
  try {
    admin().activity().csv([](std::string_view) { throw CallbackError{10}; });
  } catch (const CallbackError& exception) {
    number = exception.number;
  }
  CHECK_INT(number, 10);

  std::ostringstream broken;
  broken.setstate(std::ios::badbit);
  bool failed = false;
  try {
    admin().activity().csv(broken);
  } catch (const IoError&) {
    failed = true;
  }
  CHECK(failed);
}

void log_callback_receives_records_of_its_own_client() {
  std::string lines;
  std::optional<AdminClient> logging = AdminClientBuilder::from_env()
                                             .on_log(LogLevel::Trace,
                                                     [&](LogLevel, std::string_view target,
                                                         std::string_view message) {
                                                       CHECK(target.substr(0, 13) == "camunda_admin");
                                                       lines.append(message).append("\n");
                                                     })
                                             .build();
  static_cast<void>(logging->clusters().list());
  CHECK_PART(lines.c_str(), "list clusters");
  CHECK(lines.find(variable("CAMUNDA_CONSOLE_CLIENT_SECRET")) == std::string::npos);
  const std::size_t size = lines.size();
  static_cast<void>(admin().clusters().list());
  CHECK_INT(lines.size(), size);

  // An exception of a log callback does not discard the response.
  logging = AdminClientBuilder::from_env()
                .on_log(LogLevel::Trace,
                        [](LogLevel, std::string_view, std::string_view) { throw CallbackError{1}; })
                  .build();
  static_cast<void>(logging->clusters().list());
}

void empty_log_callback_removes_the_callback() {
  int records = 0;
  AdminClientBuilder builder = AdminClientBuilder::from_env();
  builder.on_log(LogLevel::Trace, [&](LogLevel, std::string_view, std::string_view) { ++records; });
  static_cast<void>(builder.build().clusters().list());
  CHECK(records > 0);
  const int before = records;
  builder.on_log(LogLevel::Trace, nullptr);
  static_cast<void>(builder.build().clusters().list());
  CHECK_INT(records, before);
}

void resources_outlive_the_client_that_created_them() {
  const Clusters clusters = AdminClient::from_env().clusters();
  static_cast<void>(clusters.list());
  const TokenSource source = AdminClient::from_env().token_source("api.cloud.camunda.io");
  CHECK(!source.access_token().expose().empty());
  const AdminClientBuilder builder = AdminClientBuilder::from_env();
  const AdminClient one = builder.build();
  const AdminClient two = builder.build();
  static_cast<void>(one.clusters().list());
  static_cast<void>(two.clusters().list());
  CHECK(one.stats().calls == 1);
}

}  // namespace

int main() {
  shared_admin = AdminClient::from_env();
  RUN(concurrent_calls_without_cached_token_send_one_token_request);
  RUN(call_ends_when_another_thread_cancels);
  RUN(with_keeps_options_that_are_not_set_again);
  RUN(call_ends_when_interrupt_check_returns_true_or_throws);
  RUN(progress_callback_can_throw_and_make_calls);
  RUN(wait_ends_when_cancelled_or_at_its_deadline);
  RUN(csv_ends_when_the_receiver_stops_throws_or_fails);
  RUN(log_callback_receives_records_of_its_own_client);
  RUN(empty_log_callback_removes_the_callback);
  RUN(resources_outlive_the_client_that_created_them);
  shared_admin.reset();
  return check_finish();
}
