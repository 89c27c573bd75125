// native_test dns-fuzz FILE SEED COUNT: calls all functions for DNS messages with so many changed copies of the
// messages in the file (see dns-samples.txt), the same ones for the same seed, and prints how many nanoseconds each
// function took at most, with the first bytes of that message. A call that took long is made again, since the processor
// may have been elsewhere.
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <random>
#include <vector>

#include "dns/answers/addresses.h"
#include "dns/answers/service_params.h"
#include "dns/message.h"
#include "dns/server/own_answer.h"
#include "dns/server/zone.h"
#include "parts.h"

namespace rn {

namespace test {

namespace {

uint64_t nowNs() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return uint64_t(ts.tv_sec) * 1000000000 + uint64_t(ts.tv_nsec);
}

std::vector<std::string> readSamples(const char* path) {
  std::vector<std::string> samples;
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    std::string bytes = fromHex(line);
    if (!bytes.empty()) samples.push_back(bytes);
  }
  return samples;
}

[[noreturn]] void fail(const char* what, std::string_view input) {
  std::cerr << what << ": " << toHex(input) << "\n";
  abort();
}

uint64_t timeOf(void (*call)(std::string_view), std::string_view input) {
  uint64_t before = nowNs();
  call(input);
  return nowNs() - before;
}

void callRecords(std::string_view input) {
  dns::Records records(input);
  dns::Record record;
  dns::Name name;
  while (records.next(&record)) {
    if (record.dataAt + record.data.size() > input.size()) fail("a record ends behind the message", input);
    if (!records.owner(record, &name)) break;
    if (name.length == 0 || name.bytes[name.length - 1] != 0) fail("a name has no end", input);
  }
}

void callCheck(std::string_view input) { dns::checkQuery(input); }

void callError(std::string_view input) {
  std::string reply = dns::errorReply(input, dns::Rcode::refused, dns::Reason::blocked);
  dns::Records records(reply);
  dns::Record record;
  dns::Question question;
  while (records.next(&record)) continue;
  if (dns::readQuestion(reply, &question) && !records.complete()) fail("an error reply is malformed", input);
}

void callAddresses(std::string_view input) {
  dns::Found found;
  dns::findAddresses(input, &found);
}

void callEch(std::string_view input) {
  std::string once, twice;
  if (dns::removeEch(input, &once) != dns::EchResult::removed) return;
  if (once.size() >= input.size()) fail("removing keys left the message as long as it was", input);
  if (dns::removeEch(once, &twice) == dns::EchResult::removed) fail("keys are still there", input);
}

// As the DNS server of a container network does with a query. Each name is its own there, so that all have answers.
void callOwn(std::string_view input) {
  static const dns::Zone zone("network example\nsubnet 192.0.2.0/24\nname www 192.0.2.1 2001:db8::1\n");
  static dns::Random random;
  dns::Question question;
  if (dns::checkQuery(input) != dns::Rcode::noError || !dns::readQuestion(input, &question)) return;
  dns::Finding finding = dns::find({{&zone}, true}, {&zone}, question.name);
  if (finding.kind == dns::Finding::Kind::unknown) finding.kind = dns::Finding::Kind::missing;
  std::string reply = dns::ownAnswer(input, question, finding, false, &random);
  dns::Records records(reply);
  dns::Record record;
  while (records.next(&record)) continue;
  if (!records.complete() || reply.size() > 1232) fail("an answer of its own is malformed", input);
}

constexpr struct {
  const char* name;
  void (*call)(std::string_view);
} kCalls[] = {
    {"records", callRecords}, {"check", callCheck},         {"error", callError},
    {"ech", callEch},         {"addresses", callAddresses}, {"own", callOwn},
};

class Mutator {
 public:
  Mutator(std::vector<std::string> samples, uint64_t seed) : samples_(std::move(samples)), random_(seed) {}

  std::string next() {
    std::string input = samples_[below(samples_.size())];
    for (size_t n = 1 + below(6); n > 0; n--) change(&input);
    return input;
  }

 private:
  size_t below(size_t limit) { return limit == 0 ? 0 : size_t(random_() % limit); }

  void set16(std::string* input, size_t at, size_t value) {
    if (at + 2 > input->size()) return;
    (*input)[at] = char(value >> 8);
    (*input)[at + 1] = char(value);
  }

  void change(std::string* input) {
    size_t size = input->size();
    size_t at = below(size);
    switch (below(10)) {
      case 0: input->resize(at); break;
      case 1:
        if (size > 0) (*input)[at] = char(below(256));
        break;
      case 2:
        if (size > 0) (*input)[at] = char((*input)[at] ^ (1 << below(8)));
        break;
      // A pointer, or the length of a label.
      case 3: set16(input, at, 0xc000 | below(size)); break;
      case 4:
        if (size > 0) (*input)[at] = char(below(64));
        break;
      // A counter in the header.
      case 5: set16(input, 4 + 2 * below(4), below(4) == 0 ? below(65536) : below(40)); break;
      case 6: input->insert(at, input->substr(below(size), below(64))); break;
      case 7: input->erase(at, below(32)); break;
      // The same records again and again.
      case 8: {
        std::string tail = input->substr(at);
        for (size_t n = below(200); n > 0 && input->size() + tail.size() <= dns::kMaxMessage; n--) *input += tail;
        set16(input, 6, below(2048));
        break;
      }
      default: {
        const std::string& other = samples_[below(samples_.size())];
        input->replace(at, below(8), other, below(other.size()), below(64));
        break;
      }
    }
    if (input->size() > dns::kMaxMessage) input->resize(dns::kMaxMessage);
  }

  std::vector<std::string> samples_;
  std::mt19937_64 random_;
};

}  // namespace

int dnsFuzz(int argc, char** argv) {
  if (argc != 4) return 2;
  std::vector<std::string> samples = readSamples(argv[1]);
  if (samples.empty()) return 2;
  Mutator mutator(samples, strtoull(argv[2], nullptr, 10));
  size_t count = strtoull(argv[3], nullptr, 10);
  constexpr uint64_t kSlow = 10000;
  constexpr size_t kShown = 64;
  uint64_t worst[std::size(kCalls)] = {};
  std::string slowest[std::size(kCalls)];
  for (size_t i = 0; i < count; i++) {
    std::string message = mutator.next();
    // Of exactly that size, so that AddressSanitizer sees what is read behind it.
    auto bytes = std::make_unique<char[]>(message.size());
    memcpy(bytes.get(), message.data(), message.size());
    std::string_view input(bytes.get(), message.size());
    for (size_t k = 0; k < std::size(kCalls); k++) {
      uint64_t took = timeOf(kCalls[k].call, input);
      for (int again = 0; again < 20 && took > kSlow && took > worst[k]; again++) {
        took = std::min(took, timeOf(kCalls[k].call, input));
      }
      if (took <= worst[k]) continue;
      worst[k] = took;
      slowest[k] = message.substr(0, kShown);
    }
  }
  std::cout << "{\"inputs\":" << count;
  for (size_t k = 0; k < std::size(kCalls); k++) {
    std::cout << ",\"" << kCalls[k].name << "\":{\"worst\":" << worst[k] << ",\"message\":\"" << toHex(slowest[k])
              << "\"}";
  }
  std::cout << "}\n";
  return 0;
}

}  // namespace test

}  // namespace rn
