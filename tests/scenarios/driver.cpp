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
    CALL_VALUE("clusters.list", admin.clusters().list()),
    {"clusters.create", create_cluster},
    CALL_VALUE("clusters.parameters", admin.clusters().parameters()),
    CALL_VALUE("cluster.get", CLUSTER.get()),
    CALL_VOID("cluster.update", CLUSTER.update(request.body<UpdateCluster>())),
    CALL_VOID("cluster.delete", CLUSTER.remove()),
    CALL_VOID("cluster.wake", CLUSTER.wake()),
    CALL_VALUE("cluster.upgrade", CLUSTER.upgrade()),
    CALL_VALUE("cluster.set_encryption", CLUSTER.set_encryption(request.body<UpdateEncryption>())),
    CALL_VOID("cluster.set_ip_allowlist",
         CLUSTER.set_ip_allowlist(request.body<detail::UpdateIpAllowlist>().ipallowlist)),
    CALL_VALUE("cluster.add_to_ip_allowlist", CLUSTER.add_to_ip_allowlist({request.text(1), request.text(2)})),
    CALL_VALUE("cluster.remove_from_ip_allowlist", CLUSTER.remove_from_ip_allowlist(request.text(1))),
    CALL_VALUE("cluster.fail_over", CLUSTER.fail_over(request.body<TriggerFailover>())),
    CALL_VALUE("cluster.wait_until_healthy", CLUSTER.wait_until_healthy(request.wait())),
    CALL_VOID("cluster.wait_until_deleted", CLUSTER.wait_until_deleted(request.wait())),
    CALL_VALUE("cluster.wait_until_upgraded", CLUSTER.wait_until_upgraded(request.text(1), request.wait())),
    CALL_VALUE("cluster.wait_until_woken", CLUSTER.wait_until_woken(request.wait())),
    CALL_VALUE("cluster.wait_until_encrypted", CLUSTER.wait_until_encrypted(request.wait())),
    CALL_VALUE("cluster.clients.list", CLUSTER.clients().list()),
    CALL_VALUE("cluster.clients.create", CLUSTER.clients().create(request.body<CreateClusterClient>())),
    CALL_VALUE("cluster.clients.get", CLUSTER.clients().get(request.text(1))),
    CALL_VOID("cluster.clients.delete", CLUSTER.clients().remove(request.text(1))),
    CALL_VALUE("cluster.backups.list", CLUSTER.backups().list()),
    CALL_VALUE("cluster.backups.create", CLUSTER.backups().create()),
    CALL_VALUE("cluster.backups.delete", CLUSTER.backups().remove(request.text(1))),
    CALL_VALUE("cluster.backups.restore_status", CLUSTER.backups().restore_status(request.text(1))),
    CALL_VALUE("cluster.backups.restore", CLUSTER.backups().restore(request.text(1))),
    CALL_VALUE("cluster.backups.schedule", CLUSTER.backups().schedule()),
    CALL_VALUE("cluster.backups.set_schedule",
        CLUSTER.backups().set_schedule(request.body<detail::SetBackupSchedule>().schedule)),
    CALL_VOID("cluster.backups.delete_schedule", CLUSTER.backups().delete_schedule()),
    CALL_VALUE("cluster.backups.wait_until_complete",
        CLUSTER.backups().wait_until_complete(request.text(1), request.wait<Backup>())),
    CALL_VALUE("cluster.backups.wait_until_restored",
        CLUSTER.backups().wait_until_restored(request.text(1), request.wait<Restore>())),
    CALL_VALUE("cluster.secrets.list", CLUSTER.secrets().list()),
    CALL_VOID("cluster.secrets.create", const auto body = request.body<detail::CreateSecret>();
         CLUSTER.secrets().create(body.secret_name, body.secret_value)),
    CALL_VOID("cluster.secrets.update",
         CLUSTER.secrets().update(request.text(1), request.body<detail::UpdateSecret>().secret_value)),
    CALL_VOID("cluster.secrets.delete", CLUSTER.secrets().remove(request.text(1))),
    CALL_VOID("cluster.monitoring.activate", CLUSTER.monitoring().activate()),
    CALL_VOID("cluster.monitoring.deactivate", CLUSTER.monitoring().deactivate()),
    CALL_VALUE("cluster.monitoring.get", CLUSTER.monitoring().get()),
    CALL_VALUE("cluster.monitoring.create_client",
        CLUSTER.monitoring().create_client(request.body<detail::CreateMonitoringClient>().username)),
    CALL_VOID("cluster.monitoring.delete_client", CLUSTER.monitoring().delete_client(request.text(1))),
    CALL_VALUE("cluster.monitoring.rotate_password", CLUSTER.monitoring().rotate_password(request.text(1))),
    CALL_VALUE("cluster.secure_connectivity.get", CLUSTER.secure_connectivity().get()),
    CALL_VOID("cluster.secure_connectivity.activate",
         CLUSTER.secure_connectivity().activate(request.body<ActivateSecureConnectivity>())),
    CALL_VOID("cluster.secure_connectivity.deactivate", CLUSTER.secure_connectivity().deactivate()),
    CALL_VALUE("members.list", admin.members().list()),
    CALL_VOID("members.set_roles",
         admin.members().set_roles(request.text(0), request.body<detail::SetMemberRoles>().org_roles)),
    CALL_VOID("members.delete", admin.members().remove(request.text(0))),
    CALL_VALUE("activity.list", admin.activity().list()),
    {"activity.csv", csv},
    CALL_VALUE("ip_ranges", admin.ip_ranges()),
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
