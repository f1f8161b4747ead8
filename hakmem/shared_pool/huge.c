/* Huge pages where a heap grows: one fault instead of 512, and a fifth of the time for a page.
 *
 * A superslab gets them as a whole or not at all, when it has no pages: for a class that fills its
 * slabs, in a heap that is large beside a superslab. It is resident as a whole then. As soon as a
 * part of it is purged the kernel must split the huge page, or nothing would come free; the
 * superslab has small pages from then on, until it is empty and purged. The tables of small pages
 * that went in parts go before it is asked for huge ones again: there is no place for both.
 *
 * Programs that leave pages of their blocks untouched would have them all: so a few slabs that are
 * full, all of whose blocks went out, are looked at first.
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

/* Its blocks are all outside. Relaxed, here and below: it may be another thread's, and one that
 * just begins or ends is told from no other. */
static bool is_full(const struct slab *slab) {
    unsigned capacity = load_relaxed(&slab->capacity);
    return capacity != 0 && load_relaxed(&slab->out) == capacity;
}

/* Of full slabs of small pages: their bytes, and how many of these are resident. */
struct sample {
    unsigned superslabs, slabs; /* looked at */
    size_t bytes, resident;
};

static void look_at(struct sample *sample, const struct superslab *ss) {
    sample->superslabs++;
    if (ss->huge) return;
    for (unsigned i = 0; i < SLABS_PER_SUPERSLAB && sample->slabs < HUGE_SAMPLE_SLABS; i++) {
        const struct slab *slab = &ss->slabs[i];
        if (!(ss->used >> i & 1) || !is_full(slab)) continue;
        size_t bytes = load_relaxed(&slab->span) * SLAB_BYTES;
        sample->slabs++;
        sample->bytes += bytes;
        sample->resident += hak_os_resident_bytes(ss->base + i * SLAB_BYTES, bytes);
    }
}

/* The fullest superslabs, those that became so last first. */
static struct sample take_sample(void) {
    struct sample sample = {0, 0, 0, 0};
    for (unsigned run = 0; run < SLABS_PER_SUPERSLAB; run++) {
        const struct list *all = &hak_pool.all.by_run[run];
        for (const struct list *l = all->next; l != all; l = l->next) {
            if (sample.superslabs == HUGE_SAMPLE_SUPERSLABS || sample.slabs == HUGE_SAMPLE_SLABS) {
                return sample;
            }
            look_at(&sample, list_entry(l, struct superslab, by_run));
        }
    }
    return sample;
}

/* Programs touch what they are given, or all of it is of huge pages. */
static bool is_touched(struct huge_pace *pace) {
    if (pace->trusted != 0) {
        pace->trusted--;
        return true;
    }
    struct sample sample = take_sample();
    bool touched = sample.bytes - sample.resident <= sample.bytes / HUGE_UNTOUCHED;
    if (touched) pace->trusted = HUGE_TRUSTED;
    return touched;
}

/* Blocks of larger classes leave whole pages of theirs untouched. */
static bool pays(unsigned c, bool grows) {
    return grows && hak_size_class[c].block_bytes <= HUGE_BLOCK_MAX &&
           hak_pool.all.used >= HUGE_HEAP_BYTES / SLAB_BYTES && !hak_pool.policy.scarce &&
           hak_os_has_huge();
}

void hak_huge_choose(struct superslab *ss, unsigned c, bool grows) {
    struct huge_pace *pace = &hak_pool.huge;
    if (ss->used != 0 || ss->resident != 0) return;
    /* All of it is resident at the first touch: what does not fit the budget stays small. */
    bool huge =
        pays(c, grows) && may_try(pace) && is_touched(pace) && hak_budget_take(SUPERSLAB_BYTES);
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
