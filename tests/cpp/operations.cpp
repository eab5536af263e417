// Calls the operations and waiters of each resource with their C++ types. The scenarios call all of them.
#include <sstream>
#include <string>

#include "camunda_admin.hpp"
#include "check.h"

using namespace camunda;
using namespace std::chrono_literals;

namespace {

AdminClient admin = AdminClient::from_env();

Seconds stretched(double seconds) { return Seconds(within(seconds)); }

ClusterId make_cluster(const char* fields) {
  char* uuid = sandbox_cluster(fields);
  ClusterId id(uuid);
  free(uuid);
  return id;
}

void control(const std::string& changes) { free(sandbox_control(changes.c_str(), nullptr)); }

template <class T = Cluster>
Wait<T> quick() {
  return Wait<T>{}.timeout(stretched(30)).max_poll_interval(50ms);
}

void clusters() {
  const Parameters offer = admin.clusters().parameters();
  const Channel& channel = offer.channels.at(0);
  const ClusterId id = admin.clusters().create({"orders", channel.uuid,
                                                channel.default_generation.uuid,
                                                offer.regions.at(0).uuid,
                                                offer.cluster_plan_types.at(0).uuid});
  const ClusterHandle cluster = admin.cluster(id);
  int polls = 0;
  const Cluster healthy = cluster.wait_until_healthy(quick().on_progress([&](const Cluster& polled) {
    CHECK(polled.uuid == id);
    ++polls;
  }));
  CHECK(polls >= 2);
  CHECK(healthy.status.ready == ClusterComponentStatus::Healthy);

  UpdateCluster change;
  change.name = "new";
  change.description = "";
  cluster.update(change);
  CHECK_STR(cluster.get().name.c_str(), "new");
  const auto all = admin.clusters().list();
  CHECK_INT(all.size(), 1);
  CHECK(all.at(0).uuid == id);
  CHECK(cluster.id() == id);
  cluster.remove();
  cluster.wait_until_deleted(quick());
}

void wake_upgrade_encryption_and_failover() {
  const ClusterId id = make_cluster(R"({"name":"sleeper"})");
  const ClusterHandle cluster = admin.cluster(id);
  control(R"({"status":{"cluster":")" + id.str() + R"(","ready":"Suspended"}})");
  cluster.wake();
  CHECK(cluster.wait_until_woken(quick()).status.ready == ClusterComponentStatus::Healthy);
  control(R"({"upgrade_available":{"cluster":")" + id.str() + R"("}})");
  const GenerationUpgrade upgrade = cluster.upgrade();
  CHECK(cluster.wait_until_upgraded(upgrade.new_generation.id, quick()).generation.uuid ==
        upgrade.new_generation.id);

  bool rejected = false;
  try {
    static_cast<void>(cluster.set_encryption({"arn:nonsense"}));
  } catch (const Error& error) {
    rejected = error.http_status().has_value();
  }
  CHECK(rejected);
  control(R"({"update_cluster":{"cluster":")" + id.str() +
          R"(","encryption":{"type":"External","status":"Ready"}}})");
  CHECK(cluster.wait_until_encrypted(quick()).encryption->status == EncryptionStatus::Ready);

  sandbox_fault(
      R"({"operation":"POST /clusters/{clusterUuid}/failover","status":200,)"
      R"("body":{"newClusterId":"n","results":{"backupClone":"ok","restore":"ok"}}})");
  const FailoverResult result = cluster.fail_over({{"b"}, "b"});
  CHECK(result.new_cluster_id == ClusterId("n") && result.results.restore.is_ok());
}

void allowlist() {
  const ClusterHandle cluster = admin.cluster(make_cluster(R"({"name":"guarded"})"));
  cluster.set_ip_allowlist({{"10.0.0.0/8", "office"}});
  CHECK_INT(cluster.add_to_ip_allowlist({"192.0.2.0/24", "lab"}).size(), 2);
  const auto left = cluster.remove_from_ip_allowlist("10.0.0.0/8");
  CHECK_INT(left.size(), 1);
  CHECK_STR(left.at(0).description.c_str(), "lab");
  CHECK_INT(cluster.get().allowlist()->size(), 1);
}

void cluster_clients_and_credentials() {
  const ClusterHandle cluster = admin.cluster(make_cluster(R"({"name":"clients"})"));
  const ClusterClients clients = cluster.clients();
  const CreatedClusterClient created =
      clients.create({"worker", {{ClientPermission::Zeebe, ClientPermission::Operate}}});
  CHECK(!created.client_secret.empty());
  CHECK(clients.list().at(0).client_id == created.client_id);
  CHECK_STR(clients.get(created.client_id).zeebe_client_id.c_str(), created.client_id.c_str());

  const ClusterCredentials credentials = created.credentials(cluster.get());
  CHECK(credentials.get("ZEEBE_CLIENT_SECRET") == created.client_secret.expose());
  CHECK(!credentials.get("NO_SUCH_VARIABLE"));
  CHECK(credentials.names().size() > 8);
  char* path = scratch("worker.env");
  credentials.write_env_file(path);
  bool rejected = false;
  try {
    credentials.write_env_file(path);
  } catch (const IoError& error) {
    rejected = std::string(error.what()).find("worker.env") != std::string::npos;
  }
  CHECK(rejected);
  const ClusterCredentials again = ClusterCredentials::from_env_file(path);
  CHECK(again.get("ZEEBE_CLIENT_SECRET") == created.client_secret.expose());
  free(path);

  const ClusterCredentials parsed(Value::parse(R"({"ZEEBE_CLIENT_ID":"a","ZEEBE_CLIENT_SECRET":"b"})"));
  CHECK(parsed.get("ZEEBE_CLIENT_SECRET") == "b");
  char* parsed_path = scratch("parsed.env");
  parsed.write_env_file(parsed_path);
  CHECK(ClusterCredentials::from_env_file(parsed_path).get("ZEEBE_CLIENT_ID") == "a");
  free(parsed_path);
  bool invalid = false;
  try {
    static_cast<void>(TokenSource(ClusterCredentials(Value::parse("[]"))));
  } catch (const InvalidArgumentError& error) {
    invalid = std::string(error.what()).find("credentials") != std::string::npos;
  }
  CHECK(invalid);

  char* created_path = scratch("created.env");
  const CreatedClusterClient other =
      clients.create_env_file(created_path, {"other", {{ClientPermission::Zeebe}}});
  const ClusterCredentials of_other = ClusterCredentials::from_env_file(created_path);
  CHECK(of_other.get("ZEEBE_CLIENT_SECRET") == other.client_secret.expose());
  CHECK(of_other.get("CAMUNDA_CLUSTER_REGION") == "bru-2");
  bool exists = false;
  try {
    static_cast<void>(clients.create_env_file(created_path, {"third"}));
  } catch (const IoError& error) {
    exists = error.outcome() == Outcome::NotSent;
  }
  CHECK(exists);
  CHECK_INT(clients.list().size(), 2);
  clients.remove(other.client_id);
  free(created_path);

  const TokenSource zeebe(again);
  const Token token = zeebe.access_token();
  CHECK(!token.expose().empty() && token.expires_at() > std::chrono::system_clock::now());
  zeebe.invalidate(token);
  CHECK(zeebe.access_token().expose() != token.expose());
  CHECK_INT(zeebe.stats().token_requests, 2);

  const Cancel cancel;
  const TokenSource limited = zeebe.with(CallOptions().cancel(cancel));
  cancel.cancel();
  // Adding a timeout keeps the cancellation flag.
  const TokenSource both = limited.with(CallOptions().timeout(Seconds(20)));
  limited.invalidate(zeebe.access_token());
  bool cancelled = false;
  try {
    static_cast<void>(both.access_token());
  } catch (const CancelledError&) {
    cancelled = true;
  }
  CHECK(cancelled);

  clients.remove(created.client_id);
  CHECK(clients.list().empty());
}

void credentials_from_env_reads_the_variables() {
  // The mock server's environment has them, for `@camunda8/sdk`.
  unsetenv("ZEEBE_CLIENT_ID");
  unsetenv("ZEEBE_CLIENT_SECRET");
  bool missing = false;
  try {
    static_cast<void>(ClusterCredentials::from_env());
  } catch (const ConfigError& error) {
    missing = std::string(error.what()).find("ZEEBE_CLIENT_ID") != std::string::npos;
  }
  CHECK(missing);
  setenv("ZEEBE_CLIENT_ID", "the-id", 1);
  setenv("ZEEBE_CLIENT_SECRET", "the-secret", 1);
  const ClusterCredentials credentials = ClusterCredentials::from_env();
  CHECK(credentials.get("ZEEBE_CLIENT_ID") == "the-id");
  CHECK(credentials.get("CAMUNDA_OAUTH_URL") == variable("CAMUNDA_OAUTH_URL"));
  CHECK_INT(credentials.names().size(), 3);
  unsetenv("ZEEBE_CLIENT_ID");
  unsetenv("ZEEBE_CLIENT_SECRET");
}

void backups() {
  const Backups backups = admin.cluster(make_cluster(R"({"name":"saved"})")).backups();
  const Backup backup = backups.create();
  int polls = 0;
  const auto wait = quick<Backup>().on_progress([&](const Backup& polled) {
    CHECK(polled.uuid == backup.uuid);
    ++polls;
  });
  CHECK(backups.wait_until_complete(backup.uuid, wait).status == BackupStatus::Complete);
  CHECK(polls >= 1);
  const Restore restore = backups.restore(backup.uuid);
  CHECK_STR(backups.restore_status(backup.uuid).uuid.c_str(), restore.uuid.c_str());
  CHECK(backups.wait_until_restored(backup.uuid, quick<Restore>()).state == RestoreState::Completed);
  CHECK_STR(backups.set_schedule("0 2 * * *").schedule.c_str(), "0 2 * * *");
  CHECK_STR(backups.schedule().schedule.c_str(), "0 2 * * *");
  backups.delete_schedule();
  CHECK_INT(backups.list().size(), 1);
  CHECK(backups.remove(backup.uuid).uuid == backup.uuid);
}

void secrets() {
  const ClusterSecrets secrets = admin.cluster(make_cluster(R"({"name":"secretive"})")).secrets();
  secrets.create("KEY", "v1");
  secrets.update("KEY", std::string("v2"));
  const Secrets all = secrets.list();
  CHECK_INT(all.size(), 1);
  CHECK(all.at(0).first == "KEY" && all.at(0).second.expose() == "v2");
  secrets.remove("KEY");
}

void monitoring() {
  const ClusterMonitoring monitoring =
      admin.cluster(make_cluster(R"({"name":"watched"})")).monitoring();
  monitoring.activate();
  const CreatedMonitoringClient created = monitoring.create_client("prometheus");
  CHECK(monitoring.rotate_password(created.uuid).password != created.password);
  CHECK_STR(monitoring.get().clients.at(0).username.c_str(), "prometheus");
  monitoring.delete_client(created.uuid);
  monitoring.deactivate();
}

void secure_connectivity() {
  const SecureConnectivity connectivity =
      admin.cluster(make_cluster(R"({"name":"private"})")).secure_connectivity();
  connectivity.activate({{"arn:aws:iam::123456789012:root"}, {"eu-central-1"}});
  CHECK(connectivity.get().status.spec->allowed_regions.at(0) == "eu-central-1");
  connectivity.deactivate();
}

void members_activity_and_ip_ranges() {
  admin.members().set_roles("ann@example.com", {AssignableRole::Analyst});
  bool found = false;
  for (const Member& member : admin.members().list()) {
    found = found || (member.email == "ann@example.com" &&
                      member.roles.at(0) == OrganizationRole::Analyst);
  }
  CHECK(found);
  admin.members().remove("ann@example.com");
  CHECK(!admin.activity().list().empty());
  std::ostringstream csv;
  admin.activity().csv(csv);
  std::string again;
  admin.activity().csv([&](std::string_view piece) { again += piece; });
  CHECK(csv.str().size() > 10);
  CHECK(csv.str() == again);
  CHECK(!admin.ip_ranges().web_modeler.empty());
}

void request_reaches_endpoints_without_a_method() {
  CHECK(admin.request("GET", "/clusters?new=1").kind() == Kind::Array);
  const ClusterId id = make_cluster(R"({"name":"raw"})");
  const Value response = admin.request_with_idempotency(Idempotency::Idempotent, "PATCH",
                                                        "/clusters/" + id.str(), R"({"name":"new"})");
  CHECK(response.is_null());
  CHECK_STR(admin.cluster(id).get().name.c_str(), "new");
}

void tokens_and_stats() {
  const Token token = admin.token("api.cloud.camunda.io");
  CHECK(admin.token_source("api.cloud.camunda.io").access_token().expose() == token.expose());
  CHECK(admin.token().expose() == token.expose());
  CHECK(admin.token_source().access_token().expose() == token.expose());
  const Stats stats = admin.stats();
  CHECK(stats.token_requests == 1 && stats.requests > 20 && stats.calls > 20);
  CHECK(stats.bytes_sent > 0 && stats.bytes_received > 0 && stats.token_cache_hits > 0);
  CHECK(stats.extra.empty());
  admin.clear_auth_failure();
  admin.invalidate_tokens();
  CHECK(admin.token("api.cloud.camunda.io").expose() != token.expose());
}

void doctor_reports_on_the_environment() {
  const Value report = doctor();
  CHECK(report["ok"].boolean());
  CHECK(report.path("permissions.0.access").str() == "allowed");

  // A server that cannot be reached is part of the report, and so is where its URL comes from.
  const auto unreachable = AdminClientBuilder::from_env().base_url("http://127.0.0.1:1");
  const Value broken = doctor(unreachable, CallOptions{}.timeout(5s));
  CHECK(!broken["ok"].boolean(true));
  std::size_t failed = 0;
  for (const Value& check : broken["checks"]) {
    if (check["status"].str() != "failed" || check["name"].str() != "tcp") continue;
    CHECK(check["target"].str() == "http://127.0.0.1:1");
    ++failed;
  }
  CHECK(failed == 1);
  std::size_t settings = 0;
  for (const Value& setting : broken["settings"]) {
    if (setting["key"].str() != "base_url") continue;
    CHECK(setting["source"].str() == "program");
    ++settings;
  }
  CHECK(settings == 1);

  Cancel cancel;
  cancel.cancel();
  bool cancelled = false;
  try {
    static_cast<void>(doctor(CallOptions{}.cancel(cancel)));
  } catch (const CancelledError&) {
    cancelled = true;
  }
  CHECK(cancelled);
}

}  // namespace

int main() {
  RUN(clusters);
  RUN(wake_upgrade_encryption_and_failover);
  RUN(allowlist);
  RUN(cluster_clients_and_credentials);
  RUN(credentials_from_env_reads_the_variables);
  RUN(backups);
  RUN(secrets);
  RUN(monitoring);
  RUN(secure_connectivity);
  RUN(members_activity_and_ip_ranges);
  RUN(request_reaches_endpoints_without_a_method);
  RUN(tokens_and_stats);
  RUN(doctor_reports_on_the_environment);
  return check_finish();
}
