#define _GNU_SOURCE /* mlock2, mincore */
#include "hakmem/os_backend/pages.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hakmem/base/atomic.h"
#include "hakmem/base/file.h"
#include "hakmem/base/text.h"
#include "hakmem/config/config.h"
#include "hakmem/config/options.h"
#include "hakmem/os_backend/discard.h"
#include "hakmem/os_backend/os_backend.h"

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

static bool advise(void *base, size_t bytes, int advice) {
    int saved = errno;
    bool ok = madvise(base, bytes, advice) == 0;
    errno = saved;
    return ok;
}

bool hak_os_ask_huge(void *base, size_t bytes) {
    if (hak_options.thp == THP_NEVER || hak_os_refused(OS_HUGE)) return false;
    return advise(base, bytes, MADV_HUGEPAGE);
}

/* What the kernel says of up to 2 MiB, a byte a page. */
struct told {
    /* Bit 0; as the kernel counts pages, which may be smaller than ours. */
    unsigned char there[512];
    size_t pages; /* that it told of */
};
#define TOLD_BYTES (sizeof(((struct told *)0)->there) * 4 * KiB)

static bool ask(struct told *told, const void *base, size_t bytes) {
    const unsigned char untold = 0x80;
    int saved = errno;
    memset(told->there, untold, sizeof(told->there));
    bool ok = mincore((void *)(uintptr_t)base, bytes, told->there) == 0;
    errno = saved;
    told->pages = 0;
    while (ok && told->pages < sizeof(told->there) && told->there[told->pages] != untold) {
        told->pages++;
    }
    return told->pages != 0;
}

size_t hak_os_resident_bytes(const void *base, size_t bytes) {
    size_t resident = 0;
    struct told told;
    for (size_t at = 0; at < bytes; at += TOLD_BYTES) {
        size_t here = bytes - at < TOLD_BYTES ? bytes - at : TOLD_BYTES, there = 0;
        if (!ask(&told, (const char *)base + at, here)) break;
        for (size_t i = 0; i < told.pages; i++) there += told.there[i] & 1;
        resident += here / told.pages * there;
    }
    return resident;
}

bool hak_os_has_middle(const void *base, size_t bytes) {
    size_t page = hak_os_page_bytes(), middle = 64 * KiB;
    size_t length = bytes < middle ? bytes / page * page : middle;
    size_t from = (bytes - length) / 2 / page * page;
    return hak_os_resident_bytes((const char *)base + from, length) != 0;
}

/* The kernel does not tell a page that was never there from one that was swapped out: so what is
 * not there is given back. */
static void clear_absent(char *base, size_t bytes) {
    if (bytes == 0) return;
    if (!hak_os_purge(base, bytes)) memset(base, 0, bytes);
}

/* Of whole pages, up to TOLD_BYTES. */
static void clear_told(char *base, size_t bytes) {
    struct told told;
    if (!ask(&told, base, bytes)) {
        memset(base, 0, bytes);
        return;
    }
    size_t page = bytes / told.pages, step = CLEAR_STEP_BYTES / page, absent = 0;
    for (size_t i = 0; i < told.pages; i += step) {
        size_t end = i + step < told.pages ? i + step : told.pages;
        unsigned any = 0;
        for (size_t n = i; n < end; n++) any |= told.there[n] & 1;
        if (any == 0) continue;
        clear_absent(base + absent * page, (i - absent) * page);
        memset(base + i * page, 0, (end - i) * page);
        absent = end;
    }
    clear_absent(base + absent * page, (told.pages - absent) * page);
}

void hak_os_clear(void *base, size_t bytes) {
    if (hak_os_has_middle(base, bytes)) { /* all of it, most likely */
        memset(base, 0, bytes);
        return;
    }
    size_t whole = bytes & ~(hak_os_page_bytes() - 1);
    for (size_t at = 0; at < whole; at += TOLD_BYTES) {
        clear_told((char *)base + at, whole - at < TOLD_BYTES ? whole - at : TOLD_BYTES);
    }
    memset((char *)base + whole, 0, bytes - whole);
}

void hak_os_drop_tables(void *base, size_t bytes) { advise(base, bytes, MADV_DONTNEED); }

void hak_os_refuse_huge(void *base, size_t bytes) { advise(base, bytes, MADV_NOHUGEPAGE); }

/* Purging a part unmaps it, and leaves the memory with the huge page until the kernel is short of
 * it. Advice on a part that splits the page is the only way to have it split at once. */
void hak_os_split_huge(void *base, size_t bytes) {
    hak_os_refuse_huge(base, bytes);
    advise(base, hak_os_page_bytes(), MADV_COLD);
}

/* What the kernel does by itself: "always [madvise] never". */
enum system_thp { SYSTEM_UNKNOWN, SYSTEM_NEVER, SYSTEM_ASKED, SYSTEM_ALWAYS };

static enum system_thp read_system_thp(void) {
    char text[64];
    int file = file_open("/sys/kernel/mm/transparent_hugepage/enabled");
    if (file < 0) return SYSTEM_NEVER;
    ssize_t n = file_read(file, text, sizeof(text) - 1);
    file_close(file);
    text[n < 0 ? 0 : n] = '\0';
    return strstr(text, "[always]") != NULL    ? SYSTEM_ALWAYS
           : strstr(text, "[madvise]") != NULL ? SYSTEM_ASKED
                                               : SYSTEM_NEVER;
}

static enum system_thp system_thp(void) {
    static uint32_t known; /* relaxed: whoever reads it anew reads the same */
    uint32_t state = load_relaxed(&known);
    if (HAK_UNLIKELY(state == SYSTEM_UNKNOWN)) {
        int saved = errno;
        state = read_system_thp();
        errno = saved;
        store_relaxed(&known, state);
    }
    return (enum system_thp)state;
}

bool hak_os_has_huge(void) {
    bool ours = hak_options.thp == THP_DEFAULT && !hak_options.hugetlb;
    return ours && system_thp() != SYSTEM_NEVER;
}

void hak_os_calm_region(void *base, size_t bytes) {
    bool ours = hak_options.thp == THP_DEFAULT && !hak_options.hugetlb;
    if (ours && system_thp() == SYSTEM_ALWAYS) hak_os_refuse_huge(base, bytes);
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
