// What native_test can do; each is described where it is implemented. They return exit codes.
#pragma once
#include <string>
#include <string_view>

namespace rn {

namespace test {

int policyPeek(int argc, char** argv);

std::string toHex(std::string_view bytes);
// Reads digits up to the first that is none.
std::string fromHex(std::string_view digits);

}  // namespace test

}  // namespace rn
