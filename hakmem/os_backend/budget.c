#include "hakmem/os_backend/budget.h"

#include "hakmem/base/atomic.h"

/* Relaxed: the count bounds, and orders nothing. */
static size_t used;
static size_t limit; /* 0: none */

bool hak_budget_take(size_t bytes) {
    size_t most = load_relaxed(&limit), now = load_relaxed(&used);
    if (HAK_LIKELY(most == 0)) {
        fetch_add_relaxed(&used, bytes);
        return true;
    }
    /* What is refused is never counted, not for a moment: it would refuse others what fits. */
    do {
        if (now > most || bytes > most - now) return false;
    } while (!cas_acq_rel(&used, &now, now + bytes));
    return true;
}

void hak_budget_add(size_t bytes) { fetch_add_relaxed(&used, bytes); }
void hak_budget_give(size_t bytes) { fetch_sub_relaxed(&used, bytes); }
void hak_budget_recount(size_t bytes) { store_relaxed(&used, bytes); }
size_t hak_budget_used(void) { return load_relaxed(&used); }

size_t hak_budget_left(void) {
    size_t most = load_relaxed(&limit), now = load_relaxed(&used);
    if (most == 0) return SIZE_MAX;
    return now < most ? most - now : 0;
}

void hak_budget_set_limit(size_t bytes) { store_relaxed(&limit, bytes); }
size_t hak_budget_limit(void) { return load_relaxed(&limit); }
