// native_test policy: reads calls of one Policy and one TokenBucket from standard input, one a line, and prints the result of
// each as a line of JSON:
//
//   load HEX | clear | host IP … | decide PROTOCOL IP PORT NOW | peeked IP PORT NOW KIND [NAME] | query NAME TYPE
//   learn NAME TTL NOW IP … | names IP NOW | opened IP | closed IP NOW | bytes RULE OUT IN | counters RULE
//   need PROTOCOL IP PORT NOW | needpeeked IP PORT NOW KIND [NAME] | needname NAME | needed
//   bucket RATE BURST NOW | available NOW | take BYTES NOW | giveback BYTES | wait BYTES NOW
#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>

#include "limit/token_bucket.h"
#include "parts.h"
#include "policy/learner.h"
#include "policy/policy.h"

namespace rn {

namespace test {

namespace {

struct State {
  Policy policy;
  Learner learner{policy};
  TokenBucket bucket = TokenBucket(1, 1, 0);
};

using Words = std::istringstream;

template <typename T>
T next(Words* words) {
  T value{};
  *words >> value;
  return value;
}

std::string text(Words* words) { return next<std::string>(words); }
uint64_t number(Words* words) { return next<uint64_t>(words); }

Address address(Words* words, bool withPort) {
  Address out;
  std::string ip = text(words);
  Address::parse(ip, withPort ? uint16_t(number(words)) : 0, &out);
  return out;
}

std::vector<Address> addresses(Words* words) {
  std::vector<Address> out;
  std::string ip;
  while (*words >> ip) {
    out.emplace_back();
    Address::parse(ip, 0, &out.back());
  }
  return out;
}

Protocol protocol(const std::string& name) {
  return name == "tcp" ? Protocol::tcp : name == "udp" ? Protocol::udp : Protocol::icmp;
}

void print(const Decision& decision) {
  constexpr const char* kVerdicts[] = {"allow", "deny", "peek"};
  printf("{\"verdict\":\"%s\",\"rule\":%d,\"text\":\"%s\"}\n", kVerdicts[size_t(decision.verdict)], decision.rule,
         decision.text().c_str());
}

void print(uint64_t value) { printf("%llu\n", static_cast<unsigned long long>(value)); }

Peeked peeked(Words* words) {
  static const std::map<std::string, Peeked::Kind> kinds = {{"tls", Peeked::Kind::tls},
                                                            {"http", Peeked::Kind::http},
                                                            {"http2", Peeked::Kind::http2}};
  auto kind = kinds.find(text(words));
  return {kind == kinds.end() ? Peeked::Kind::other : kind->second, text(words)};
}

void decide(State* state, Words* words) {
  Protocol wanted = protocol(text(words));
  Address destination = address(words, true);
  print(state->policy.decide(wanted, destination, number(words)));
}

void decidePeeked(State* state, Words* words) {
  Address destination = address(words, true);
  uint64_t now = number(words);
  print(state->policy.decidePeeked(destination, peeked(words), now));
}

void query(State* state, Words* words) {
  std::string name = text(words);
  print(state->policy.decideName(name, uint16_t(number(words))));
}

void learn(State* state, Words* words) {
  std::string name = text(words);
  uint32_t ttl = uint32_t(number(words));
  uint64_t now = number(words);
  state->policy.learn(name, addresses(words), ttl, now);
  puts("null");
}

void names(State* state, Words* words) {
  Address wanted = address(words, false);
  std::string out;
  for (const std::string& name : state->policy.namesOf(wanted, number(words))) {
    out += (out.empty() ? "\"" : ",\"") + name + "\"";
  }
  printf("[%s]\n", out.c_str());
}

void need(State* state, Words* words) {
  Protocol wanted = protocol(text(words));
  Address destination = address(words, true);
  puts(state->learner.begun(wanted, destination, number(words)) ? "true" : "false");
}

void needPeeked(State* state, Words* words) {
  Address destination = address(words, true);
  uint64_t now = number(words);
  state->learner.peeked(destination, peeked(words), now);
  puts("null");
}

void needed(State* state, Words* /*words*/) {
  constexpr const char* kProtocols[] = {"tcp", "udp", "icmp", "dns"};
  std::string out;
  for (const LearnedRule& rule : state->learner.rules()) {
    const std::string& place = rule.place == LearnedRule::Place::host ? "host" : rule.text;
    out += std::string(out.empty() ? "\"" : ",\"") + kProtocols[size_t(rule.protocol)] + " " + place + " " +
           std::to_string(rule.port) + "\"";
  }
  printf("{\"rules\":[%s],\"full\":%s}\n", out.c_str(), state->learner.isFull() ? "true" : "false");
}

void closed(State* state, Words* words) {
  Address destination = address(words, false);
  state->policy.closed(destination, number(words));
  puts("null");
}

void addBytes(State* state, Words* words) {
  int rule = next<int>(words);
  uint64_t out = number(words);
  state->policy.addBytes(rule, out, number(words));
  puts("null");
}

void counters(State* state, Words* words) {
  const RuleCounters& c = state->policy.counters(next<int>(words));
  printf("{\"allowed\":%d,\"denied\":%d,\"names\":%d,\"bytesOut\":%d,\"bytesIn\":%d}\n", int(c.allowed), int(c.denied),
         int(c.names), int(c.bytesOut), int(c.bytesIn));
}

void bucket(State* state, Words* words) {
  uint64_t rate = number(words);
  uint64_t burst = number(words);
  state->bucket = TokenBucket(rate, burst, number(words));
  puts("null");
}

void take(State* state, Words* words) {
  uint64_t bytes = number(words);
  state->bucket.take(bytes, number(words));
  puts("null");
}

void waitFor(State* state, Words* words) {
  uint64_t bytes = number(words);
  print(state->bucket.wait(bytes, number(words)));
}

const std::map<std::string, std::function<void(State*, Words*)>>& calls() {
  static const std::map<std::string, std::function<void(State*, Words*)>> table = {
      {"load", [](State* state, Words* words) { puts(state->policy.load(fromHex(text(words))) ? "true" : "false"); }},
      {"clear",
       [](State* state, Words* /*words*/) {
         state->policy.clear();
         puts("null");
       }},
      {"host",
       [](State* state, Words* words) {
         state->policy.setHostAddresses(addresses(words));
         puts("null");
       }},
      {"opened",
       [](State* state, Words* words) {
         state->policy.opened(address(words, false));
         puts("null");
       }},
      {"available", [](State* state, Words* words) { print(state->bucket.available(number(words))); }},
      {"decide", decide},
      {"peeked", decidePeeked},
      {"query", query},
      {"learn", learn},
      {"names", names},
      {"need", need},
      {"needpeeked", needPeeked},
      {"needname",
       [](State* state, Words* words) {
         state->learner.asked(text(words));
         puts("null");
       }},
      {"needed", needed},
      {"closed", closed},
      {"bytes", addBytes},
      {"counters", counters},
      {"bucket", bucket},
      {"take", take},
      {"giveback",
       [](State* state, Words* words) {
         state->bucket.giveBack(number(words));
         puts("null");
       }},
      {"wait", waitFor},
  };
  return table;
}

}  // namespace

int policyDecisions(int /*argc*/, char** /*argv*/) {
  State state;
  std::string line;
  while (std::getline(std::cin, line)) {
    Words words(line);
    auto call = calls().find(text(&words));
    if (call == calls().end()) {
      fprintf(stderr, "unknown call: %s\n", line.c_str());
      return 2;
    }
    call->second(&state, &words);
  }
  return 0;
}

}  // namespace test

}  // namespace rn
