// native_test policy-peek: reads lines "STEP HEX" from standard input; feeds the bytes to FirstBytes in pieces of STEP, and
// prints what it finds as a line of JSON.
#include "policy/peek/first_bytes.h"

#include <cstdio>
#include <iostream>

#include "parts.h"

namespace rn {

namespace test {

namespace {

const char* nameOf(Peeked::Kind kind) {
  switch (kind) {
    case Peeked::Kind::tls: return "tls";
    case Peeked::Kind::http: return "http";
    case Peeked::Kind::http2: return "http2";
    case Peeked::Kind::other: break;
  }
  return "other";
}

}  // namespace

int policyPeek(int /*argc*/, char** /*argv*/) {
  size_t step;
  std::string digits;
  while (std::cin >> step >> digits) {
    std::string bytes = fromHex(digits);
    FirstBytes first;
    bool more = true;
    for (size_t at = 0; at < bytes.size() && more; at += step) {
      // On the heap, and no longer than that, so that sanitizers see each byte that is read beyond it.
      std::string piece = bytes.substr(at, step);
      more = first.feed(piece);
    }
    Peeked peeked = first.result();
    printf("{\"kind\":\"%s\",\"name\":\"%s\",\"encryptedHello\":%s,\"begun\":%s,\"more\":%s,\"consumed\":%zu}\n",
           nameOf(peeked.kind), peeked.name.c_str(), peeked.encryptedHello ? "true" : "false",
           peeked.begun ? "true" : "false", more ? "true" : "false", first.consumed());
  }
  return 0;
}

}  // namespace test

}  // namespace rn
