/* What the launcher and the parent share for the port driver bypass; see bypass.h for the whole. */
#pragma once

/*
 * The one packet that the command's process sends to the parent before it becomes the command. With `error` 0 three
 * descriptors come with it: the notifications of the filter, a new TCP socket of the child's network namespace, and a
 * netlink socket (NETLINK_ROUTE) of it. Otherwise there is no filter, and `what` names the call that failed.
 */
struct bypass_hello {
  int error;
  int landlocked; /* the command and what it starts cannot connect TCP sockets by themselves */
  char what[56];
};

enum { BYPASS_HELLO_FDS = 3 };

#ifndef __cplusplus
/*
 * Puts this process, and all that it will start, under the filter, and sends the packet. Never fails: the command runs in
 * any case.
 */
void bypass_begin(int hello_socket);
#endif
