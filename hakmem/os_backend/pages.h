/* What kind of pages: huge ones, locked ones. Internal to the layer.
 *
 * What the system refuses (no huge page is left, RLIMIT_MEMLOCK is reached) is said once on stderr,
 * and the program goes on without. */
#ifndef HAKMEM_OS_BACKEND_PAGES_H_
#define HAKMEM_OS_BACKEND_PAGES_H_

#include "hakmem/base/base.h"

#ifdef __cplusplus
extern "C" {
#endif
/* HAKMEM_THP and HAKMEM_MLOCK for a fresh mapping. */
void hak_os_apply_options(void *base, size_t bytes);
/* Of address space that is used bit by bit: where the system makes all pages huge, none is, unless
 * it is asked for later. */
void hak_os_calm_region(void *base, size_t bytes);
/* HAKMEM_HUGETLB: a mapping of the system's huge pages, which are reserved for it. NULL: not of
 * this size or alignment, or there are not enough. */
void *hak_os_map_hugetlb(size_t bytes, size_t align);
/* Pages can go: the system's huge pages go with their mapping only. */
bool hak_os_can_purge(void);
#ifdef __cplusplus
}
#endif

#endif
