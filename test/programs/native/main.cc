// Calls parts of native/src that JavaScript cannot, for tests: native_test PART [ARGUMENT …].
#include <stdio.h>
#include <string>

#include "parts.h"

namespace {
struct Part {
  const char* name;
  int (*run)(int argc, char** argv);
};
// Arguments begin with the part's name.
constexpr Part kParts[] = {
    {"dns-fuzz", rn::test::dnsFuzz},       {"dns-message", rn::test::dnsMessage}, {"dns-serve", rn::test::dnsServe},
    {"frames-fuzz", rn::test::framesFuzz}, {"policy", rn::test::policyDecisions}, {"policy-fuzz", rn::test::policyFuzz},
    {"policy-peek", rn::test::policyPeek},
};
}  // namespace

int main(int argc, char** argv) {
  for (const Part& part : kParts) {
    if (argc > 1 && std::string(part.name) == argv[1]) return part.run(argc - 1, argv + 1);
  }
  fputs("usage: native_test PART [ARGUMENT ...], PART being one of:", stderr);
  for (const Part& part : kParts) fprintf(stderr, " %s", part.name);
  fputc('\n', stderr);
  return 2;
}
