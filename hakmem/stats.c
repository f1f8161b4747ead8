#include "hakmem/stats.h"

#include <errno.h>
#include <string.h>

#include "hakmem/base/text.h"
#include "hakmem/base/watch.h"
#include "hakmem/config/options.h"
#include "hakmem/guarded.h"
#include "hakmem/large/large.h"
#include "hakmem/os_backend/budget.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/tls_front/tls_front.h"
#include "hakmem/transfer/transfer.h"

_Static_assert((int)HAK_STAGE_COUNT == (int)STAGE_COUNT, "one enum mirrors the other");

static void collect(struct hak_stats *s) {
    struct shared_pool_stats pool;
    struct large_stats large;
    struct front_stats fronts;
    hak_shared_pool_stats(&pool);
    hak_large_stats(&large);
    hak_front_stats(&fronts, CLASSES);
    s->front_bytes = hak_front_bytes();
    s->transfer_bytes = hak_transfer_bytes();
    uint64_t moving = s->front_bytes + s->transfer_bytes;
    s->live_bytes = large.live_bytes + (pool.live_bytes > moving ? pool.live_bytes - moving : 0);
    /* What waits in the quarantine is the program's no more. */
    uint64_t waiting = hak_guarded_waiting_bytes();
    s->live_bytes -= s->live_bytes < waiting ? s->live_bytes : waiting;
    s->free_bytes = pool.free_bytes + waiting;
    s->resident_free_bytes = pool.resident_free_bytes + large.kept_bytes;
    s->mapped_bytes = pool.superslabs * SUPERSLAB_BYTES + large.live_bytes + large.cached_bytes;
    s->metadata_bytes = hak_os_meta_bytes();
    s->large_bytes = large.live_bytes;
    s->large_cached_bytes = large.cached_bytes;
    s->purged_bytes = hak_os_purged_bytes();
    s->superslabs = pool.superslabs;
    s->superslabs_hot = pool.hot;
    s->superslabs_draining = pool.draining;
    s->superslabs_free = pool.free;
    s->threads = fronts.threads;
    s->front_refills = fronts.refills;
    s->warm_hits = fronts.hits;
    s->warm_misses = fronts.misses;
    s->warm_prefilled = fronts.prefilled;
    for (unsigned i = 0; i < STAGE_COUNT; i++) s->stage[i] = pool.stage[i];
    s->counted_bytes = hak_budget_used();
    s->limit_bytes = hak_budget_limit();
}

void hak_stats_collect(struct hak_stats *out) {
    /* Inside a slow path, the caller's own lists may be in mid-change. */
    if (!front_enter()) return;
    watch_silence(true);
    collect(out);
    watch_silence(false);
    front_leave();
}

bool hak_stats_get(struct hak_stats *out) {
    size_t size = out->size;
    if (size == 0 || size > sizeof(struct hak_stats)) {
        errno = EINVAL;
        return false;
    }
    struct hak_stats all;
    memset(&all, 0, sizeof(all));
    all.size = size;
    hak_stats_collect(&all);
    memcpy(out, &all, size);
    return true;
}

static void line(int fd, const char *name, uint64_t n, const char *unit) {
    struct text t = {.length = 0};
    hak_text_string(&t, "  ");
    hak_text_string(&t, name);
    for (size_t i = strlen(name); i < 28; i++) hak_text_string(&t, " ");
    hak_text_column(&t, n, 14);
    hak_text_string(&t, unit);
    hak_text_string(&t, "\n");
    hak_text_write(&t, fd);
}

static void heading(int fd, const char *s) {
    struct text t = {.length = 0};
    hak_text_string(&t, s);
    hak_text_string(&t, "\n");
    hak_text_write(&t, fd);
}

void hak_stats_print(int fd) {
    struct hak_stats s;
    memset(&s, 0, sizeof(s));
    hak_stats_collect(&s);
    heading(fd, "hakmem: statistics");
    line(fd, "live", s.live_bytes, " bytes");
    line(fd, "in this thread's front", s.front_bytes, " bytes");
    line(fd, "in transit", s.transfer_bytes, " bytes");
    line(fd, "free in slabs", s.free_bytes, " bytes");
    line(fd, "empty slabs and cache, kept", s.resident_free_bytes, " bytes");
    line(fd, "large blocks", s.large_bytes, " bytes");
    line(fd, "mapped", s.mapped_bytes, " bytes");
    line(fd, "metadata", s.metadata_bytes, " bytes");
    line(fd, "counted against the limit", s.counted_bytes, " bytes");
    line(fd, "limit", s.limit_bytes, s.limit_bytes != 0 ? " bytes" : " (none)");
    line(fd, "given back to the system", s.purged_bytes, " bytes");
    line(fd, "superslabs", s.superslabs, "");
    line(fd, "  hot", s.superslabs_hot, "");
    line(fd, "  draining", s.superslabs_draining, "");
    line(fd, "  free", s.superslabs_free, "");
    line(fd, "threads", s.threads, "");
    line(fd, "front refills", s.front_refills, "");
    line(fd, "warm pool hits", s.warm_hits, "");
    line(fd, "warm pool misses", s.warm_misses, "");
    line(fd, "warm pool prefilled", s.warm_prefilled, "");
    heading(fd, "hakmem: slabs by shared pool stage");
    static const char *const stages[] = {"partial", "resident", "purged", "cached", "mapped"};
    for (unsigned i = 0; i < HAK_STAGE_COUNT; i++) line(fd, stages[i], s.stage[i], "");
    heading(fd, "hakmem: options");
    hak_options_print(fd);
}

void hak_stats_print_warm_pool(int fd) {
    /* In a signal handler its thread may hold the heaps' lock. */
    if (!front_enter()) return;
    heading(fd, "hakmem: warm pool\n   class     bytes          hits        misses    prefilled");
    for (unsigned c = 0; c < CLASSES; c++) {
        struct front_stats s;
        hak_front_stats(&s, c);
        if (s.hits + s.misses == 0) continue;
        struct text t = {.length = 0};
        hak_text_column(&t, c, 8);
        hak_text_column(&t, hak_size_class[c].block_bytes, 10);
        hak_text_column(&t, s.hits, 14);
        hak_text_column(&t, s.misses, 14);
        hak_text_column(&t, s.prefilled, 13);
        hak_text_string(&t, "\n");
        hak_text_write(&t, fd);
    }
    front_leave();
}
