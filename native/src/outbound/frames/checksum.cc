#include "outbound/frames/checksum.h"

#include <arpa/inet.h>
#include <string.h>

namespace rn {

namespace checksum {

uint64_t add(uint64_t sum, std::string_view bytes) {
  uint16_t word = 0;
  while (bytes.size() >= sizeof word) {
    memcpy(&word, bytes.data(), sizeof word);
    sum += word;
    bytes.remove_prefix(sizeof word);
  }
  if (bytes.empty()) return sum;
  word = 0;
  memcpy(&word, bytes.data(), 1);
  return sum + word;
}

uint64_t pseudoHeader(const Address& source, const Address& destination, uint8_t protocol, size_t length) {
  uint64_t sum = uint64_t(htons(protocol)) + htons(uint16_t(length)) + htons(uint16_t(length >> 16));
  for (const Address* address : {&source, &destination}) sum = add(sum, address->ipBytes());
  return sum;
}

uint16_t fold(uint64_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return uint16_t(sum);
}

}  // namespace checksum

}  // namespace rn
