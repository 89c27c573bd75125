// native_test policy-fuzz SEED COUNT: feeds the parsers of native/src/policy/ with COUNT inputs, the same for the same seed:
// messages as programs send them, changed at random, in pieces of any size; policies, changed too, with decisions by them.
// Prints a line of JSON, {"kind", "inputs", "accepted", "nanoseconds"}, for each kind: how many were valid all the same, and
// the processor time that the slowest took. Crashes, sanitizers and failed checks end it.
#include <stdlib.h>
#include <time.h>
#include <algorithm>
#include <cstdio>
#include <random>

#include "parts.h"
#include "policy/peek/first_bytes.h"
#include "policy/peek/host_name.h"
#include "policy/policy.h"

namespace rn {

namespace test {

namespace {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  // Below `bound`.
  size_t below(size_t bound) { return bound == 0 ? 0 : size_t(engine_() % bound); }
  bool oneIn(size_t count) { return below(count) == 0; }
  char byte() { return char(engine_()); }

 private:
  std::mt19937_64 engine_;
};

// What took longer is measured again.
constexpr uint64_t kSlow = 10000;

// Nanoseconds of processor time that this thread has used.
uint64_t threadTime() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return uint64_t(time.tv_sec) * 1000000000 + uint64_t(time.tv_nsec);
}

void check(bool holds, const char* what) {
  if (holds) return;
  fprintf(stderr, "failed: %s\n", what);
  abort();
}

std::string number(size_t value, int bytes) {
  std::string out;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out.push_back(char(value >> shift));
  return out;
}

std::string vector(int bytes, const std::string& content) { return number(content.size(), bytes) + content; }

std::string randomName(Random* random) {
  constexpr const char* kLabels[] = {"a", "www", "example", "com", "github", "xn--bcher-kva", "_tcp", "x-1", "Org"};
  std::string name;
  size_t labels = 1 + random->below(random->oneIn(50) ? 120 : 4);
  for (size_t i = 0; i < labels; i++) name += (i == 0 ? "" : ".") + std::string(kLabels[random->below(9)]);
  return name;
}

std::string clientHello(Random* random) {
  std::string extensions;
  for (size_t i = random->below(20); i > 0; i--) {
    constexpr size_t kTypes[] = {0, 0x0a0a, 10, 13, 16, 43, 45, 51, 0xfe0d, 0xffce};
    size_t type = kTypes[random->below(10)];
    std::string content(random->below(random->oneIn(10) ? 1500 : 40), 'x');
    if (type == 0) content = vector(2, number(0, 1) + vector(2, randomName(random)));
    extensions += number(type, 2) + vector(2, content);
  }
  std::string body = number(0x0303, 2) + std::string(32, 'r') + vector(1, std::string(random->below(33), 's')) +
                     vector(2, std::string(2 * random->below(40), 'c')) + vector(1, number(0, 1)) +
                     (random->oneIn(10) ? "" : vector(2, extensions));
  std::string message = number(1, 1) + vector(3, body);
  std::string out;
  size_t size = random->oneIn(3) ? 1 + random->below(200) : 16384;
  for (size_t at = 0; at < message.size(); at += size) out += number(0x160301, 3) + vector(2, message.substr(at, size));
  return out;
}

std::string httpHead(Random* random) {
  constexpr const char* kMethods[] = {"GET", "POST", "OPTIONS", "CONNECT", "M-SEARCH"};
  constexpr const char* kLines[] = {"Accept: */*", "Host: 192.0.2.1:80", "host:[::1]", "X:",
                                    " folded",     "Cookie: a=b;c"};
  if (random->oneIn(30)) return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  std::string target = random->oneIn(3) ? "http://" + randomName(random) + ":80/x" : "/path?query";
  std::string out = std::string(kMethods[random->below(5)]) + " " + target + " HTTP/1.1\r\n";
  for (size_t i = random->below(6); i > 0; i--) out += std::string(kLines[random->below(6)]) + "\r\n";
  if (random->oneIn(20)) out += "X: " + std::string(random->below(9000), 'y') + "\r\n";
  if (!random->oneIn(5)) out += "Host: " + randomName(random) + (random->oneIn(3) ? ":8080" : "") + "\r\n";
  return out + "\r\n";
}

std::string policy(Random* random) {
  size_t count = random->below(12);
  std::string out = number(1, 1) + number(random->below(2), 1) + number(count, 4);
  for (size_t i = 0; i < count; i++) {
    size_t first = random->oneIn(2) ? 0 : random->below(1000);
    out += number(random->below(2), 1) + number(random->below(16), 1) + number(first, 2) +
           number(first == 0 ? 65535 : first + random->below(2), 2);
    size_t place = random->below(6);
    out += number(place, 1);
    if (place == 1) {
      size_t prefix = random->below(33);
      uint64_t address = prefix == 0 ? 0 : (random->below(1ULL << 32) >> (32 - prefix)) << (32 - prefix);
      out += number(4, 1) + number(prefix, 1) + number(address, 4);
    }
    if (place == 2 || place == 3) {
      std::string name;
      normalizeName(randomName(random), &name);
      out += vector(1, name);
    }
  }
  return out;
}

// Changes some bytes, or cuts or repeats a part; leaves one in four alone.
void change(Random* random, std::string* bytes) {
  if (bytes->empty()) return;
  for (size_t i = random->below(4); i > 0; i--) {
    size_t at = random->below(bytes->size());
    switch (random->below(4)) {
      case 0: (*bytes)[at] = random->byte(); break;
      case 1: (*bytes)[at] = char((*bytes)[at] ^ (1 << random->below(8))); break;
      case 2: bytes->erase(at, 1 + random->below(8)); break;
      default: bytes->insert(at, bytes->substr(random->below(bytes->size()), 1 + random->below(64)));
    }
    if (bytes->empty()) return;
  }
}

bool isNormal(const std::string& name) {
  std::string again;
  return name.empty() || (normalizeName(name, &again) && again == name);
}

struct Result {
  bool accepted;
  uint64_t nanoseconds;
};

// All that is done with one connection, whatever the pieces.
Result feed(Random* random, const std::string& bytes) {
  FirstBytes first;
  uint64_t slowest = 0;
  bool more = true;
  size_t piece = random->oneIn(2) ? bytes.size() : 1 + random->below(1500);
  for (size_t at = 0; at < bytes.size() && more; at += piece) {
    std::string part = bytes.substr(at, piece);
    uint64_t start = threadTime();
    more = first.feed(part);
    slowest = std::max(slowest, threadTime() - start);
  }
  Peeked peeked = first.result();
  check(isNormal(peeked.name), "the name is in normal form");
  check(!more || first.consumed() < ClientHello::kMaxBytes, "no more than 16 KiB are read");
  FirstBytes whole;
  whole.feed(bytes);
  check(whole.result().name == peeked.name && whole.result().kind == peeked.kind, "pieces make no difference");
  return {peeked.kind != Peeked::Kind::other, slowest};
}

Address randomAddress(Random* random) {
  Address address;
  constexpr const char* kAddresses[] = {"93.184.216.34", "10.0.0.1",       "169.254.169.254", "2606:4700::1",
                                        "fd00::1",       "64:ff9b::a00:1", "::ffff:10.0.0.1"};
  Address::parse(kAddresses[random->below(7)], uint16_t(random->below(1000)), &address);
  return address;
}

// A policy with names and addresses, and a few decisions by it.
Result decide(Random* random, const std::string& bytes) {
  static Policy loaded;
  uint64_t start = threadTime();
  if (!loaded.load(bytes)) return {false, threadTime() - start};
  uint64_t slowest = threadTime() - start;
  for (uint64_t now = 0; now < 4; now++) {
    std::string name = randomName(random);
    Address address = randomAddress(random);
    Peeked peeked = {Peeked::Kind::tls, name};
    start = threadTime();
    if (loaded.decideName(name, uint16_t(random->below(260))).allowed()) loaded.learn(name, {address}, 1, now);
    Decision decision = loaded.decide(Protocol(random->below(3)), address, now);
    if (decision.needsPeek()) decision = loaded.decidePeeked(address, peeked, now);
    slowest = std::max(slowest, threadTime() - start);
    check(!decision.needsPeek(), "who has peeked gets an answer");
    check(decision.rule < int(loaded.ruleCount()), "the rule exists");
  }
  return {true, slowest};
}

void run(const char* kind, uint64_t seed, size_t count, std::string (*make)(Random*),
         Result (*call)(Random*, const std::string&)) {
  Random random(seed);
  size_t accepted = 0;
  uint64_t slowest = 0;
  for (size_t i = 0; i < count; i++) {
    std::string bytes = make(&random);
    change(&random, &bytes);
    Random same = random;
    Result result = call(&random, bytes);
    // The processor may have been elsewhere.
    for (int again = 0; again < 5 && result.nanoseconds > kSlow; again++) {
      Random copy = same;
      result.nanoseconds = std::min(result.nanoseconds, call(&copy, bytes).nanoseconds);
    }
    accepted += result.accepted ? 1 : 0;
    slowest = std::max(slowest, result.nanoseconds);
  }
  printf("{\"kind\":\"%s\",\"inputs\":%zu,\"accepted\":%zu,\"nanoseconds\":%llu}\n", kind, count, accepted,
         static_cast<unsigned long long>(slowest));
}

}  // namespace

int policyFuzz(int argc, char** argv) {
  if (argc != 3) {
    fputs("usage: native_test policy-fuzz SEED COUNT\n", stderr);
    return 2;
  }
  uint64_t seed = strtoull(argv[1], nullptr, 10);
  size_t count = strtoull(argv[2], nullptr, 10);
  run("client-hello", seed, count, clientHello, feed);
  run("http-head", seed, count, httpHead, feed);
  run("policy", seed, count, policy, decide);
  return 0;
}

}  // namespace test

}  // namespace rn
