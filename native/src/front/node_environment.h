#ifndef NODE_ENVIRONMENT_H
#define NODE_ENVIRONMENT_H

/*
 * Node.js, and the libraries in it, read environment variables before and while they run this package's code: options
 * (NODE_OPTIONS), modules to load (NODE_PATH), descriptors of channels (NODE_CHANNEL_FD), configuration files
 * (OPENSSL_CONF), and more. Those of the caller are meant for the command. See node(1) under ENVIRONMENT, and process.env
 * in Node's lib/.
 */

/* True if NAME=VALUE is a variable that Node itself reads. */
int is_node_variable(const char *entry);

/*
 * A copy of `env` for Node, without these variables; ROOTLESS_NET_NODE_OPTIONS takes the place of NODE_OPTIONS. `extra` is
 * added where it is not NULL. NULL when memory runs out.
 */
char **environment_for_node(char **env, char *extra);

#endif
