// End-to-end example in C++: creates a cluster, waits until it is healthy, creates a client and
// stores its credentials, gets a token as that client, lists clusters and clients, and deletes
// both.
//
//     quickstart [--create] [FILE]
//
// Reads the settings from the environment variables, for example CAMUNDA_CONSOLE_CLIENT_ID. Against
// a server on this machine, such as the sandbox, it runs all steps. Against the real API it only
// lists clusters, unless --create is given: a cluster costs money until it is deleted. FILE
// receives the credentials and must not exist; default: a temporary file, which is deleted at the
// end.

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <string>
#include <string_view>

#include "camunda_admin.hpp"

using namespace std::chrono_literals;

namespace {

using Clock = std::chrono::steady_clock;

/// Path of a temporary file. The destructor deletes the file.
class TemporaryFile {
 public:
  TemporaryFile()
      : path_(std::filesystem::temp_directory_path() /
              ("quickstart-" + std::to_string(getpid()) + ".env")) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

void list(const camunda::AdminClient& admin) {
  const auto clusters = admin.clusters().list();
  std::cout << "The organization has " << clusters.size() << " cluster(s).\n";
  for (const camunda::Cluster& cluster : clusters) {
    std::cout << "  " << cluster.uuid << ' ' << cluster.name << ' ' << cluster.status.ready << '\n';
  }
}

camunda::Cluster wait_until_healthy(const camunda::ClusterHandle& cluster) {
  const auto start = Clock::now();
  camunda::ClusterComponentStatus shown;
  return cluster.wait_until_healthy(
      camunda::Wait{}.timeout(20min).on_progress([&](const camunda::Cluster& polled) {
        if (polled.status.ready == shown) return;
        shown = polled.status.ready;
        const camunda::Seconds passed = Clock::now() - start;
        std::cout << "  " << std::fixed << std::setprecision(1) << std::setw(5) << passed.count()
                  << " s " << shown << std::endl;
      }));
}

void use(const camunda::AdminClient& admin, const camunda::ClusterHandle& cluster,
         const std::filesystem::path& file) {
  wait_until_healthy(cluster);

  // The API returns the secret only once, so the file is created before the client.
  const auto created = cluster.clients().create_env_file(
      file.string(),
      {"worker", {{camunda::ClientPermission::Zeebe, camunda::ClientPermission::Operate}}});
  std::cout << "Created the client " << created.name << " (" << created.client_id
            << "), with its credentials in " << file.string() << ".\n";
  const auto credentials = camunda::ClusterCredentials::from_env_file(file.string());

  const camunda::Token token = camunda::TokenSource(credentials).access_token();
  const auto left = token.expires_at() - std::chrono::system_clock::now();
  std::cout << "Got a token for Zeebe as that client, valid for "
            << std::chrono::duration_cast<std::chrono::minutes>(left).count() << " minutes.\n";

  list(admin);
  for (const camunda::ClusterClient& client : cluster.clients().list()) {
    std::cout << "  client " << client.name << " may use";
    for (const auto& permission : client.permissions) std::cout << ' ' << permission;
    std::cout << '\n';
  }
  cluster.clients().remove(created.client_id);
  std::cout << "Deleted the client.\n";
}

void create_use_and_delete(const camunda::AdminClient& admin, const std::filesystem::path& file) {
  const camunda::Parameters offer = admin.clusters().parameters();
  const camunda::Channel& channel = offer.channels.at(0);
  const camunda::Region& region = offer.regions.at(0);
  const camunda::PlanType& plan = offer.cluster_plan_types.at(0);
  std::cout << "Creating a cluster: " << channel.default_generation.name << ", " << region.name
            << ", " << plan.name << ".\n";
  camunda::CreateCluster request{"quickstart", channel.uuid, channel.default_generation.uuid,
                                 region.uuid, plan.uuid};
  request.description = "Created by an example; can be deleted";
  const camunda::ClusterId id = admin.clusters().create(request);
  std::cout << "Created " << id << ".\n";

  // Delete the cluster also if a step fails.
  const camunda::ClusterHandle cluster = admin.cluster(id);
  std::exception_ptr failure;
  try {
    use(admin, cluster, file);
  } catch (...) {
    failure = std::current_exception();
  }
  cluster.remove();
  cluster.wait_until_deleted();
  std::cout << "Deleted " << id << ".\n";
  if (failure) std::rethrow_exception(failure);
}

/// Returns whether the API is on this machine, where clusters cost nothing.
bool is_local() {
  const char* variable = std::getenv("CAMUNDA_CONSOLE_BASE_URL");
  const std::string_view url = variable == nullptr ? "" : variable;
  // The library accepts http:// for this machine only.
  if (url.substr(0, 7) == "http://") return true;
  for (const std::string_view host : {"https://localhost", "https://127.0.0.1", "https://[::1]"}) {
    const std::string_view rest = url.substr(0, host.size()) == host ? url.substr(host.size()) : "x";
    if (rest.empty() || rest.front() == ':' || rest.front() == '/') return true;
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  bool may_create = is_local();
  std::filesystem::path file;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--create") {
      may_create = true;
    } else {
      file = argv[i];
    }
  }
  try {
    const auto admin = camunda::AdminClient::from_env();
    if (may_create) {
      const TemporaryFile temporary;
      create_use_and_delete(admin, file.empty() ? temporary.path() : file);
    } else {
      list(admin);
      std::cout << "Nothing was changed; --create creates a cluster and deletes it again.\n";
    }
    const camunda::Stats stats = admin.stats();
    std::cout << stats.requests << " requests, " << stats.retries << " of them retries; "
              << stats.token_requests << " token request(s), " << stats.token_cache_hits
              << " token(s) from the cache.\n";
  } catch (const camunda::OutcomeUnknownError& error) {
    std::cerr << error.what() << "\nCheck whether the change was applied before you repeat it.\n";
    return EXIT_FAILURE;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
  }
}
