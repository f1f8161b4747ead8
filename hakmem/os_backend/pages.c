#define _GNU_SOURCE /* mlock2 */
#include "hakmem/os_backend/pages.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hakmem/base/atomic.h"
#include "hakmem/base/text.h"
#include "hakmem/config/config.h"
#include "hakmem/config/options.h"

#define HUGE_PAGE_BYTES (2 * MiB)

static uint32_t any_hugetlb; /* 1: some mapping is of the system's huge pages */

/* Once a kind. */
static void warn(uint32_t *warned, const char *what) {
    if (exchange_acq_rel(warned, 1u) != 0) return;
    struct text t = {.length = 0};
    hak_text_string(&t, "hakmem: option ");
    hak_text_string(&t, what);
    hak_text_string(&t, "\n");
    hak_text_write(&t, STDERR_FILENO);
}

void hak_os_apply_options(void *base, size_t bytes) {
    static uint32_t thp_warned, mlock_warned;
    int saved = errno;
    if (HAK_UNLIKELY(hak_options.thp != THP_DEFAULT)) {
        int advice = hak_options.thp == THP_ALWAYS ? MADV_HUGEPAGE : MADV_NOHUGEPAGE;
        bool ok = madvise(base, bytes, advice) == 0;
        if (!ok) warn(&thp_warned, "HAKMEM_THP: the kernel has no transparent huge pages");
    }
    /* On fault: else all that is mapped ahead would be resident. */
    if (HAK_UNLIKELY(hak_options.mlock) && mlock2(base, bytes, MLOCK_ONFAULT) != 0) {
        warn(&mlock_warned, "HAKMEM_MLOCK: the limit on locked memory (ulimit -l) is reached; what "
                            "is mapped from now on may be swapped out");
    }
    errno = saved;
}

void *hak_os_map_hugetlb(size_t bytes, size_t align) {
    static uint32_t warned;
    if (bytes % HUGE_PAGE_BYTES != 0 || align > HUGE_PAGE_BYTES) return NULL;
    int saved = errno;
    /* Reserved: a page that is not there when it is touched would be a SIGBUS. */
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | 21 << MAP_HUGE_SHIFT, -1, 0);
    errno = saved;
    if (base == MAP_FAILED) {
        warn(&warned, "HAKMEM_HUGETLB: the system has not enough free huge pages "
                      "(vm.nr_hugepages); using others");
        return NULL;
    }
    if (((uintptr_t)base & (align - 1)) != 0) { /* huge pages of another size */
        munmap(base, bytes);
        return NULL;
    }
    store_relaxed(&any_hugetlb, 1u);
    return base;
}

/* Not even whole ones: before Linux 6.9 a page that goes takes its reservation along, and whoever
 * touches it again may get SIGBUS. Their address space goes instead. */
bool hak_os_can_purge(void) { return !load_relaxed(&any_hugetlb); }
