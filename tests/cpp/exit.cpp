// A program that ends while its threads are in calls, waits and callbacks: it ends in time, with
// its own exit status and without a crash, although its static objects are destroyed. Each case
// runs in a child process: this program with the name of the case as its argument.
#include <sys/wait.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "camunda_admin.hpp"
#include "check.h"

using namespace camunda;
using namespace std::chrono_literals;

namespace {

constexpr int threads = 4;
/// Exit status of each case.
constexpr int own_status = 7;

std::atomic<int> reached{0};
/// Id of a cluster that stays in creation. Never destroyed, since threads read it until the process
/// ends.
std::string& stuck = *new std::string;

void until_reached(int count) {
  const double end = now() + within(20);
  while (reached < count && now() < end) pause_briefly();
  if (reached < count) _exit(3);
}

template <class Body>
void start(Body body) {
  for (int i = 0; i < threads; ++i) std::thread(body).detach();
}

[[noreturn]] void stay() {
  for (;;) pause();
}

/// Client that is destroyed at exit, before objects that were constructed earlier.
AdminClient& static_client() {
  static AdminClient client = [] {
    auto builder = AdminClientBuilder::from_env();
    builder.on_log(LogLevel::Trace, [](LogLevel, std::string_view, std::string_view) { ++reached; });
    return builder.build();
  }();
  return client;
}

int exit_during_waits_of_a_static_client() {
  static_client();
  start([] {
    try {
      static_client().cluster(ClusterId(stuck)).wait_until_healthy(
          Wait{}.max_poll_interval(20ms).on_progress([](const Cluster&) { ++reached; }));
    } catch (...) {
    }
    stay();
  });
  until_reached(2 * threads);
  std::exit(own_status);
}

int return_during_gets_of_a_static_client() {
  static_client();
  start([] {
    // A copy keeps the connection when the static client is destroyed.
    const AdminClient client = static_client();
    for (;;) {
      try {
        static_cast<void>(client.cluster(ClusterId(stuck)).get());
      } catch (const Error&) {
      }
      ++reached;
    }
  });
  until_reached(2 * threads);
  return own_status;
}

/// Cancels and joins its thread on destruction.
struct Worker {
  Cancel cancel;
  std::thread thread;
  ~Worker() {
    cancel.cancel();
    if (thread.joinable()) thread.join();
  }
};

int exit_with_a_static_object_that_joins() {
  static Worker worker;
  const AdminClient client = static_client().with(CallOptions{}.cancel(worker.cancel));
  worker.thread = std::thread([client] {
    try {
      client.cluster(ClusterId(stuck)).wait_until_healthy(
          Wait{}.max_poll_interval(20ms).on_progress([](const Cluster&) { ++reached; }));
    } catch (const CancelledError&) {
    }
  });
  until_reached(2);
  std::exit(own_status);
}

/// Blocks in get(), so that threads are in it when the program ends.
struct SlowStore : TokenStore {
  std::optional<std::string> get(const std::string&) override {
    ++reached;
    stay();
  }
  void put(const std::string&, std::string_view, std::chrono::milliseconds) override {}
  Lock try_lock(const std::string&, std::chrono::milliseconds) override { return nullptr; }
};

int exit_during_a_token_store() {
  static AdminClient client = [] {
    auto builder = AdminClientBuilder::from_env();
    builder.token_store(std::make_shared<SlowStore>());
    return builder.build();
  }();
  start([] {
    const AdminClient mine = client;
    try {
      static_cast<void>(mine.clusters().list());
    } catch (const Error&) {
    }
    stay();
  });
  until_reached(1);
  std::exit(own_status);
}

const std::map<std::string, int (*)()> cases = {
    {"exit_during_waits_of_a_static_client", exit_during_waits_of_a_static_client},
    {"return_during_gets_of_a_static_client", return_during_gets_of_a_static_client},
    {"exit_with_a_static_object_that_joins", exit_with_a_static_object_that_joins},
    {"exit_during_a_token_store", exit_during_a_token_store},
};

void run_case(const char* program, const std::string& name) {
  const pid_t child = fork();
  if (child == 0) {
    execl(program, program, name.c_str(), static_cast<char*>(nullptr));
    _exit(4);
  }
  int status = 0;
  const double end = now() + within(30);
  pid_t ended = 0;
  while ((ended = waitpid(child, &status, WNOHANG)) == 0 && now() < end) pause_briefly();
  if (ended == 0) {
    check_fail(__FILE__, __LINE__, "%s hangs", name.c_str());
    kill(child, SIGABRT);
    waitpid(child, &status, 0);
  } else if (!WIFEXITED(status) || WEXITSTATUS(status) != own_status) {
    check_fail(__FILE__, __LINE__, "%s: exit status %d, signal %d", name.c_str(),
               WIFEXITED(status) ? WEXITSTATUS(status) : -1,
               WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = std::getenv("CHECK_TIMEOUT_FACTOR") == nullptr ? 2 : 1;
  char* const id = sandbox_cluster(R"({"name":"stuck"})");
  stuck = id;
  std::free(id);
  const std::string control =
      R"({"status":{"cluster":")" + stuck + R"(","ready":"Creating"}})";
  std::free(sandbox_control(control.c_str(), nullptr));
  if (argc > 1) return cases.at(argv[1])();
  for (const auto& [name, run] : cases) {
    check_case = name.c_str();
    for (int round = 0; round < rounds; ++round) run_case(argv[0], name);
  }
  return check_finish();
}
