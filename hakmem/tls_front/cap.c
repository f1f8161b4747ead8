#include "hakmem/tls_front/cap.h"

#include <string.h>

#include "hakmem/config/options.h"

/* Of all threads. Relaxed: they are counts, and order nothing. */
static uint64_t charged;
static uint32_t pressure; /* grows at each refusal */

uint64_t hak_caps_charged(void) { return load_relaxed(&charged); }

static bool charge(struct caps *caps, size_t bytes) {
    uint64_t bound = hak_options.front_max_mb * MiB;
    if (fetch_add_relaxed(&charged, bytes) + bytes > bound) {
        fetch_sub_relaxed(&charged, bytes);
        fetch_add_relaxed(&pressure, 1u);
        return false;
    }
    caps->charged += bytes;
    return true;
}

static void uncharge(struct caps *caps, size_t bytes) {
    fetch_sub_relaxed(&charged, bytes);
    caps->charged -= bytes;
}

static uint32_t at_most(unsigned c, size_t bytes, uint32_t blocks) {
    size_t n = bytes / hak_size_class[c].block_bytes;
    return n < 1 ? 1 : n > blocks ? blocks : (uint32_t)n;
}

static uint32_t blocks_in(unsigned c, size_t bytes) {
    return at_most(c, bytes, FRONT_CLASS_BLOCKS);
}

/* `runs`: of small blocks as many as a busy thread allocates and frees in one go. */
static uint32_t max_cap(unsigned c, bool runs) {
    if (c < SMALL_CLASSES && runs) return at_most(c, FRONT_RUN_BYTES, FRONT_RUN_BLOCKS);
    if (c < SMALL_CLASSES) return blocks_in(c, FRONT_CLASS_BYTES);
    uint32_t blocks = blocks_in(c, FRONT_MEDIUM_BYTES);
    return blocks < FRONT_MEDIUM_BLOCKS ? FRONT_MEDIUM_BLOCKS : blocks;
}

/* The longest list for what comes and goes here. */
static uint32_t swing_cap(unsigned c, bool busy) {
    if (c < LINE_CLASSES) return 0; /* what is freed is not taken from the same list */
    if (c < SMALL_CLASSES) return max_cap(c, busy);
    uint32_t blocks = blocks_in(c, FRONT_SWING_BYTES);
    return blocks > FRONT_SWING_BLOCKS ? FRONT_SWING_BLOCKS : blocks;
}

/* Bytes of a cap that are charged. */
static size_t charged_bytes(unsigned c, uint32_t cap) {
    size_t bytes = (size_t)cap * hak_size_class[c].block_bytes;
    return bytes <= FRONT_FLOOR_BYTES ? 0 : bytes - FRONT_FLOOR_BYTES;
}

static void put_cap(struct heap *heap, unsigned c, uint32_t cap) {
    int32_t grows = (int32_t)cap - heap->lists.of[c].cap;
    for (unsigned i = c; i < LISTS; i += CLASSES) {
        struct list_pair *list = &heap->lists.of[i];
        list->cap = (uint16_t)cap;
        list_set_room(list, &heap->use[i], list_room(list, &heap->use[i]) + grows);
    }
}

static bool set_cap(struct heap *heap, unsigned c, uint32_t cap) {
    struct caps *caps = &heap->caps;
    uint32_t old = heap->lists.of[c].cap;
    size_t had = charged_bytes(c, old), wants = charged_bytes(c, cap);
    size_t block_bytes = hak_size_class[c].block_bytes;
    size_t bytes = caps->bytes - old * block_bytes + cap * block_bytes;
    size_t big = caps->big_bytes + (cap_is_big(c) ? bytes - caps->bytes : 0);
    bool shared = cap_is_big(c) && big != cap * block_bytes;
    if (cap > old && bytes > FRONT_THREAD_BYTES) return false;
    if (cap > old && shared && big > FRONT_BIG_BYTES) return false;
    if (wants > had && !charge(caps, wants - had)) return false;
    if (wants < had) uncharge(caps, had - wants);
    caps->bytes = bytes;
    caps->big_bytes = big;
    put_cap(heap, c, cap);
    return true;
}

void hak_caps_recount(const struct heap *heap) {
    store_relaxed(&charged, heap == NULL ? 0 : heap->caps.charged);
}

void hak_caps_forget(struct heap *heap) {
    uncharge(&heap->caps, heap->caps.charged);
    heap->caps.bytes = heap->caps.big_bytes = 0;
    heap->caps.until_look = FRONT_LOOK_CALLS;
    for (unsigned c = 0; c < CLASSES; c++) {
        put_cap(heap, c, 0);
        hak_cap_cool(heap, c);
    }
}

static void double_cap(struct heap *heap, unsigned c, uint32_t most) {
    uint32_t cap = heap->lists.of[c].cap;
    cap = cap == 0 ? 1 : cap * 2;
    set_cap(heap, c, cap > most ? most : cap);
}

void hak_cap_warm(struct heap *heap, unsigned c) {
    struct list_pair *list = &heap->lists.of[c];
    uint32_t warm = blocks_in(c, FRONT_WARM_BYTES);
    if (list->cap < warm) double_cap(heap, c, warm);
    heap->use[c].warming = list->cap < warm;
}

void hak_cap_swing(struct heap *heap, unsigned c) {
    struct list_pair *list = &heap->lists.of[c];
    struct list_use *use = &heap->use[c];
    if (use->cold > 0) return;
    uint32_t most = swing_cap(c, heap->caps.busy), before = list->cap;
    if (before < most) double_cap(heap, c, most);
    use->swinging = list->cap != before && list->cap < most;
}

void hak_cap_flow(struct heap *heap, unsigned c, enum flow flow) {
    struct list_pair *list = &heap->lists.of[c];
    struct list_use *use = &heap->use[c];
    bool in = flow == FLOW_IN, was_in = use->last == FLOW_IN;
    bool turned = in != was_in && use->last != FLOW_NONE;
    bool over = flow == FLOW_OVER || use->last == FLOW_OVER;
    use->last = (uint8_t)flow;
    /* Many frees and then blocks again make a class warm too: a long phase of the ones, and another
     * of the others, are few turns. The frees alone do not: after them a thread may sleep. */
    if (in && use->frees >= FRONT_COLD_FREES) use->cold = 0;
    if (in) use->frees = 0;
    if (use->cold > 0) {
        use->cold = (uint8_t)(use->cold - turned);
        return;
    }
    uint32_t most = max_cap(c, turned && !over && heap->caps.busy);
    bool grows = turned || (c < SMALL_CLASSES && !in);
    if (!grows && flow == FLOW_OVER) {
        most = blocks_in(c, FRONT_OVER_BYTES);
        grows = true;
    }
    if (grows && list->cap < most) double_cap(heap, c, most);
    if (over && c < SMALL_CLASSES && list->cap > most) set_cap(heap, c, most);
}

void hak_cap_drain(struct heap *heap, unsigned c) {
    struct list_pair *list = &heap->lists.of[c];
    heap->use[c].last = FLOW_OUT;
    if (list->cap > 1) set_cap(heap, c, list->cap < 4 ? 1 : list->cap / 4);
}

uint32_t hak_cap_batch(struct heap *heap, unsigned c) {
    struct list_pair *list = &heap->lists.of[c];
    struct list_use *use = &heap->use[c];
    if (list->cap != 0 && c < SMALL_CLASSES) {
        uint32_t most = max_cap(c, false);
        return list->cap < most ? list->cap : most;
    }
    if (list->cap != 0) return list->cap < FRONT_MEDIUM_BATCH ? list->cap : FRONT_MEDIUM_BATCH;
    uint32_t batch = use->batch;
    if (batch * 2 * hak_size_class[c].block_bytes <= FRONT_WARM_BYTES && batch < 256) {
        use->batch = (uint16_t)(batch * 2);
    }
    return batch;
}

void hak_cap_cool(struct heap *heap, unsigned c) {
    struct list_pair *list = &heap->lists.of[c];
    struct list_use *use = &heap->use[c];
    if (list->cap != 0) set_cap(heap, c, 0);
    use->batch = 1;
    use->frees = 0;
    use->cold = FRONT_COLD_TURNS;
    use->warming = true;
    use->swinging = true;
    use->last = FLOW_NONE;
    use->rested = FRONT_REST_SWEEPS;
}

void hak_caps_init(struct heap *heap) {
    for (unsigned c = 0; c < CLASSES; c++) hak_cap_cool(heap, c);
    heap->caps.until_look = FRONT_LOOK_CALLS;
}

void hak_caps_swept(struct heap *heap, uint64_t now) {
    struct caps *caps = &heap->caps;
    bool busy = caps->looks >= FRONT_SWEEP_LOOKS && now - caps->swept_ms < FRONT_BUSY_MS;
    caps->looks = 0;
    caps->swept_ms = now;
    if (busy && !caps->busy) {
        for (unsigned c = 0; c < CLASSES; c++) heap->use[c].swinging = true;
    }
    caps->busy = busy;
}

bool hak_cap_calms(struct heap *heap, unsigned c) {
    if (heap->caps.busy || c >= SMALL_CLASSES) return false;
    uint32_t most = max_cap(c, false);
    if (heap->lists.of[c].cap <= most) return false;
    set_cap(heap, c, most);
    return true;
}

bool hak_caps_were_brief(const struct heap *heap, uint64_t now) {
    return now - heap->caps.began_ms < FRONT_BRIEF_MS;
}

void hak_caps_leave(struct heap *heap, uint64_t now) {
    heap->caps.ended_ms = now;
    for (unsigned c = 0; c < CLASSES; c++) {
        uint8_t cold = heap->use[c].cold;
        bool counts = !cap_is_unused(heap, c) && (c < SMALL_CLASSES || cold == 0);
        heap->caps.left[c] = counts ? FRONT_COLD_TURNS - cold : 0;
    }
}

void hak_caps_inherit(struct heap *heap, uint64_t now, bool few) {
    bool follows = now - heap->caps.ended_ms < FRONT_REST_MS;
    /* Its first sweep is a sweep's time away: else what it has not used yet would be cold then. */
    heap->caps.began_ms = heap->caps.swept_ms = now;
    heap->caps.looks = 0;
    for (unsigned c = 0; c < CLASSES; c++) {
        struct list_use *use = &heap->use[c];
        if (follows) use->cold = FRONT_COLD_TURNS - heap->caps.left[c];
        if (few && c < SMALL_CLASSES) use->cold = 0;
    }
    if (follows) heap->caps.ended_ms = 0;
}

/* Changes with every malloc and free of the class. */
static uint32_t look(const struct list_pair *list) {
    uint32_t counts = (uint32_t)list->room * 8191u + list->popped;
    return (uint32_t)((uintptr_t)list->loaded >> 4) + counts * 0x9e3779b1u;
}

bool hak_cap_rests(struct heap *heap, unsigned c) {
    struct list_pair *list = &heap->lists.of[c];
    struct list_use *use = &heap->use[c];
    /* Turns far apart make no class warm. */
    if (use->cold > 0 || use->rested == FRONT_REST_SWEEPS) use->cold = FRONT_COLD_TURNS;
    use->frees = 0;
    if (use->rested == FRONT_REST_SWEEPS) return false;
    uint32_t seen = look(list) + look(list_freed(&heap->lists, c));
    if (use->seen != seen) {
        use->seen = seen;
        use->rested = 0;
        return false;
    }
    return ++use->rested == FRONT_REST_SWEEPS;
}

void hak_caps_yield(struct heap *heap, uint64_t threads) {
    uint32_t now = load_relaxed(&pressure);
    if (now == heap->caps.pressure) return;
    heap->caps.pressure = now;
    uint64_t share = hak_options.front_max_mb * MiB / (threads < 1 ? 1 : threads);
    if (heap->caps.charged <= share) return;
    for (unsigned c = 0; c < CLASSES; c++) {
        uint32_t cap = heap->lists.of[c].cap;
        if (charged_bytes(c, cap) == 0) continue;
        set_cap(heap, c, cap / 2);
        heap->use[c].warming = true;
        heap->use[c].swinging = true;
    }
}
