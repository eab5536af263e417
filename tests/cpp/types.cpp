// The types of the header: decoding, encoding, unknown values and fields, validation.
#include <algorithm>
#include <iomanip>
#include <sstream>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "camunda_admin.hpp"
#include "check.h"

using namespace camunda;

namespace {

constexpr const char* cluster_json =
    R"({"uuid":"u1","name":"orders \"é\"\n","ownerId":"o","created":"2024-01-01T00:00:00Z",)"
    R"("autoUpdate":true,"channel":{"uuid":"c","name":"Stable"},"generation":{"uuid":"g","name":"8.8"},)"
    R"("region":{"uuid":"r","name":"bru-2","zone":"z"},"planType":{"uuid":"p","name":"G3"},)"
    R"("labels":["prod","a"],"links":{"zeebe":"z:443"},)"
    R"("status":{"ready":"Hibernating","zeebeStatus":"Healthy"},)"
    R"("encryption":{"type":"External","status":"Melted"},)"
    R"("ipallowlist":[{"ip":"10.0.0.0/8","description":"office","since":1.50}],)"
    R"("future":{"b":1e400,"a":[1.0,null]},"digits":123456789012345678901234567890})";

void decoded_object_encodes_to_equivalent_json() {
  const Cluster cluster = Cluster::from_json(cluster_json);
  CHECK_STR(cluster.uuid.c_str(), "u1");
  CHECK_STR(cluster.name.c_str(), "orders \"\xc3\xa9\"\n");
  CHECK(cluster.auto_update);
  CHECK(!cluster.description);
  CHECK(cluster.labels && cluster.labels->size() == 2);
  CHECK(cluster.status.ready.str() == "Hibernating");
  CHECK(!cluster.status.ready.is_known());
  CHECK(cluster.status.zeebe_status == ClusterComponentStatus::Healthy);
  CHECK(!cluster.status.operate_status);
  CHECK(cluster.encryption->type == EncryptionKeyType::External);
  CHECK(cluster.encryption->status->str() == "Melted");
  CHECK_STR(cluster.region.extra.find("zone")->str().c_str(), "\"z\"");
  CHECK_STR(cluster.extra.find("future")->str().c_str(), R"({"b":1e400,"a":[1.0,null]})");
  CHECK_STR(cluster.extra.find("digits")->str().c_str(), "123456789012345678901234567890");
  CHECK(cluster.extra.find("uuid") == nullptr);
  CHECK(cluster.allowlist() != nullptr && cluster.allowlist()->size() == 1);
  // The encoding is stable, although it escapes the name differently from the input.
  const std::string json = cluster.to_json();
  CHECK_STR(Cluster::from_json(json).to_json().c_str(), json.c_str());
  CHECK_PART(json.c_str(), R"("since":1.50)");
  CHECK_PART(json.c_str(), R"("ready":"Hibernating")");
  CHECK_PART(json.c_str(), R"("digits":123456789012345678901234567890})");
}

void null_decodes_like_an_absent_field_if_the_field_is_not_required() {
  const Cluster absent = Cluster::from_json(R"({"uuid":"a"})");
  const Cluster null = Cluster::from_json(
      R"({"uuid":"a","name":null,"description":null,"labels":null,"status":null,"channel":null,)"
      R"("autoUpdate":null,"encryption":null,"ipallowlist":null})");
  for (const Cluster& cluster : {absent, null}) {
    CHECK(cluster.name.empty() && !cluster.labels && cluster.status.ready.str().empty());
    CHECK(!cluster.auto_update && !cluster.encryption && cluster.channel.uuid.empty());
  }
  CHECK(absent.allowlist() == nullptr);
  const Cluster old = Cluster::from_json(R"({"uuid":"a","ipwhitelist":[{"ip":"1.2.3.4/32"}]})");
  CHECK(old.allowlist() != nullptr && old.allowlist()->front().description.empty());
}

template <class F>
void fails_to_decode(F&& decode, const char* part) {
  try {
    decode();
    check_fail(__FILE__, __LINE__, "no error with `%s`", part);
  } catch (const DecodeError& error) {
    CHECK_PART(error.what(), part);
    CHECK(error.stage() == Stage::Decode);
  }
}

void decode_error_has_the_path_of_the_value() {
  fails_to_decode([] { static_cast<void>(Cluster::from_json("{}")); }, "missing field `uuid`");
  fails_to_decode([] { static_cast<void>(Cluster::from_json(R"({"uuid":null})")); }, "uuid: expected a string");
  fails_to_decode([] { static_cast<void>(Cluster::from_json(R"({"uuid":"a","status":{"ready":3}})")); },
                  "status.ready: expected a string");
  fails_to_decode([] { static_cast<void>(Cluster::from_json(R"({"uuid":"a","labels":["a",1]})")); },
                  "labels[1]: expected a string");
  fails_to_decode([] { static_cast<void>(Cluster::from_json("[]")); }, "expected an object");
  fails_to_decode([] { static_cast<void>(AuditEvent::from_json(R"({"timestamp":"3"})")); },
                  "timestamp: expected a number");
  try {
    static_cast<void>(Cluster::from_json("{"));
    CHECK(false);
  } catch (const InvalidArgumentError& error) {
    CHECK(error.outcome() == Outcome::NotSent);
  }
}

void duplicate_field_takes_the_last_value() {
  CHECK_STR(PlanType::from_json(R"({"uuid":"a","uuid":"b"})").uuid.c_str(), "b");
  const ClusterLinks links = ClusterLinks::from_json(R"({"zeebe":"a","zeebe":null})");
  CHECK(!links.zeebe);
  CHECK_STR(Member::from_json(R"({"email":"e","new":1,"new":2})").extra.find("new")->str().c_str(), "2");
}

void null_is_encoded_again_unless_the_field_was_changed() {
  const std::string json =
      R"({"uuid":"a","name":null,"description":null,"region":null,"labels":null,"new":null})";
  Cluster cluster = Cluster::from_json(json);
  CHECK(cluster.name.empty() && !cluster.description && cluster.extra.size() == 1);
  const Value written = Value::parse(cluster.to_json());
  for (const char* name : {"name", "description", "region", "labels", "new"}) {
    CHECK(written[name].is_null());
    CHECK(cluster.to_json().find(std::string("\"") + name + "\":null") != std::string::npos);
  }
  cluster.name = "b";
  cluster.labels.emplace();
  const Value changed = Value::parse(cluster.to_json());
  CHECK(changed["name"].str() == "b");
  CHECK_STR(std::string(changed["labels"].json()).c_str(), "[]");
  CHECK(changed["region"].is_null() && changed["description"].is_null());
  CHECK(Cluster::from_json(R"({"uuid":"a"})").to_json().find("description") == std::string::npos);
  CHECK_STR(ClusterLinks::from_json(R"({"zeebe":null,"zeebe":"a"})").to_json().c_str(),
            R"({"zeebe":"a"})");
}

void absent_field_is_not_encoded_unless_it_was_set() {
  const std::string json = R"({"name":"a","clientId":"b","clientSecret":"c"})";
  CreatedClusterClient client = CreatedClusterClient::from_json(json);
  CHECK_STR(client.to_json().c_str(), json.c_str());
  client.permissions.emplace_back("Zeebe");
  CHECK_STR(client.to_json().c_str(),
            R"({"name":"a","clientId":"b","clientSecret":"c","permissions":["Zeebe"]})");
  // A request must be complete.
  const char* const entry = R"({"ip":"10.0.0.0/8","description":""})";
  CHECK_STR(IpAllowlistEntry::from_json(R"({"ip":"10.0.0.0/8"})").to_json().c_str(), entry);
  CHECK_STR(Cluster{}.to_json().substr(0, 20).c_str(), R"({"uuid":"","name":"")");
}

void enum_values_and_times_are_keys_of_hash_tables() {
  std::unordered_map<ClusterComponentStatus, int> counts;
  for (const char* status : {"Healthy", "Brand new", "Healthy", "Brand new", ""}) {
    ++counts[ClusterComponentStatus(std::string_view(status))];
  }
  CHECK_INT(counts.size(), 3);
  CHECK_INT(counts[ClusterComponentStatus::Healthy], 2);
  CHECK_INT(counts[ClusterComponentStatus(std::string_view("Brand new"))], 2);
  const std::unordered_map<Timestamp, int> times = {{"1970-01-01T00:00:00Z", 5}};
  CHECK(times.count("1970-01-01T00:00:00Z") == 1);
}

void open_enum_compares_known_values_and_keeps_unknown_ones() {
  ClusterComponentStatus status;
  CHECK(status.str().empty() && !status.is_known());
  status = ClusterComponentStatus::Creating;
  CHECK(status == ClusterComponentStatus::Creating && status != ClusterComponentStatus::Healthy);
  CHECK(status.str() == "Creating");
  CHECK(ClusterComponentStatus("Creating") == status);
  CHECK(BackupStatus("In progress").is_known());
  switch (ClusterComponentStatus("Napping").known()) {
    case ClusterComponentStatus::Unknown: break;
    default: CHECK(false);
  }
  CHECK(ClusterComponentStatus("Napping") == ClusterComponentStatus("Napping"));
  CHECK(ClusterComponentStatus("Napping") != ClusterComponentStatus("Dozing"));
  std::ostringstream stream;
  stream << std::setw(10) << ClusterComponentStatus("Napping");
  CHECK_STR(stream.str().c_str(), "   Napping");
}

void id_types_do_not_convert_to_each_other() {
  const ClusterId a = "a";
  const ClusterId b = std::string("b");
  CHECK(a != b && a < b && a == ClusterId(std::string_view("a")));
  CHECK(ClusterId().empty());
  static_assert(!std::is_convertible_v<ClusterClientId, ClusterId>, "id types are distinct");
  const std::unordered_set<ClusterId> set{a, b, a};
  CHECK_INT(set.size(), 2);
  std::ostringstream stream;
  stream << a;
  CHECK_STR(stream.str().c_str(), "a");
}

template <class T, class = void>
constexpr bool can_be_printed = false;
template <class T>
constexpr bool
    can_be_printed<T, std::void_t<decltype(std::declval<std::ostream&>() << std::declval<T>())>> =
        true;

void secret_has_no_stream_operator_and_is_overwritten_on_destruction() {
  static_assert(can_be_printed<ClusterId>, "an id is printable");
  static_assert(!can_be_printed<Secret>, "a secret is not printable");
  static_assert(!can_be_printed<Token>, "a token is not printable");
  const CreatedClusterClient created = CreatedClusterClient::from_json(
      R"({"name":"a","clientId":"b","clientSecret":"hunter2"})");
  CHECK_STR(created.client_secret.expose().c_str(), "hunter2");
  CHECK(created.uuid.empty() && created.permissions.empty() && !created.links);

  // Short strings are stored in the object, long ones on the heap.
  for (const std::string text : {"short", "a secret that is too long to lie in the object itself"}) {
    Secret secret(text);
    const Secret copy = secret;
    Secret moved = std::move(secret);
    CHECK(copy == moved && moved.expose() == text);
    moved = Secret("other");
    CHECK(copy != moved);
    secret = copy;
    CHECK(secret.expose() == text);
  }
  alignas(Secret) unsigned char memory[sizeof(Secret)] = {};
  (new (memory) Secret("hunter2"))->~Secret();
  const std::string left(reinterpret_cast<const char*>(memory), sizeof memory);
  CHECK(left.find("hunter2") == std::string::npos);
}

void number_keeps_all_digits() {
  const AuditEvent event = AuditEvent::from_json(R"({"timestamp":1763700000123})");
  CHECK_INT(event.timestamp->as_i64().value_or(0), 1763700000123);
  CHECK(event.timestamp->as_f64() == 1763700000123.0);
  const AuditEvent large = AuditEvent::from_json(R"({"timestamp":123456789012345678901234567890})");
  CHECK(!large.timestamp->as_i64());
  CHECK(large.timestamp->as_f64() > 1.2e29);
  CHECK_STR(large.timestamp->str().c_str(), "123456789012345678901234567890");
  CHECK(!AuditEvent::from_json(R"({"timestamp":-2.5})").timestamp->as_i64());
  CHECK(Number(7).as_i64() == 7);
  CHECK(Number(std::string("-1.0")).as_i64() == -1 && Number(std::string("2e3")).as_i64() == 2000);
  CHECK(!Number(std::string("not a number")).as_i64());
}

void failover_step_is_ok_or_has_an_error() {
  const FailoverResult result = FailoverResult::from_json(
      R"({"newClusterId":"n","results":{"backupClone":"ok","restore":{"error":"no room"}}})");
  CHECK(result.results.backup_clone.is_ok() && !result.results.backup_clone.error());
  CHECK(!result.results.restore.is_ok());
  CHECK_STR(result.results.restore.error().value_or("").c_str(), "no room");
  CHECK(!FailoverResult::from_json(R"({"newClusterId":"n"})").results.restore.is_ok());
  CHECK_PART(result.to_json().c_str(), R"("restore":{"error":"no room"})");
}

void request_encodes_only_fields_that_are_set() {
  CreateCluster cluster{"n\t", "c", "g", "r", "p"};
  CHECK_STR(cluster.to_json().c_str(),
            R"({"name":"n\u0009","channelId":"c","generationId":"g","regionId":"r","planTypeId":"p"})");
  cluster.hardware_packages = 4294967295U;
  cluster.auto_update = false;
  cluster.stage_label = ClusterStage::Dev;
  CHECK_PART(cluster.to_json().c_str(),
             R"("autoUpdate":false,"hardwarePackages":4294967295,"stageLabel":"dev"})");
  CHECK_STR(UpdateCluster{}.to_json().c_str(), "{}");
  CHECK_STR(ActivateSecureConnectivity({{"p"}, {}}).to_json().c_str(),
            R"({"allowedPrincipals":["p"],"allowedRegions":[]})");
}

void request_keeps_unknown_fields_and_nulls() {
  const char* const json = R"({"name":"n","description":null,"stageLabels":"dev"})";
  const UpdateCluster change = UpdateCluster::from_json(json);
  CHECK_INT(change.extra.size(), 1);
  CHECK_STR(change.to_json().c_str(), json);
  CHECK(UpdateCluster::from_json(R"({"name":"n"})") != change);
}

void ip_ranges_include_unknown_products() {
  const IpRanges ranges =
      IpRanges::from_json(R"({"web-modeler":["1.2.3.4/32"],"connectors":["5.6.7.8/32"],"n":7})");
  const auto all = ranges.by_product();
  CHECK_INT(all.size(), 2);
  CHECK_STR(all[1].first.c_str(), "connectors");
  CHECK_STR(all[1].second.at(0).c_str(), "5.6.7.8/32");
}

void value_is_null_after_a_move() {
  Value from = Value::parse(R"({"a":[1]})");
  Value to = std::move(from);
  CHECK(from.is_null() && from["a"].size() == 0);
  CHECK_INT(to["a"][0].integer(), 1);
  from = std::move(to);
  CHECK(to.is_null());
  Value& same = from;
  from = std::move(same);
  CHECK_INT(from["a"][0].integer(), 1);
  // Frees the tree.
  from = Value();
  CHECK(to.json() == "null");
}

void value_keeps_its_tree_alive() {
  Value inner;
  {
    const Value whole = Value::parse(R"({"a":{"b":["x","y\u0000z"]},"k\u0000y":true})");
    CHECK(whole.kind() == Kind::Object && whole.size() == 2);
    CHECK(whole[std::string_view("k\0y", 3)].boolean());
    CHECK(whole["k"].is_null() && whole["nope"]["never"][3].path("a.b").is_null());
    CHECK(whole.key(1) == std::string_view("k\0y", 3));
    inner = whole.path("a.b");
  }
  CHECK(inner[0].str() == "x");
  CHECK(inner[1].str() == std::string_view("y\0z", 3));
  CHECK(inner[2].is_null() && !inner[2].str() && inner[2].json() == "null");
  CHECK(inner.json() == R"(["x","y\u0000z"])");
  CHECK_INT(Value::parse("7").integer(), 7);
  CHECK(Value::parse("[1.5]")[0].number() == 1.5);
  bool invalid = false;
  try {
    static_cast<void>(Value::parse("{}").path(std::string_view("a\0b", 3)));
  } catch (const InvalidArgumentError&) {
    invalid = true;
  }
  CHECK(invalid);
}

void objects_compare_all_fields() {
  const Cluster cluster = Cluster::from_json(cluster_json);
  Cluster other = cluster;
  CHECK(other == cluster && !(other != cluster));
  other.status.zeebe_status = ClusterComponentStatus::Suspended;
  CHECK(other != cluster);
  other = cluster;
  other.labels->push_back("b");
  CHECK(other != cluster);
  other = cluster;
  other.ipallowlist->front().description = "home";
  CHECK(other != cluster);
  other = cluster;
  other.encryption.reset();
  CHECK(other != cluster && cluster != other);
  other = cluster;
  other.region.extra.insert("new", Json("1"));
  CHECK(other != cluster);
  CHECK(CreateCluster({"n", "c", "g", "r", "p"}) == CreateCluster({"n", "c", "g", "r", "p"}));
  CHECK(CreateCluster({"n", "c", "g", "r", "p"}) != CreateCluster({"n", "c", "g", "r", "q"}));
  CHECK(CreatedMonitoringClient() == CreatedMonitoringClient());
  CHECK(Stats() == Stats());
  Stats counted;
  counted.retries = 1;
  CHECK(counted != Stats());
}

template <class T>
std::string printed(const T& value) {
  std::ostringstream stream;
  stream << value;
  return stream.str();
}

void printed_objects_are_json_without_secrets() {
  const CreatedClusterClient created = CreatedClusterClient::from_json(
      R"({"name":"a","clientId":"b","clientSecret":"hunter2","new":"swordfish"})");
  const std::string text = printed(created);
  CHECK_PART(text.c_str(), R"("clientId":"b")");
  CHECK_PART(text.c_str(), R"("clientSecret":"***")");
  CHECK_PART(text.c_str(), R"("new":"***")");
  CHECK(text.find("hunter2") == std::string::npos && text.find("swordfish") == std::string::npos);
  CHECK_PART(created.to_json().c_str(), "hunter2");
  CHECK_PART(printed(Stats()).c_str(), R"({"calls":0,"requests":0)");
  CHECK_STR(printed(Value::parse("[1,\"a\"]")).c_str(), "[1,\"a\"]");
  CHECK_STR(printed(Json("{}")).c_str(), "{}");
  CHECK_STR(printed(Status::NotFound).c_str(), "not_found");
  CHECK_STR(printed(static_cast<Status>(999)).c_str(), "unrecognized");
  CHECK_STR(printed(Stage::Token).c_str(), "token");
  CHECK_STR(printed(Outcome::NotSent).c_str(), "not_sent");
  CHECK_STR(printed(Kind::Array).c_str(), "array");
  CHECK_STR(printed(LogLevel::Warn).c_str(), "warn");
}

void time_has_text_and_instant() {
  using std::chrono::milliseconds;
  const Cluster cluster = Cluster::from_json(R"({"uuid":"a","created":"2024-05-01T12:00:00.123Z"})");
  CHECK_STR(cluster.created.c_str(), "2024-05-01T12:00:00.123Z");
  CHECK(cluster.created.time() == SysTime(milliseconds(1714564800123)));
  CHECK_PART(cluster.to_json().c_str(), R"("created":"2024-05-01T12:00:00.123Z")");
  CHECK(!Cluster::from_json(R"({"uuid":"a"})").created.time());
  CHECK(!Timestamp("yesterday").time());
  CHECK(!Timestamp(std::string("1970-01-01T00:00:01Z\0x", 22)).time());
  CHECK_STR(printed(Timestamp("yesterday")).c_str(), "yesterday");
  const std::chrono::system_clock::time_point instant = *Timestamp("1970-01-01T00:00:01Z").time();
  CHECK(instant.time_since_epoch() == std::chrono::seconds(1));
  CHECK(AuditEvent::from_json(R"({"timestamp":1714564800123})").time() ==
        SysTime(milliseconds(1714564800123)));
  CHECK(!AuditEvent::from_json(R"({"timestamp":1.5})").time());
  CHECK(!AuditEvent::from_json("{}").time());
  CHECK(Timestamp("2024-05-01T12:00:00+02:00") < Timestamp("2024-05-01T11:00:00Z"));
  CHECK(!(Timestamp("2024-05-01T11:00:00Z") < Timestamp("2024-05-01T12:00:00+02:00")));
  CHECK(Timestamp("yesterday") < Timestamp("1970-01-01T00:00:00Z"));
}

void value_and_extra_are_ranges() {
  const Value value = Value::parse(R"({"a":[1,2,3],"b":{"x":4,"y":5}})");
  std::int64_t sum = 0;
  for (const Value& item : value["a"]) sum = 10 * sum + item.integer();
  for (const Value& field : value["b"]) sum = 10 * sum + field.integer();
  CHECK_INT(sum, 12345);
  CHECK(value["nope"].begin() == value["nope"].end());
  const Value items = value["a"];
  CHECK(std::count_if(items.begin(), items.end(), [](const Value& item) {
          return item.integer() > 1;
        }) == 2);
  CHECK(items == Value::parse("[1,2,3]") && items != value["b"]);
  const Member member = Member::from_json(R"({"email":"e","n1":1,"n2":2})");
  std::string names;
  for (const auto& [name, json] : member.extra) names += name + '=' + json.str() + ' ';
  CHECK_STR(names.c_str(), "n1=1 n2=2 ");
}

}  // namespace

int main() {
  RUN(objects_compare_all_fields);
  RUN(printed_objects_are_json_without_secrets);
  RUN(time_has_text_and_instant);
  RUN(value_and_extra_are_ranges);
  RUN(decoded_object_encodes_to_equivalent_json);
  RUN(null_decodes_like_an_absent_field_if_the_field_is_not_required);
  RUN(decode_error_has_the_path_of_the_value);
  RUN(duplicate_field_takes_the_last_value);
  RUN(null_is_encoded_again_unless_the_field_was_changed);
  RUN(absent_field_is_not_encoded_unless_it_was_set);
  RUN(enum_values_and_times_are_keys_of_hash_tables);
  RUN(open_enum_compares_known_values_and_keeps_unknown_ones);
  RUN(id_types_do_not_convert_to_each_other);
  RUN(secret_has_no_stream_operator_and_is_overwritten_on_destruction);
  RUN(number_keeps_all_digits);
  RUN(failover_step_is_ok_or_has_an_error);
  RUN(request_encodes_only_fields_that_are_set);
  RUN(request_keeps_unknown_fields_and_nulls);
  RUN(ip_ranges_include_unknown_products);
  RUN(value_keeps_its_tree_alive);
  RUN(value_is_null_after_a_move);
  return check_finish();
}
