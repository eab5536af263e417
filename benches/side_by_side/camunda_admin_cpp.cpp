// This library from C++. Arguments: decode, and number of repetitions.
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "camunda_admin.hpp"
#include "read_body.h"

int main(int count, char** arguments) {
  if (count != 3) return 2;
  std::size_t length = 0, clusters = 0, bytes = 0;
  char* json = read_body(&length);
  for (long i = 0; i < std::strtol(arguments[2], nullptr, 10); ++i) {
    // Not freed, see measure.py.
    const auto& list = *new camunda::Value(camunda::Value::parse({json, length}));
    for (std::size_t at = 0; at < list.size(); ++at) {
      const camunda::Value cluster = list[at];
      const auto size = [](const camunda::Value& text) { return text.str().value_or("").size(); };
      clusters += 1;
      bytes += size(cluster["uuid"]) + size(cluster["name"]) + size(cluster["generation"]["name"]) +
               size(cluster["region"]["name"]) + size(cluster["status"]["ready"]);
    }
  }
  std::free(json);
  std::printf("%zu %zu\n", clusters, bytes);
}
