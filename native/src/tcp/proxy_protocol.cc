#include "tcp/proxy_protocol.h"

#include <string.h>

namespace rn {

namespace proxy {
namespace {

bool isV4(const Address& address) { return address.family() == AF_INET || IN6_IS_ADDR_V4MAPPED(&address.v6.sin6_addr); }

void putAddress(std::string* out, const Address& address, bool v4) {
  const char* bytes = reinterpret_cast<const char*>(&address.v6.sin6_addr);
  if (!v4) out->append(bytes, 16);
  else if (address.family() == AF_INET) out->append(reinterpret_cast<const char*>(&address.v4.sin_addr), 4);
  else out->append(bytes + 12, 4);
}

void putPort(std::string* out, uint16_t port) {
  out->push_back(char(port >> 8));
  out->push_back(char(port));
}

}  // namespace

std::string header(int version, const Address& client, const Address& asked) {
  // Both ends of a socket are of one family.
  bool v4 = isV4(client);
  if (version == 1) {
    return std::string("PROXY ") + (v4 ? "TCP4 " : "TCP6 ") + client.ip() + " " + asked.ip() + " " +
           std::to_string(client.port()) + " " + std::to_string(asked.port()) + "\r\n";
  }
  std::string out("\r\n\r\n\0\r\nQUIT\n", 12);
  out.push_back(0x21);              // version 2, PROXY
  out.push_back(v4 ? 0x11 : 0x21);  // TCP over IPv4 or IPv6
  putPort(&out, v4 ? 12 : 36);      // length of what follows
  putAddress(&out, client, v4);
  putAddress(&out, asked, v4);
  putPort(&out, client.port());
  putPort(&out, asked.port());
  return out;
}

}  // namespace proxy

}  // namespace rn
