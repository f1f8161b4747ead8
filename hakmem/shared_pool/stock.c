#include "hakmem/shared_pool/stock.h"

/* The slab on top, and how often the top changed: a slab's address is a multiple of 64 and has 48
 * bits, so 42 say which, and 22 count. A thread that stops between reading the top and replacing it
 * is misled only if the count comes to the same number again meanwhile. */
#define ADDRESS_SHIFT 6
#define COUNT_SHIFT (48 - ADDRESS_SHIFT)

static uint64_t top;
static uint32_t count;

static struct slab *slab_in(uint64_t word) {
    uint64_t address = word & (((uint64_t)1 << COUNT_SHIFT) - 1);
    return (struct slab *)(uintptr_t)(address << ADDRESS_SHIFT);
}

/* The top after `word`. */
static uint64_t next_top(uint64_t word, const struct slab *slab) {
    return ((word >> COUNT_SHIFT) + 1) << COUNT_SHIFT | (uintptr_t)slab >> ADDRESS_SHIFT;
}

bool hak_stock_push(struct slab *slab) {
    /* Relaxed: the count bounds, and orders nothing. */
    if (fetch_add_relaxed(&count, 1u) >= STOCK_SLABS) {
        fetch_sub_relaxed(&count, 1u);
        return false;
    }
    store_relaxed(&slab->stocked, true);
    uint64_t seen = load_relaxed(&top), after;
    do {
        store_relaxed(&slab->stock_next, slab_in(seen));
        after = next_top(seen, slab);
        /* Release: whoever pops the slab sees its link, and what was done to it before. */
    } while (!cas_acq_rel(&top, &seen, after));
    return true;
}

struct slab *hak_stock_pop(void) {
    /* Acquire pairs with the push: the link is seen. The slab may be popped by another meanwhile
     * and its link be anything; records are never unmapped, and the count in the top tells. */
    uint64_t seen = load_acquire(&top), after;
    struct slab *slab;
    do {
        slab = slab_in(seen);
        if (slab == NULL) return NULL;
        after = next_top(seen, load_relaxed(&slab->stock_next));
    } while (!cas_acq_rel(&top, &seen, after));
    store_relaxed(&slab->stocked, false);
    fetch_sub_relaxed(&count, 1u);
    return slab;
}

uint32_t hak_stock_count(void) { return load_relaxed(&count); }

void hak_stock_forget(void) {
    store_relaxed(&top, next_top(load_relaxed(&top), NULL));
    store_relaxed(&count, 0u);
}
