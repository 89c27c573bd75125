// native_test dns-message: reads lines from standard input, "CALL HEX" with a message, or "error RCODE REASON HEX";
// prints a line of JSON with the result of each.
#include "dns/message.h"

#include <iostream>
#include <sstream>

#include "dns/answers/addresses.h"
#include "dns/answers/service_params.h"
#include "parts.h"

namespace rn {

namespace test {

namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) out += c == '\\' ? std::string("\\\\") : std::string(1, c);
  return out + "\"";
}

std::string question(const std::string& message) {
  dns::Question question;
  if (!dns::readQuestion(message, &question)) return "null";
  std::ostringstream out;
  out << "{\"name\":" << quoted(question.name.text()) << ",\"type\":" << question.type
      << ",\"class\":" << question.recordClass << ",\"spelled\":" << quoted(toHex(question.spelled)) << "}";
  return out.str();
}

std::string records(const std::string& message) {
  dns::Records records(message);
  dns::Record record;
  std::ostringstream out;
  out << "{\"records\":[";
  bool first = true;
  while (records.next(&record)) {
    dns::Name owner;
    if (!records.owner(record, &owner)) break;
    out << (first ? "" : ",") << "{\"section\":" << int(record.section) << ",\"owner\":" << quoted(owner.text())
        << ",\"type\":" << record.type << ",\"class\":" << record.recordClass << ",\"ttl\":" << record.ttl
        << ",\"data\":" << quoted(toHex(record.data)) << "}";
    first = false;
  }
  out << "],\"complete\":" << (records.complete() ? "true" : "false") << "}";
  return out.str();
}

std::string addresses(const std::string& message) {
  dns::Found found;
  if (!dns::findAddresses(message, &found)) return "null";
  std::ostringstream out;
  out << "{\"addresses\":[";
  for (size_t i = 0; i < found.addresses.size(); i++) out << (i == 0 ? "" : ",") << quoted(found.addresses[i].ip());
  out << "],\"names\":[";
  for (size_t i = 0; i < found.names.size(); i++) out << (i == 0 ? "" : ",") << quoted(found.names[i].text());
  out << "],\"ttl\":" << found.ttl << "}";
  return out.str();
}

std::string ech(const std::string& message) {
  std::string changed;
  switch (dns::removeEch(message, &changed)) {
    case dns::EchResult::none: return "\"none\"";
    case dns::EchResult::malformed: return "\"malformed\"";
    case dns::EchResult::removed: break;
  }
  return quoted(toHex(changed));
}

std::string call(const std::string& name, std::istringstream* in) {
  int rcode = 0, reason = -1;
  if (name == "error") *in >> rcode >> reason;
  std::string hex;
  *in >> hex;
  std::string message = fromHex(hex);
  if (name == "question") return question(message);
  if (name == "records") return records(message);
  if (name == "addresses") return addresses(message);
  if (name == "ech") return ech(message);
  if (name == "check") return std::to_string(int(dns::checkQuery(message)));
  if (name == "error") return quoted(toHex(dns::errorReply(message, dns::Rcode(rcode), dns::Reason(reason))));
  return quoted("unknown call");
}

}  // namespace

int dnsMessage(int, char**) {
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream in(line);
    std::string name;
    in >> name;
    std::cout << call(name, &in) << "\n";
  }
  return 0;
}

}  // namespace test

}  // namespace rn
