#pragma once

/*
 * Kills everything below this process, however deep, and waits for its end. This process has to be its subreaper: then it
 * inherits the orphans, and this returns when there are none left. Does nothing in the first process of a pid namespace,
 * with whose end all others end, and where /proc belongs to another pid namespace.
 */
void kill_descendants(void);
