/* Baseline with yyjson. Arguments: decode, and number of repetitions. */
#include <stdio.h>
#include <stdlib.h>

#include <yyjson.h>

#include "read_body.h"

static size_t length_of(yyjson_val *object, const char *name) {
  return yyjson_get_len(yyjson_obj_get(object, name));
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  const long times = strtol(arguments[2], NULL, 10);
  size_t length, clusters = 0, bytes = 0;
  char *json = read_body(&length);
  for (long i = 0; i < times; ++i) {
    /* Not freed, see measure.py. */
    yyjson_doc *document = yyjson_read(json, length, 0);
    if (document == NULL) return 1;
    size_t index, max;
    yyjson_val *cluster;
    yyjson_arr_foreach(yyjson_doc_get_root(document), index, max, cluster) {
      clusters += 1;
      bytes += length_of(cluster, "uuid") + length_of(cluster, "name") +
               length_of(yyjson_obj_get(cluster, "generation"), "name") +
               length_of(yyjson_obj_get(cluster, "region"), "name") +
               length_of(yyjson_obj_get(cluster, "status"), "ready");
    }
  }
  free(json);
  printf("%zu %zu\n", clusters, bytes);
  return 0;
}
