/* What bounds the memory of the process from outside: cgroups, version 1 and 2. */
#ifndef HAKMEM_OS_BACKEND_CGROUP_H_
#define HAKMEM_OS_BACKEND_CGROUP_H_

#include "hakmem/base/base.h"

#ifdef __cplusplus
extern "C" {
#endif
/* The least limit in bytes of the memory cgroup that the process is in and of those around it; 0:
 * there is none. Read from `root`/proc/self/cgroup, `root`/proc/self/mountinfo and the limits' own
 * files; `root` is "" but in tests. Allocates nothing; keeps errno. */
uint64_t hak_cgroup_memory_limit(const char *root);
/* Bytes of RAM, from `root`/proc/meminfo; 0: unknown. */
uint64_t hak_ram_bytes(const char *root);
#ifdef __cplusplus
}
#endif

#endif
