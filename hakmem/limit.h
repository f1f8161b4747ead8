/* The bound on resident memory, and what the program may do about it. */
#ifndef HAKMEM_LIMIT_H_
#define HAKMEM_LIMIT_H_

#include "hakmem/base/base.h"

#ifdef __cplusplus
extern "C" {
#endif
/* Sets what HAKMEM_LIMIT asks for. Called once, at start. */
void hak_limit_init(void);
/* Bytes of the cgroup's limit, or of RAM where there is none or it is larger; 0 when neither can be
 * read. `root` stands before the paths of the files that say so. */
uint64_t hak_limit_memory(const char *root);
/* `percent` of that; 0 when it is not known, as a line on stderr says. */
uint64_t hak_limit_of_percent(const char *root, uint64_t percent);
/* In a forked child: counts anew what the limit bounds. Other threads had changed the count and not
 * yet what it counts, or the other way round. */
void hak_limit_recount(void);
/* There is no memory for a request of `bytes`: asks the program's callback. True: try again. */
bool hak_limit_ask(size_t bytes);
#ifdef __cplusplus
}
#endif

#endif
