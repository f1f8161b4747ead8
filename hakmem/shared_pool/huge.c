/* Huge pages where a heap grows: one fault instead of 512, and a fifth of the time for a page.
 *
 * A superslab gets them as a whole or not at all, when it has no pages: for a class that fills its
 * slabs, in a heap that is large beside a superslab. It is resident as a whole then. As soon as a
 * part of it is purged the kernel must split the huge page, or nothing would come free; the
 * superslab has small pages from then on, until it is empty and purged. The tables of small pages
 * that went in parts go before it is asked for huge ones again: there is no place for both. */
#include "hakmem/config/options.h"
#include "hakmem/os_backend/budget.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/shared_pool/pool.h"

/* Blocks of larger classes leave whole pages of theirs untouched. */
static bool pays(unsigned c, bool grows) {
    return grows && hak_size_class[c].block_bytes <= HUGE_BLOCK_MAX &&
           hak_pool.all.used >= HUGE_HEAP_BYTES / SLAB_BYTES && !hak_pool.policy.scarce &&
           hak_os_has_huge();
}

void hak_huge_choose(struct superslab *ss, unsigned c, bool grows) {
    if (ss->used != 0 || ss->resident != 0) return;
    /* All of it is resident at the first touch: what does not fit the budget stays small. */
    bool huge = pays(c, grows) && hak_budget_take(SUPERSLAB_BYTES);
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
    hak_superslabs_set(&hak_pool.all, ss, 0, UINT32_MAX);
}

bool hak_huge_ends(struct superslab *ss) {
    bool was = ss->huge;
    ss->huge = false;
    return was;
}
