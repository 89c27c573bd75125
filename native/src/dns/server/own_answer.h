// Replies of the DNS server of a container network about its own names.
//
// Theory of operation. A name that exists without a record of the asked type has an answer without records, not an error:
// clients ask for both families, and musl takes an error for one as the name's. Several holders of a name are all in the
// answer, shuffled. The question is repeated as it is spelled. Over UDP a reply is as long as the client accepts (EDNS, RFC 6891),
// without EDNS 512 bytes; what does not fit is asked for again over TCP.
#pragma once
#include <string>
#include <string_view>

#include "dns/message.h"
#include "dns/resolver_link.h"
#include "dns/server/zone.h"

namespace rn {

namespace dns {

// In seconds.
constexpr uint32_t kOwnTtl = 5;

// `query` has passed checkQuery(); `found` is not unknown.
std::string ownAnswer(std::string_view query, const Question& question, Finding found, bool tcp, Random* random);

}  // namespace dns

}  // namespace rn
