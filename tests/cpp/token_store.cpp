// Custom token stores.
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "camunda_admin.hpp"
#include "check.h"

using namespace camunda;

namespace {

/// Storage that several stores share, like the stores of several machines.
struct Memory {
  std::mutex mutex;
  std::map<std::string, std::string> values;
  std::set<std::string> locked;
};

class Store : public TokenStore {
 public:
  explicit Store(std::shared_ptr<Memory> memory) : memory_(std::move(memory)) {}

  std::optional<std::string> get(const std::string& name) override {
    const std::lock_guard<std::mutex> guard(memory_->mutex);
    const auto found = memory_->values.find(name);
    if (found == memory_->values.end()) return std::nullopt;
    return found->second;
  }
  void put(const std::string& name, std::string_view value,
           std::chrono::milliseconds ttl) override {
    CHECK(ttl.count() > 0);
    const std::lock_guard<std::mutex> guard(memory_->mutex);
    memory_->values[name] = value;
  }
  Lock try_lock(const std::string& name, std::chrono::milliseconds lease) override {
    CHECK(lease.count() > 0);
    const std::lock_guard<std::mutex> guard(memory_->mutex);
    if (!memory_->locked.insert(name).second) return nullptr;
    return Lock(memory_.get(), [memory = memory_, name](void*) {
      const std::lock_guard<std::mutex> own(memory->mutex);
      memory->locked.erase(name);
    });
  }
  std::string describe() const override { return "a map"; }

 private:
  std::shared_ptr<Memory> memory_;
};

class Failing : public TokenStore {
 public:
  std::optional<std::string> get(const std::string&) override { throw 1; }
  /* The last call: a failed read or lock does not stop writes. */
  void put(const std::string&, std::string_view, std::chrono::milliseconds) override {
    throw std::system_error(std::make_error_code(std::errc::no_space_on_device), "quota of tokens");
  }
  Lock try_lock(const std::string&, std::chrono::milliseconds) override {
    throw std::runtime_error("the lock " + std::string(1000, 'x'));
  }
};

void clients_share_a_token_through_a_custom_store() {
  const auto memory = std::make_shared<Memory>();
  std::weak_ptr<TokenStore> here, there;
  {
    const auto make = [&](std::weak_ptr<TokenStore>& created) {
      const auto store = std::make_shared<Store>(memory);
      created = store;
      return AdminClientBuilder::from_env().token_store(store).build();
    };
    const AdminClient first = make(here);
    const AdminClient second = make(there);
    const long long before = sandbox_count("token_requests");
    static_cast<void>(first.clusters().list());
    static_cast<void>(second.clusters().list());
    CHECK_INT(sandbox_count("token_requests") - before, 1);
    CHECK(!here.expired() && !there.expired());
    const Token token = second.token(variable("CAMUNDA_CONSOLE_OAUTH_AUDIENCE"));
    for (const auto& [name, value] : memory->values) {
      CHECK(value.find(token.expose()) == std::string::npos);
    }
    CHECK(!memory->values.empty() && memory->locked.empty());
  }
  CHECK(here.expired() && there.expired());
}

void call_succeeds_when_the_store_throws() {
  const auto store = std::make_shared<Failing>();
  const AdminClient admin = AdminClientBuilder::from_env().token_store(store).build();
  for (int i = 0; i < 3; ++i) static_cast<void>(admin.clusters().list());
  bool reported = false;
  const Value stores = admin.diagnostics()["stores"];
  for (std::size_t i = 0; i < stores.size(); ++i) {
    if (stores[i]["store"].str() != "custom token store") continue;
    reported = true;
    CHECK(!stores[i]["usable"].boolean(true));
    CHECK_PART(std::string(stores[i]["last_error"].json()).c_str(), "quota of tokens: ");
    CHECK_PART(std::string(stores[i]["read_error"].json()).c_str(), "other than std::exception");
    CHECK_PART(std::string(stores[i]["lock_error"].json()).c_str(), "\"the lock xxx");
    CHECK_INT(stores[i]["lock_error"].str().value_or("").size(), 500);
  }
  CHECK(reported);
}

void null_store_throws_invalid_argument() {
  bool invalid = false;
  try {
    static_cast<void>(AdminClientBuilder().token_store(nullptr));
  } catch (const InvalidArgumentError&) {
    invalid = true;
  }
  CHECK(invalid);
}

}  // namespace

int main() {
  RUN(clients_share_a_token_through_a_custom_store);
  RUN(call_succeeds_when_the_store_throws);
  RUN(null_store_throws_invalid_argument);
  return check_finish();
}
