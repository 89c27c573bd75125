#pragma once

#include <string>
#include <vector>

// Netlink sockets (netlink(7)), also of other network namespaces. What is said on them is put together in TypeScript; here
// is only what Node cannot do.
namespace netlink {

// A socket of the network namespace at that path, of our own where it is empty. 0 or an errno. Entering another
// namespace is done by a thread that ends afterwards; the socket stays what it is.
int open(int protocol, const std::string& netns, int* out);

// Sends messages that lie one behind the other, and gathers the answers until as many of them are acknowledged, or a
// dump ends. The error is that of the exchange; what the kernel thinks of a message stands in the answers.
int exchange(int fd, const std::string& messages, unsigned acknowledgements, std::string* answers);

}  // namespace netlink
