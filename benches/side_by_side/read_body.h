/* Reads the file BENCH_BODY, for programs that decode without a server. */
#include <stdio.h>
#include <stdlib.h>

static char *read_body(size_t *length) {
  FILE *file = fopen(getenv("BENCH_BODY"), "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) exit(1);
  *length = (size_t)ftell(file);
  rewind(file);
  char *body = (char *)malloc(*length);
  if (body == NULL || fread(body, 1, *length, file) != *length) exit(1);
  fclose(file);
  return body;
}
