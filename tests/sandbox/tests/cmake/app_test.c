/* Test program of a user: runs with the environment of a mock server, and exits with its verdict. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static const char *variable(const char *name) {
  const char *value = getenv(name);
  if (value == NULL) {
    fprintf(stderr, "%s is not set\n", name);
    exit(2);
  }
  return value;
}

/* Sends a request and returns the status; `response` receives the whole response. */
static int exchange(const char *method, const char *path, const char *headers, const char *body,
                    char *response, size_t size) {
  const char *port = strrchr(variable("CAMUNDA_CONSOLE_BASE_URL"), ':') + 1;
  struct sockaddr_in address = {0};
  address.sin_family = AF_INET;
  address.sin_port = htons((unsigned short)atoi(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const struct timeval limit = {10, 0};
  const int connection = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (connect(connection, (struct sockaddr *)&address, sizeof address) != 0) {
    perror("connect");
    exit(2);
  }
  char request[8192];
  const int length = snprintf(request, sizeof request,
                              "%s %s HTTP/1.1\r\nhost: app\r\nconnection: close\r\n%s"
                              "content-length: %zu\r\n\r\n%s",
                              method, path, headers, strlen(body), body);
  if (length < 0 || (size_t)length >= sizeof request ||
      write(connection, request, (size_t)length) != length) {
    perror("write");
    exit(2);
  }
  size_t received = 0;
  ssize_t count;
  while (received + 1 < size &&
         (count = read(connection, response + received, size - received - 1)) > 0) {
    received += (size_t)count;
  }
  response[received] = '\0';
  close(connection);
  return received > 12 ? atoi(response + 9) : 0;
}

/* Copies the string value of a JSON field. */
static void field(const char *json, const char *name, char *value, size_t size) {
  char quoted[64];
  snprintf(quoted, sizeof quoted, "\"%s\":\"", name);
  const char *start = strstr(json, quoted);
  const char *end = start == NULL ? NULL : strchr(start + strlen(quoted), '"');
  if (end == NULL) {
    fprintf(stderr, "no %s in %s\n", name, json);
    exit(2);
  }
  snprintf(value, size, "%.*s", (int)(end - start - (long)strlen(quoted)), start + strlen(quoted));
}

int main(int argc, char **argv) {
  if (argc != 2 || strcmp(argv[1], "rename") != 0) {
    return 1;
  }
  static char response[65536];
  char body[1024];
  char uuid[64];
  char token[2048];
  char headers[4096];
  char path[128];
  if (exchange("POST", "/_sandbox/control", "", "{\"cluster\":{\"name\":\"old\"}}", response,
               sizeof response) != 200) {
    return 3;
  }
  field(response, "uuid", uuid, sizeof uuid);
  snprintf(body, sizeof body,
           "grant_type=client_credentials&audience=%s&client_id=%s&client_secret=%s",
           variable("CAMUNDA_CONSOLE_OAUTH_AUDIENCE"), variable("CAMUNDA_CONSOLE_CLIENT_ID"),
           variable("CAMUNDA_CONSOLE_CLIENT_SECRET"));
  if (exchange("POST", "/oauth/token", "content-type: application/x-www-form-urlencoded\r\n", body,
               response, sizeof response) != 200) {
    return 4;
  }
  field(response, "access_token", token, sizeof token);
  snprintf(headers, sizeof headers,
           "authorization: Bearer %s\r\ncontent-type: application/json\r\n", token);
  snprintf(path, sizeof path, "/clusters/%s", uuid);
  if (exchange("PATCH", path, headers, "{\"name\":\"new\"}", response, sizeof response) != 204) {
    return 5;
  }
  if (exchange("GET", "/_sandbox/requests?method=PATCH", "", "", response, sizeof response) !=
      200) {
    return 6;
  }
  return strstr(response, "\"json\":{\"name\":\"new\"}") == NULL ? 7 : 0;
}
