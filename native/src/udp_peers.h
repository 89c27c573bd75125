#pragma once

#include "sockets.h"

// Whether a UDP socket of this network namespace, whoever has it, is connected from the one address to the other
// (sock_diag(7)). True where the kernel does not tell.
bool isConnectedUdp(const Address& from, const Address& to);
