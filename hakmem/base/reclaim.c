#include "hakmem/base/reclaim.h"

#include <errno.h>

#include "hakmem/base/futex.h"
#include "hakmem/base/lock.h"

#define RECLAIMING ((uint32_t)1 << 31)
#define LEFT ((uint32_t)1 << 30)
#define GIVING (LEFT - 1)

static struct lock turn; /* whoever reclaims holds it */
static uint32_t state;   /* RECLAIMING, LEFT; GIVING: how many threads have memory in hand */

bool hak_giving_begin(void) {
    uint32_t now = load_relaxed(&state), next;
    do {
        /* The note is in the same word: whoever ends the turn takes it along. */
        next = (now & RECLAIMING) != 0 ? now | LEFT : now + 1;
    } while (!cas_acq_rel(&state, &now, next));
    return (now & RECLAIMING) == 0;
}

void hak_giving_end(void) {
    /* Release: what went back is seen by whoever waited for it. */
    uint32_t before = fetch_add_acq_rel(&state, UINT32_MAX);
    if (HAK_LIKELY((before & RECLAIMING) == 0 || (before & GIVING) != 1)) return;
    int saved = errno; /* free must not change errno */
    futex_wake(&state);
    errno = saved;
}

void hak_giving_wait(void) {
    while (!hak_giving_begin()) {
        lock_acquire(&turn);
        lock_release(&turn);
    }
}

void hak_reclaim_begin(void) {
    lock_acquire(&turn);
    int saved = errno;
    uint32_t now = fetch_or_acq_rel(&state, RECLAIMING) | RECLAIMING;
    while ((now & GIVING) != 0) {
        futex_wait(&state, now);
        now = load_acquire(&state);
    }
    errno = saved;
}

bool hak_reclaim_end(void) {
    bool left = (exchange_acq_rel(&state, 0u) & LEFT) != 0;
    lock_release(&turn);
    return left;
}

void hak_reclaim_fork_child(void) {
    store_relaxed(&state, 0u);
    store_relaxed(&turn.state, 0u);
}
