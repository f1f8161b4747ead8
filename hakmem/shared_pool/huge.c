/* Huge pages where a heap grows: one fault instead of 512, and a fifth of the time for a page.
 *
 * A superslab gets them as a whole or not at all, when it has no pages: for a class that fills its
 * slabs, in a heap that is large beside a superslab. It is resident as a whole then. As soon as a
 * part of it is purged the kernel must split the huge page, or nothing would come free; the
 * superslab has small pages from then on, until it is empty and purged. The tables of small pages
 * that went in parts go before it is asked for huge ones again: there is no place for both.
 *
 * What a huge page costs depends on where the kernel has it from, so each is asked for at once, and
 * the call is timed: after a slow one small pages serve for a while. */
#include "hakmem/base/clock.h"
#include "hakmem/config/options.h"
#include "hakmem/os_backend/budget.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/shared_pool/pool.h"

uint64_t (*hak_huge_clock)(void) = clock_thread_ns;

/* A pause is over, or there is none. */
static bool may_try(struct huge_pace *pace) {
    if (pace->trying) return false;
    if (pace->left == 0) return true;
    pace->left--;
    return false;
}

/* The huge page comes. Nobody takes units of it meanwhile: threads that touch it at once would each
 * clear one of their own, and all but one in vain. */
static void touch(struct superslab *ss) {
    struct huge_pace *pace = &hak_pool.huge;
    hak_superslabs_set(&hak_pool.all, ss, UINT32_MAX, UINT32_MAX);
    ss->moving = UINT32_MAX;
    hak_pool.runs_moving++;
    pace->trying = true;
    hak_pool_release();
    uint64_t before = hak_huge_clock();
    bool came = hak_os_populate(ss->base, hak_os_page_bytes());
    bool slow = came && hak_huge_clock() - before > HUGE_SLOW_NS;
    hak_pool_acquire();
    unsigned pause = pace->next == 0 ? HUGE_PAUSE : pace->next;
    pace->left = slow ? pause : 0;
    pace->next = !slow ? 0 : pause < HUGE_PAUSE_MAX ? 2 * pause : HUGE_PAUSE_MAX;
    pace->trying = false;
    hak_pool.runs_moving--;
    ss->moving = 0;
    hak_superslabs_set(&hak_pool.all, ss, 0, UINT32_MAX);
}

/* Blocks of larger classes leave whole pages of theirs untouched. */
static bool pays(unsigned c, bool grows) {
    return grows && hak_size_class[c].block_bytes <= HUGE_BLOCK_MAX &&
           hak_pool.all.used >= HUGE_HEAP_BYTES / SLAB_BYTES && !hak_pool.policy.scarce &&
           hak_os_has_huge();
}

void hak_huge_choose(struct superslab *ss, unsigned c, bool grows) {
    if (ss->used != 0 || ss->resident != 0) return;
    /* All of it is resident at the first touch: what does not fit the budget stays small. */
    bool huge = pays(c, grows) && may_try(&hak_pool.huge) && hak_budget_take(SUPERSLAB_BYTES);
    if (huge && ss->parted) {
        hak_os_drop_tables(ss->base, SUPERSLAB_BYTES);
        ss->parted = false;
    }
    if (huge && !ss->huge && !hak_os_ask_huge(ss->base, SUPERSLAB_BYTES)) {
        hak_budget_give(SUPERSLAB_BYTES);
        huge = false;
    }
    if (!huge && HAK_UNLIKELY(ss->huge)) hak_os_refuse_huge(ss->base, SUPERSLAB_BYTES);
    ss->huge = huge;
    if (!huge) return;
    /* One slab was counted; the pages come for all. */
    hak_purge_refault(SLABS_PER_SUPERSLAB - 1);
    touch(ss);
}

bool hak_huge_ends(struct superslab *ss) {
    bool was = ss->huge;
    ss->huge = false;
    return was;
}
