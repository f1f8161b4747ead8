/* Ranges that are to go, but that the kernel would not unmap: unmapping the middle of a mapping
 * makes one more, and a process has so many at most (vm.max_map_count). They wait for better times,
 * with links in the first page of each: first on a stack, for any thread to push on; then in a
 * queue, which one thread at a time tries. */
#include "hakmem/os_backend/discard.h"

#include "hakmem/base/atomic.h"
#include "hakmem/base/watch.h"
#include "hakmem/os_backend/budget.h"

struct waiting {
    struct waiting *next;
    size_t bytes;
};

/* Pushing adds one and taking takes all: nothing is popped singly, so there is no ABA. */
static struct waiting *pushed;
static size_t waiting_bytes;
/* Whoever sets this has the queue. Not a lock: nobody waits, a signal handler least of all. */
static uint32_t trying;
static struct waiting *first, *last;

static void wait_for_unmap(void *base, size_t bytes) {
    size_t page = hak_os_page_bytes();
    if (bytes > page) hak_os_purge((char *)base + page, bytes - page);
    watch_show(base, bytes);
    struct waiting *range = base, *top = load_relaxed(&pushed);
    range->bytes = bytes;
    fetch_add_relaxed(&waiting_bytes, bytes);
    do {
        range->next = top;
        /* Release: whoever takes all sees the links. */
    } while (!cas_acq_rel(&pushed, &top, range));
}

void hak_os_discard(void *base, size_t bytes) {
    if (!hak_os_release(base, bytes)) wait_for_unmap(base, bytes);
    hak_budget_give(bytes);
}

void hak_os_discard_untouched(void *base, size_t bytes) {
    if (bytes == 0) return;
    if (hak_os_refused(OS_UNMAP) || !hak_os_unmap_pages(base, bytes)) wait_for_unmap(base, bytes);
}

static void append(struct waiting *range) {
    range->next = NULL;
    if (first == NULL) {
        first = range;
    } else {
        last->next = range;
    }
    last = range;
}

/* One that stays goes to the end: the next time begins with another. */
static bool try_first(void) {
    struct waiting *range = first;
    size_t bytes = range->bytes;
    first = range->next;
    if (hak_os_refused(OS_UNMAP) || !hak_os_unmap_pages(range, bytes)) {
        append(range);
        return false;
    }
    fetch_sub_relaxed(&waiting_bytes, bytes);
    return true;
}

bool hak_os_retry_discarded(bool all) {
    if (load_relaxed(&waiting_bytes) == 0 || exchange_acq_rel(&trying, 1u) != 0) return false;
    struct waiting *range = exchange_acq_rel(&pushed, NULL), *next;
    for (; range != NULL; range = next) {
        next = range->next;
        append(range);
    }
    bool any = false;
    unsigned failures = 0;
    while (first != NULL && failures < (all ? DISCARD_FAILURES : 1)) {
        if (try_first()) {
            any = true;
        } else {
            failures++;
        }
    }
    store_release(&trying, 0u);
    return any;
}

/* ---- Taking again --------------------------------------------------------------------------- */

static void put_back(char *base, size_t bytes) {
    struct waiting *range = (struct waiting *)(void *)base;
    if (bytes == 0) return;
    range->bytes = bytes;
    append(range);
}

/* Cuts `bytes` at a multiple of `align` out of a range that is in no list any more; what is left
 * waits on. NULL: they do not fit, or the pages will not go, and all of it waits on. */
static void *cut(struct waiting *range, size_t bytes, size_t align) {
    char *base = (char *)range, *end = base + range->bytes;
    char *taken = (char *)align_up((uintptr_t)base, align);
    bool fits = taken < end && (size_t)(end - taken) >= bytes;
    if (!fits || !hak_os_purge(taken, bytes)) {
        append(range);
        return NULL;
    }
    put_back(base, (size_t)(taken - base));
    put_back(taken + bytes, (size_t)(end - taken) - bytes);
    fetch_sub_relaxed(&waiting_bytes, bytes);
    return taken;
}

void *hak_os_take_discarded(size_t bytes, size_t align) {
    if (load_relaxed(&waiting_bytes) < bytes || exchange_acq_rel(&trying, 1u) != 0) return NULL;
    void *taken = NULL;
    struct waiting *range = first, *next;
    first = last = NULL;
    for (; range != NULL; range = next) {
        next = range->next;
        if (taken == NULL) {
            taken = cut(range, bytes, align);
        } else {
            append(range);
        }
    }
    store_release(&trying, 0u);
    return taken;
}

void hak_os_discard_fork_child(void) {
    if (load_relaxed(&trying) == 0) return;
    /* A thread that is gone had the queue, in mid-change: what was in it waits for ever. */
    size_t bytes = 0;
    for (struct waiting *range = pushed; range != NULL; range = range->next) bytes += range->bytes;
    store_relaxed(&waiting_bytes, bytes);
    first = last = NULL;
    store_relaxed(&trying, 0u);
}

size_t hak_os_discarded_bytes(void) { return load_relaxed(&waiting_bytes); }
