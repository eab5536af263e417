/* Floor of a warm call: OpenSSL alone. Sends a ready-made request, and reads as many bytes as the first
 * response had, without looking at them. The token has the length of a real one; the server does not
 * verify it. Arguments: get, and number of repetitions. */
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

static void fail(const char *why) {
  fprintf(stderr, "%s\n", why);
  ERR_print_errors_fp(stderr);
  exit(1);
}

static int connect_to(const char *host, const char *port) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *address;
  if (getaddrinfo(host, port, &hints, &address) != 0) fail("unknown host");
  const int fd = socket(address->ai_family, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, address->ai_addr, address->ai_addrlen) != 0) fail("not connected");
  freeaddrinfo(address);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

/* Reads one response. Returns its length, or reads `length` bytes if that is not 0. */
static size_t receive(SSL *ssl, char *buffer, size_t room, size_t length) {
  size_t received = 0;
  while (length == 0 || received < length) {
    const int count = SSL_read(ssl, buffer + received, (int)(room - 1 - received));
    if (count <= 0) fail("no response");
    received += (size_t)count;
    if (length != 0) continue;
    buffer[received] = 0;
    const char *end = strstr(buffer, "\r\n\r\n");
    const char *announced = strstr(buffer, "Content-Length: ");
    if (end == NULL) continue;
    if (announced == NULL) fail("no length");
    length = (size_t)(end + 4 - buffer) + strtoul(announced + 16, NULL, 10);
  }
  return received;
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  const long times = strtol(arguments[2], NULL, 10);
  /* https://HOST:PORT/PATH */
  char url[1024], host[256], port[16], path[512];
  snprintf(url, sizeof url, "%s/clusters/%s", getenv("CAMUNDA_CONSOLE_BASE_URL"),
           getenv("BENCH_CLUSTER"));
  if (sscanf(url, "https://%255[^:]:%15[^/]%511s", host, port, path) != 3) return 2;

  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  if (context == NULL) fail("no context");
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
  if (!SSL_CTX_load_verify_locations(context, getenv("CAMUNDA_CUSTOM_ROOT_CERT_PATH"), NULL)) {
    fail("no certificates");
  }
  SSL *ssl = SSL_new(context);
  const int fd = connect_to(host, port);
  SSL_set_fd(ssl, fd);
  if (SSL_connect(ssl) != 1) fail("no TLS");

  static char request[4096], token[820], response[65536];
  memset(token, 'x', sizeof token - 1);
  const int length = snprintf(request, sizeof request,
                              "GET %s HTTP/1.1\r\nHost: %s:%s\r\nAuthorization: Bearer %s\r\n"
                              "Accept: application/json\r\n\r\n",
                              path, host, port, token);
  size_t expected = 0;
  for (long i = 0; i < times; ++i) {
    if (SSL_write(ssl, request, length) != length) fail("not sent");
    expected = receive(ssl, response, sizeof response, expected);
  }
  printf("%zu\n", expected);
  SSL_free(ssl);
  SSL_CTX_free(context);
  close(fd);
  return 0;
}
