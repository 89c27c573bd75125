#ifndef SUB_IDS_H
#define SUB_IDS_H

#include <stddef.h>

/*
 * Plans the id map that most users have, for a user namespace of this process: the command lines of newuidmap(1) and
 * newgidmap(1), as words that end with a NUL each, with an empty word between the two. It follows the rules of
 * parent/namespaces/id-map.ts, and leaves to it everything that is not plain: the user's sub-ids are in /etc/subuid and
 * /etc/subgid, by name or by uid, and nsswitch.conf(5) names no other source. Returns their size; 0 where it has no plan.
 */
size_t plan_id_map(char *text, size_t size);

#endif
