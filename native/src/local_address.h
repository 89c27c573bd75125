#pragma once
#include <string>

// Gives lo of this network namespace one more IPv4 address (rtnetlink(7), RTM_NEWADDR, /32). All of 127.0.0.0/8 can be
// reached without; but only an address that lo has is the source of what is sent to it. A UDP server that is bound to
// every address then answers 127.0.0.2 from 127.0.0.2, and not from 127.0.0.1. Returns 0 or an errno.
int addLoopbackAddress(const std::string& ip);
