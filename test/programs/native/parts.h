// What native_test can do; each is described where it is implemented. They return exit codes.
#pragma once
#include <string>
#include <string_view>

namespace rn {

namespace test {

int dnsFuzz(int argc, char** argv);
int dnsMessage(int argc, char** argv);
int dnsServe(int argc, char** argv);
int framesFuzz(int argc, char** argv);
int policyDecisions(int argc, char** argv);
int policyFuzz(int argc, char** argv);
int policyPeek(int argc, char** argv);

std::string toHex(std::string_view bytes);
// Reads digits up to the first that is none.
std::string fromHex(std::string_view digits);

}  // namespace test

}  // namespace rn
