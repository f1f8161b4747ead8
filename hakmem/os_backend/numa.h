/* Memory nodes: which there are, where the calling thread runs, pages that prefer one. */
#ifndef HAKMEM_OS_BACKEND_NUMA_H_
#define HAKMEM_OS_BACKEND_NUMA_H_

#include "hakmem/base/base.h"

/* Nodes of a higher number are not told apart. */
#define NUMA_NODES_MAX 64

#ifdef __cplusplus
extern "C" {
#endif
/* Reads the nodes that have memory from `root`/sys/devices/system/node; `root` is "" but in tests.
 * Until then, and where there is one or it cannot be read, there is one. Keeps errno. */
void hak_numa_init(const char *root);
/* Nodes that are told apart; 1: everything else here does nothing. */
unsigned hak_numa_nodes(void);
/* The node of the processor that this thread runs on; the first one where that has no memory. */
unsigned hak_numa_node(void);
/* Pages of the range that come from now on prefer the node. */
void hak_numa_bind(void *base, size_t bytes, unsigned node);
/* Test hooks, NULL for none: where the thread runs, and what is bound instead of asking the
 * kernel, which knows no nodes but its own. */
void hak_numa_set_hooks(unsigned (*node)(void), void (*bind)(void *, size_t, unsigned));
#ifdef __cplusplus
}
#endif

#endif
