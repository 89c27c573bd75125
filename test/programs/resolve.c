/* resolve NAME [4|6]: the addresses of a name by getaddrinfo(3), a line each; or its error, with exit code 1. Compiled by tests with
 * other C libraries than the machine's. */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv) {
  struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *found;
  char text[64];
  if (argc < 2) return 2;
  if (argc > 2) hints.ai_family = atoi(argv[2]) == 6 ? AF_INET6 : AF_INET;
  int error = getaddrinfo(argv[1], NULL, &hints, &found);
  if (error != 0) {
    puts(gai_strerror(error));
    return 1;
  }
  for (const struct addrinfo *one = found; one; one = one->ai_next) {
    getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST);
    puts(text);
  }
  return 0;
}
