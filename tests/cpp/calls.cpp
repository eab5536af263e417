// Calls: cancelling, interrupting, callbacks and what they throw, several threads.
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

struct OfTheCaller {
  int number;
};

/// Half of the threads share a client, the others bring their own.
void threads_that_start_cold_make_one_token_request() {
  std::atomic<int> ready{0};
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      try {
        const AdminClient mine = i % 2 == 0 ? admin() : AdminClient::from_env();
        for (++ready; ready < 16;) std::this_thread::yield();
        mine.clusters().list();
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

void cancelled_from_another_thread() {
  const Cancel cancel;
  const AdminClient cancellable = admin().with(CallOptions{}.cancel(cancel));
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
    cancellable.clusters().list();
  } catch (const CancelledError&) {
    cancelled = true;
  }
  const double ended = now();
  other.join();
  CHECK(cancelled && ended - cancelled_at < within(0.1));
  CHECK(cancel.is_cancelled());
  cancel.reset();
  CHECK(!cancel.is_cancelled());
  cancellable.clusters().list();
  // Others never were.
  admin().clusters().list();
}

void options_set_later_keep_those_set_before() {
  const Cancel cancel;
  const AdminClient cancellable = admin().with(CallOptions{}.cancel(cancel));
  const AdminClient both = cancellable.with(CallOptions{}.timeout(30s));
  cancel.cancel();
  CHECK_THROWS(CancelledError, both.clusters().list());
  cancel.reset();

  sandbox_fault(R"({"operation":"GET /clusters","stall":true})");
  const AdminClient quick = admin().with(CallOptions{}.timeout(300ms));
  CHECK_THROWS(TimeoutError, quick.with(CallOptions{}.cancel(cancel)).clusters().list());

  int asked = 0;
  sandbox_fault(R"({"operation":"GET /clusters","stall":true})");
  const AdminClient asking =
      admin().with(CallOptions{}.interrupt_check([&] { return ++asked >= 3; }));
  CHECK_THROWS(CancelledError, asking.with(CallOptions{}.timeout(30s)).clusters().list());
  CHECK_INT(asked, 3);
}

void interrupted_by_an_answer_or_an_exception() {
  int asked = 0;
  const AdminClient asking =
      admin().with(CallOptions{}.interrupt_check([&] { return ++asked >= 3; }));
  sandbox_fault(R"({"operation":"GET /clusters","stall":true})");
  bool cancelled = false;
  try {
    asking.clusters().list();
  } catch (const CancelledError&) {
    cancelled = true;
  }
  CHECK(cancelled);
  CHECK_INT(asked, 3);

  const AdminClient throwing =
      admin().with(CallOptions{}.interrupt_check([]() -> bool { throw OfTheCaller{7}; }));
  sandbox_fault(R"({"operation":"GET /clusters","stall":true})");
  int number = 0;
  try {
    throwing.clusters().list();
  } catch (const OfTheCaller& exception) {
    number = exception.number;
  }
  CHECK_INT(number, 7);
  // It is gone with its call.
  admin().clusters().list();
}

void progress_may_throw_and_make_calls() {
  char* uuid = sandbox_cluster(R"({"name":"slow"})");
  const ClusterHandle cluster = admin().cluster(uuid);
  free(sandbox_control(
      (std::string(R"({"status":{"cluster":")") + uuid + R"(","ready":"Creating"}})").c_str(),
      nullptr));
  int looks = 0;
  int number = 0;
  const double start = now();
  try {
    cluster.wait_until_healthy(Wait{}.interval(5s).on_progress([&](const Cluster& seen) {
      CHECK(seen.status.ready == ClusterComponentStatus::Creating);
      ++looks;
      // A failure inside that is dealt with there is no failure of the wait.
      try {
        admin().cluster("no such").get();
      } catch (const NotFoundError&) {
        throw OfTheCaller{8};
      }
    }));
  } catch (const OfTheCaller& exception) {
    number = exception.number;
  }
  CHECK_INT(looks, 1);
  CHECK_INT(number, 8);
  CHECK(now() - start < within(2));

  // One that throws at the last look is heard all the same.
  free(sandbox_control(
      (std::string(R"({"status":{"cluster":")") + uuid + R"(","ready":"Healthy"}})").c_str(), nullptr));
  number = 0;
  looks = 0;
  try {
    cluster.wait_until_healthy(Wait{}.interval(10ms).on_progress([&](const Cluster&) {
      if (++looks == 2) throw OfTheCaller{9};
    }));
  } catch (const OfTheCaller& exception) {
    number = exception.number;
  }
  CHECK_INT(number, 9);
  free(uuid);
}

void a_wait_is_cancelled_and_has_a_deadline() {
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

void a_sink_may_stop_throw_or_fail() {
  bool stopped = false;
  try {
    admin().activity().csv([](std::string_view) { return false; });
  } catch (const IoError&) {
    stopped = true;
  }
  CHECK(stopped);

  int number = 0;
  try {
    admin().activity().csv([](std::string_view) { throw OfTheCaller{10}; });
  } catch (const OfTheCaller& exception) {
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

void log_lines_reach_the_client_they_belong_to() {
  std::string lines;
  std::optional<AdminClient> talkative = AdminClientBuilder::from_env()
                                             .on_log(LogLevel::Trace,
                                                     [&](LogLevel, std::string_view target,
                                                         std::string_view message) {
                                                       CHECK(target.substr(0, 13) == "camunda_admin");
                                                       lines.append(message).append("\n");
                                                     })
                                             .build();
  talkative->clusters().list();
  CHECK_PART(lines.c_str(), "list clusters");
  CHECK(lines.find(variable("CAMUNDA_CONSOLE_CLIENT_SECRET")) == std::string::npos);
  const std::size_t size = lines.size();
  admin().clusters().list();
  CHECK_INT(lines.size(), size);

  // What a log callback throws is no reason to give an answer up.
  talkative = AdminClientBuilder::from_env()
                  .on_log(LogLevel::Trace,
                          [](LogLevel, std::string_view, std::string_view) { throw OfTheCaller{1}; })
                  .build();
  talkative->clusters().list();
}

void parts_outlive_the_client_they_come_from() {
  const Clusters clusters = AdminClient::from_env().clusters();
  clusters.list();
  const TokenSource source = AdminClient::from_env().token_source("api.cloud.camunda.io");
  CHECK(!source.access_token().expose().empty());
  const AdminClientBuilder builder = AdminClientBuilder::from_env();
  const AdminClient one = builder.build();
  const AdminClient two = builder.build();
  one.clusters().list();
  two.clusters().list();
  CHECK(one.stats().calls == 1);
}

}  // namespace

int main() {
  shared_admin = AdminClient::from_env();
  RUN(threads_that_start_cold_make_one_token_request);
  RUN(cancelled_from_another_thread);
  RUN(options_set_later_keep_those_set_before);
  RUN(interrupted_by_an_answer_or_an_exception);
  RUN(progress_may_throw_and_make_calls);
  RUN(a_wait_is_cancelled_and_has_a_deadline);
  RUN(a_sink_may_stop_throw_or_fail);
  RUN(log_lines_reach_the_client_they_belong_to);
  RUN(parts_outlive_the_client_they_come_from);
  shared_admin.reset();
  return check_finish();
}
