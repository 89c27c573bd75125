#include "outbound/frames/ip_header.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <string.h>

#include "outbound/frames/checksum.h"

namespace rn {

namespace ip {

namespace {
constexpr uint8_t kHops = 64;

size_t writeHeader4(char* out, const Fields& fields, const Part* part) {
  iphdr header{};
  static_assert(sizeof header == headerSize(true));
  header.version = 4;
  header.ihl = sizeof header / 4;
  header.tot_len = htons(uint16_t(sizeof header + fields.length));
  header.id = htons(uint16_t(fields.id));
  if (part != nullptr) header.frag_off = htons(uint16_t(part->offset / kFragmentUnit | (part->isLast ? 0 : IP_MF)));
  header.ttl = kHops;
  header.protocol = fields.protocol;
  header.saddr = fields.source.v4.sin_addr.s_addr;
  header.daddr = fields.destination.v4.sin_addr.s_addr;
  header.check = checksum::finish(checksum::add(0, bytesOf(header)));
  memcpy(out, &header, sizeof header);
  return sizeof header;
}

size_t writeHeader6(char* out, const Fields& fields, const Part* part) {
  ip6_hdr header{};
  ip6_frag fragment{};
  static_assert(sizeof header == headerSize(false) && sizeof header + sizeof fragment <= kMaxHeader);
  size_t extension = part != nullptr ? sizeof fragment : 0;
  header.ip6_vfc = 6 << 4;
  header.ip6_plen = htons(uint16_t(extension + fields.length));
  header.ip6_nxt = part != nullptr ? uint8_t(IPPROTO_FRAGMENT) : fields.protocol;
  header.ip6_hlim = kHops;
  header.ip6_src = fields.source.v6.sin6_addr;
  header.ip6_dst = fields.destination.v6.sin6_addr;
  memcpy(out, &header, sizeof header);
  if (part == nullptr) return sizeof header;
  fragment.ip6f_nxt = fields.protocol;
  // The offset in units is in the upper 13 bits, and so is what it is in bytes.
  fragment.ip6f_offlg = htons(uint16_t(part->offset)) | (part->isLast ? 0 : IP6F_MORE_FRAG);
  fragment.ip6f_ident = htonl(fields.id);
  memcpy(out + sizeof header, &fragment, sizeof fragment);
  return sizeof header + sizeof fragment;
}

}  // namespace

uint16_t etherType(bool v4) { return htons(v4 ? ETHERTYPE_IP : ETHERTYPE_IPV6); }

size_t writeHeader(char* out, const Fields& fields, const Part* part) {
  return fields.source.family() == AF_INET ? writeHeader4(out, fields, part) : writeHeader6(out, fields, part);
}

}  // namespace ip

}  // namespace rn
