// HTTPS and SVCB records (RFC 9460): a priority, a server's name, and parameters, each once, in the order of their
// keys.
//
// The keys for encrypted ClientHello in them (parameter 5, "ech") would hide from rules by name which server a client
// connects to. Removing them moves what follows, so compression pointers that lead behind them are adjusted. Names in
// the data of records are compressed in few types only, and readers do not expect them in others (RFC 3597, 4).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "dns/message.h"

namespace rn {

namespace dns {

struct ServiceParam {
  static constexpr uint16_t kMandatory = 0;
  static constexpr uint16_t kIPv4Hint = 4;
  static constexpr uint16_t kEch = 5;
  static constexpr uint16_t kIPv6Hint = 6;
  static constexpr size_t kFixed = 4;  // key and length

  uint16_t key = 0;
  // Where it begins in the message.
  size_t at = 0;
  std::string_view value;
};

class ServiceParams {
 public:
  // `target` gets the server's name; the root stands for the record's owner. False where it is malformed.
  bool open(Records* records, const Record& record, Name* target);
  // False at the end, or where the rest is malformed.
  bool next(ServiceParam* param);
  bool complete() const { return complete_; }

 private:
  std::string_view rest_;
  size_t at_ = 0;
  int last_ = -1;
  bool complete_ = false;
};

enum class EchResult { none, removed, malformed };

// Removes the keys of encrypted ClientHello from all records of an answer. `out` gets the new message where there were
// any.
EchResult removeEch(std::string_view reply, std::string* out);

}  // namespace dns

}  // namespace rn
