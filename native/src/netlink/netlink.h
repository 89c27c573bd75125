#pragma once

#include <string>
#include <vector>

namespace rn {

// Netlink sockets (netlink(7)), also of other network namespaces. Their messages are composed in TypeScript; this is only
// what Node cannot do.
namespace netlink {

// Opens a socket of the network namespace at that path, of this process's own where it is empty. Returns 0 or an errno. A
// thread that ends afterwards enters the other namespace; the socket still belongs to it.
int open(int protocol, const std::string& netns, int* out);

// Sends consecutive messages, and collects the answers until that many are acknowledgements, or ends of dumps. Returns the
// error of the exchange; the kernel's errors about a message are in the answers.
int exchange(int fd, const std::string& messages, unsigned acknowledgements, std::string* answers);

// Sends one message that the kernel answers before send(2) returns, with one message and without an acknowledgement. Never
// blocks. Returns the kernel's error, or that of the exchange; then there is no answer.
int ask(int fd, std::string* message, std::string* answer);

}  // namespace netlink

}  // namespace rn
