/* What the program asks to be given back, looked at or given up, all at once. */
#include "hakmem/base/reclaim.h"
#include "hakmem/base/watch.h"
#include "hakmem/guarded.h"
#include "hakmem/hakmem.h"
#include "hakmem/large/large.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/tls_front/tls_front.h"

bool hak_trim(size_t keep) {
    uint64_t before = hak_os_purged_bytes();
    if (guard_is_on()) hak_guarded_flush();
    if (!front_enter()) return false;
    watch_silence(true);
    hak_reclaim_begin();
    hak_front_give_back();
    hak_large_trim(keep);
    struct large_stats large;
    hak_large_stats(&large);
    hak_shared_pool_trim(large.kept_bytes < keep ? keep - large.kept_bytes : 0);
    hak_os_retry_discarded(true);
    if (hak_reclaim_end()) hak_shared_pool_settle();
    watch_silence(false);
    front_leave();
    return hak_os_purged_bytes() != before;
}

bool hak_check_counts(void) {
    if (!front_enter()) return false;
    bool agree = hak_shared_pool_agrees() && hak_large_agrees();
    front_leave();
    return agree;
}

void hak_thread_idle(void) {
    if (guard_is_on()) hak_guarded_idle();
    if (!front_enter()) return;
    watch_silence(true);
    hak_front_give_up();
    watch_silence(false);
    front_leave();
}
