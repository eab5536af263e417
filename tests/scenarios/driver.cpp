// The driver for C++: reads a call as a line of JSON, makes it through camunda_admin.hpp, answers a
// line of JSON.

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

// ---- What is asked for ----

/// The call cannot be written in C++.
struct Refused {
  std::string message;
};

class Request {
 public:
  explicit Request(Value request) : request_(std::move(request)) {}

  std::string name() const { return std::string(request_["call"].str().value_or("")); }
  std::string text(std::size_t index) const {
    return std::string(request_["arguments"][index].str().value_or(""));
  }
  std::string_view word(std::string_view key) const { return request_[key].str().value_or(""); }
  std::string_view json() const {
    return request_["body"].is_null() ? std::string_view() : request_["body"].json();
  }
  std::optional<Seconds> seconds(std::string_view key) const {
    if (request_[key].is_null()) return std::nullopt;
    return Seconds(request_[key].number());
  }

  /// The body as its type. What a type cannot hold is refused, as the compiler refuses it.
  template <class T>
  T body() const {
    try {
      T object = T::from_json(json());
      const Value held = Value::parse(object.to_json());
      const Value wanted = request_["body"];
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        const std::string_view field = wanted.key(i).value_or("");
        if (held[field].is_null()) throw Refused{"there is no field " + std::string(field)};
      }
      return object;
    } catch (const Error& error) {
      throw Refused{error.message()};
    }
  }

  template <class T = Cluster>
  Wait<T> wait() const {
    Wait<T> wait;
    if (const auto timeout = seconds("timeout")) wait = wait.timeout(*timeout);
    if (const auto interval = seconds("interval")) wait = wait.interval(*interval);
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

/// A call that answers something: `admin` and `request` are at hand.
#define ASK(name, expression) \
  {name, [](const AdminClient& admin, const Request& request) -> std::string { \
     (void)request; \
     return encode(expression); \
   }}
/// A call that answers nothing.
#define TELL(name, expression) \
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
  const std::string_view word = request.word("class");
  const Class repeat = word == "safe"         ? Idempotency::Safe
                       : word == "repeatable" ? Idempotency::Idempotent
                       : word == "once"       ? Idempotency::NonIdempotent
                                              : Idempotency::ByMethod;
  const Value answer = repeat == Idempotency::ByMethod
                           ? admin.request(request.text(0), request.text(1), request.json())
                           : admin.request_with_idempotency(repeat, request.text(0), request.text(1), request.json());
  return std::string(answer.json());
}

const std::map<std::string, Call> calls = {
    ASK("clusters.list", admin.clusters().list()),
    {"clusters.create", create_cluster},
    ASK("clusters.parameters", admin.clusters().parameters()),
    ASK("cluster.get", CLUSTER.get()),
    TELL("cluster.update", CLUSTER.update(request.body<UpdateCluster>())),
    TELL("cluster.delete", CLUSTER.delete_()),
    TELL("cluster.wake", CLUSTER.wake()),
    ASK("cluster.upgrade", CLUSTER.upgrade()),
    ASK("cluster.set_encryption", CLUSTER.set_encryption(request.body<UpdateEncryption>())),
    TELL("cluster.set_ip_allowlist",
         CLUSTER.set_ip_allowlist(request.body<detail::UpdateIpAllowlist>().ipallowlist)),
    ASK("cluster.add_to_ip_allowlist", CLUSTER.add_to_ip_allowlist({request.text(1), request.text(2)})),
    ASK("cluster.remove_from_ip_allowlist", CLUSTER.remove_from_ip_allowlist(request.text(1))),
    ASK("cluster.fail_over", CLUSTER.fail_over(request.body<TriggerFailover>())),
    ASK("cluster.wait_until_healthy", CLUSTER.wait_until_healthy(request.wait())),
    TELL("cluster.wait_until_deleted", CLUSTER.wait_until_deleted(request.wait())),
    ASK("cluster.wait_until_upgraded", CLUSTER.wait_until_upgraded(request.text(1), request.wait())),
    ASK("cluster.wait_until_woken", CLUSTER.wait_until_woken(request.wait())),
    ASK("cluster.wait_until_encrypted", CLUSTER.wait_until_encrypted(request.wait())),
    ASK("cluster.clients.list", CLUSTER.clients().list()),
    ASK("cluster.clients.create", CLUSTER.clients().create(request.body<CreateClusterClient>())),
    ASK("cluster.clients.get", CLUSTER.clients().get(request.text(1))),
    TELL("cluster.clients.delete", CLUSTER.clients().delete_(request.text(1))),
    ASK("cluster.backups.list", CLUSTER.backups().list()),
    ASK("cluster.backups.create", CLUSTER.backups().create()),
    ASK("cluster.backups.delete", CLUSTER.backups().delete_(request.text(1))),
    ASK("cluster.backups.restore_status", CLUSTER.backups().restore_status(request.text(1))),
    ASK("cluster.backups.restore", CLUSTER.backups().restore(request.text(1))),
    ASK("cluster.backups.schedule", CLUSTER.backups().schedule()),
    ASK("cluster.backups.set_schedule",
        CLUSTER.backups().set_schedule(request.body<detail::SetBackupSchedule>().schedule)),
    TELL("cluster.backups.delete_schedule", CLUSTER.backups().delete_schedule()),
    ASK("cluster.backups.wait_until_complete",
        CLUSTER.backups().wait_until_complete(request.text(1), request.wait<Backup>())),
    ASK("cluster.backups.wait_until_restored",
        CLUSTER.backups().wait_until_restored(request.text(1), request.wait<Restore>())),
    ASK("cluster.secrets.list", CLUSTER.secrets().list()),
    TELL("cluster.secrets.create", const auto body = request.body<detail::CreateSecret>();
         CLUSTER.secrets().create(body.secret_name, body.secret_value)),
    TELL("cluster.secrets.update",
         CLUSTER.secrets().update(request.text(1), request.body<detail::UpdateSecret>().secret_value)),
    TELL("cluster.secrets.delete", CLUSTER.secrets().delete_(request.text(1))),
    TELL("cluster.monitoring.activate", CLUSTER.monitoring().activate()),
    TELL("cluster.monitoring.deactivate", CLUSTER.monitoring().deactivate()),
    ASK("cluster.monitoring.get", CLUSTER.monitoring().get()),
    ASK("cluster.monitoring.create_client",
        CLUSTER.monitoring().create_client(request.body<detail::CreateMonitoringClient>().username)),
    TELL("cluster.monitoring.delete_client", CLUSTER.monitoring().delete_client(request.text(1))),
    ASK("cluster.monitoring.rotate_password", CLUSTER.monitoring().rotate_password(request.text(1))),
    ASK("cluster.secure_connectivity.get", CLUSTER.secure_connectivity().get()),
    TELL("cluster.secure_connectivity.activate",
         CLUSTER.secure_connectivity().activate(request.body<ActivateSecureConnectivity>())),
    TELL("cluster.secure_connectivity.deactivate", CLUSTER.secure_connectivity().deactivate()),
    ASK("members.list", admin.members().list()),
    TELL("members.set_roles",
         admin.members().set_roles(request.text(0), request.body<detail::SetMemberRoles>().org_roles)),
    TELL("members.delete", admin.members().delete_(request.text(0))),
    ASK("activity.list", admin.activity().list()),
    {"activity.csv", csv},
    ASK("ip_ranges", admin.ip_ranges()),
    {"request", any_request},
};

// ---- Answers ----

std::string told(const Error& error) {
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

std::string refused(const std::string& message) {
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

std::string answer(std::optional<AdminClient>& admin, const std::string& line) {
  try {
    const Value value = Value::parse(line);
    if (!value["connect"].is_null()) {
      admin = connect(value["connect"]);
      return "{\"result\":null}";
    }
    const Request request(value);
    const auto call = calls.find(request.name());
    if (call == calls.end()) return refused("there is no call " + request.name());
    const bool waits = request.name().find("wait_until") != std::string::npos;
    const auto timeout = waits ? std::nullopt : request.seconds("timeout");
    const AdminClient client = timeout ? admin->with(CallOptions().timeout(*timeout)) : *admin;
    return "{\"result\":" + call->second(client, request) + '}';
  } catch (const Refused& refusal) {
    return refused(refusal.message);
  } catch (const Error& error) {
    return told(error);
  }
}

}  // namespace

int main() {
  std::optional<AdminClient> admin;
  std::string line;
  while (std::getline(std::cin, line)) std::cout << answer(admin, line) << std::endl;
}
