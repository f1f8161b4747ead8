/* For tests of where blocks lie, and of how much memory they take: no tool is told of blocks, which
 * costs room and moves them. hakmem's own code is watched all the same. */
#include "hakmem/base/watch.h"

__attribute__((constructor(101))) static void before_all_else(void) { hak_watch_never(); }
