// Scenario driver for C++: reads calls as lines of JSON, makes them through camunda_admin.hpp and writes
// each result or error as a line of JSON.

#include "camunda_admin.hpp"

#include <cstdio>
#include <iostream>
#include <map>
#include <sstream>

using namespace camunda;

namespace {

// ---- Writing JSON ----

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      out += escape;
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    out += two;
  }
  return out;
}

template <class T>
std::string encode(const T& object) {
  return object.to_json();
}

template <class T>
std::string encode(const std::vector<T>& objects) {
  std::string out = "[";
  for (const T& object : objects) {
    if (out.size() > 1) out += ',';
    out += encode(object);
  }
  return out + ']';
}

std::string encode(const Secrets& secrets) {
  std::string out = "{";
  for (const auto& [name, value] : secrets) {
    if (out.size() > 1) out += ',';
    out += quoted(name) + ':' + quoted(value.expose());
  }
  return out + '}';
}

// ---- Requests from the harness ----

/// The call does not compile or is not possible in C++.
struct InvalidCall {
  std::string message;
};

class Request {
 public:
  explicit Request(Value request) : request_(std::move(request)) {}

  std::string name() const { return std::string(request_["call"].str().value_or("")); }
  std::string text(std::size_t index) const {
    return std::string(request_["arguments"][index].str().value_or(""));
  }
  std::string_view string(std::string_view key) const { return request_[key].str().value_or(""); }
  std::string_view json() const {
    return request_["body"].is_null() ? std::string_view() : request_["body"].json();
  }
  std::optional<Seconds> seconds(std::string_view key) const {
    if (request_[key].is_null()) return std::nullopt;
    return Seconds(request_[key].number());
  }

  /// Returns the body as its type. Throws InvalidCall if the type does not have one of its fields.
  template <class T>
  T body() const {
    try {
      T object = T::from_json(json());
      const Value actual = Value::parse(object.to_json());
      const Value expected = request_["body"];
      for (std::size_t i = 0; i < expected.size(); ++i) {
        const std::string_view field = expected.key(i).value_or("");
        if (actual[field].is_null()) throw InvalidCall{"unknown field " + std::string(field)};
      }
      return object;
    } catch (const Error& error) {
      throw InvalidCall{error.message()};
    }
  }

  template <class T = Cluster>
  Wait<T> wait() const {
    Wait<T> wait;
    if (const auto timeout = seconds("timeout")) wait = wait.timeout(*timeout);
    if (const auto interval = seconds("interval")) wait = wait.max_poll_interval(*interval);
    return wait;
  }

 private:
  Value request_;
};

// ---- The calls ----

using Call = std::string (*)(const AdminClient&, const Request&);

ClusterHandle cluster(const AdminClient& admin, const Request& request) {
  return admin.cluster(request.text(0));
}

/// Entry of a call that returns a value; the expression can use `admin` and `request`.
#define CALL_VALUE(name, expression) \
  {name, [](const AdminClient& admin, const Request& request) -> std::string { \
     (void)request; \
     return encode(expression); \
   }}
/// Entry of a call that returns no value.
#define CALL_VOID(name, expression) \
  {name, [](const AdminClient& admin, const Request& request) -> std::string { \
     (void)request; \
     expression; \
     return "null"; \
   }}
#define CLUSTER cluster(admin, request)

std::string csv(const AdminClient& admin, const Request&) {
  std::ostringstream text;
  admin.activity().csv(text);
  return quoted(text.str());
}

std::string create_cluster(const AdminClient& admin, const Request& request) {
  const ClusterId id = admin.clusters().create(request.body<CreateCluster>());
  return "{\"clusterId\":" + quoted(id.str()) + '}';
}

std::string any_request(const AdminClient& admin, const Request& request) {
  const std::string_view name = request.string("idempotency");
  const Idempotency idempotency = name == "safe"             ? Idempotency::Safe
                                  : name == "idempotent"     ? Idempotency::Idempotent
                                  : name == "non_idempotent" ? Idempotency::NonIdempotent
                                                             : Idempotency::ByMethod;
  const std::string method = request.text(0);
  const std::string path = request.text(1);
  const Value response = idempotency == Idempotency::ByMethod
                             ? admin.request(method, path, request.json())
                             : admin.request_with_idempotency(idempotency, method, path, request.json());
  return std::string(response.json());
}

const std::map<std::string, Call> calls = {
#include "calls_generated.hpp"
    {"clusters.create", create_cluster},
    {"activity.csv", csv},
    CALL_VALUE("cluster.add_to_ip_allowlist", CLUSTER.add_to_ip_allowlist({request.text(1), request.text(2)})),
    CALL_VALUE("cluster.remove_from_ip_allowlist", CLUSTER.remove_from_ip_allowlist(request.text(1))),
    {"request", any_request},
};

// ---- Replies ----

std::string error_reply(const Error& error) {
  std::string out = "{\"status\":" + std::to_string(static_cast<int>(error.status()));
  out += ",\"stage\":" + std::to_string(static_cast<int>(error.stage()));
  out += ",\"outcome\":" + std::to_string(static_cast<int>(error.outcome()));
  out += ",\"attempts\":" + std::to_string(error.attempts());
  out += ",\"message\":" + quoted(error.what());
  if (error.http_status()) out += ",\"http_status\":" + std::to_string(*error.http_status());
  if (error.server_message()) out += ",\"server_message\":" + quoted(*error.server_message());
  if (error.operation()) out += ",\"operation\":" + quoted(*error.operation());
  if (error.body()) out += ",\"body_hex\":\"" + hex(*error.body()) + '"';
  if (error.retry_after()) out += ",\"retry_after\":" + std::to_string(error.retry_after()->count());
  if (dynamic_cast<const OutcomeUnknownError*>(&error) != nullptr) {
    out += ",\"may_have_been_applied\":true";
  }
  return "{\"error\":" + out + "}}";
}

std::string invalid_call_reply(const std::string& message) {
  return "{\"error\":{\"kind\":\"InvalidArgument\",\"stage\":1,\"outcome\":1,\"message\":" +
         quoted(message) + "}}";
}

AdminClient connect(const Value& settings) {
  AdminClientBuilder builder;
  for (std::size_t i = 0; i < settings.size(); ++i) {
    builder.set(*settings.key(i), settings[i].str().value_or(""));
  }
  return builder.build();
}

std::string reply(std::optional<AdminClient>& admin, const std::string& line) {
  try {
    const Value value = Value::parse(line);
    if (!value["connect"].is_null()) {
      admin = connect(value["connect"]);
      return "{\"result\":null}";
    }
    const Request request(value);
    const auto call = calls.find(request.name());
    if (call == calls.end()) return invalid_call_reply("unknown call " + request.name());
    const bool waits = request.name().find("wait_until") != std::string::npos;
    const auto timeout = waits ? std::nullopt : request.seconds("timeout");
    const AdminClient client = timeout ? admin->with(CallOptions().timeout(*timeout)) : *admin;
    return "{\"result\":" + call->second(client, request) + '}';
  } catch (const InvalidCall& invalid) {
    return invalid_call_reply(invalid.message);
  } catch (const Error& error) {
    return error_reply(error);
  }
}

}  // namespace

int main() {
  std::optional<AdminClient> admin;
  std::string line;
  while (std::getline(std::cin, line)) std::cout << reply(admin, line) << std::endl;
}
