/* How much of what is empty stays resident: by what was used, wanted, and wanted back. */
#include "hakmem/base/clock.h"
#include "hakmem/shared_pool/pool.h"
#include "hakmem/shared_pool/stock.h"

uint64_t (*hak_pool_worked_ms)(void) = clock_worked_ms;

#define BASE_UNITS (RESIDENT_FREE_BYTES / SLAB_BYTES)

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* More than `most` stays as it is. */
static void grow(size_t *units, size_t by, size_t most) {
    if (*units < most) *units += smaller(by, most - *units);
}

static size_t share_of_used(void) { return hak_pool.all.used / RESIDENT_SHARE; }

/* A second is over; or several, in which nobody looked. Work counts, not time: a burst lasts longer
 * where the processors have other work too. */
static void seconds_pass(struct purge_policy *p, uint64_t seconds, uint64_t worked_ms) {
    unsigned n = seconds < 31 ? (unsigned)seconds : 31;
    uint64_t worked = worked_ms - p->worked_ms, most = seconds * REFAULT_MS;
    p->worked_ms = worked_ms;
    /* What lay unused all the time beyond the base is not needed: half of it goes. */
    size_t unused = p->lowest > BASE_UNITS ? (p->lowest - BASE_UNITS) / 2 : 0;
    p->extra -= smaller(unused, p->extra);
    p->beside -= smaller(unused, p->beside);
    p->busy_ms = p->backed_off ? p->busy_ms + (worked < most ? worked : most) : p->busy_ms >> n;
    p->backed_off = false;
    p->lowest = hak_pool.all.resident_free;
    p->purged = p->refaulted = 0;
    p->quiet = load_relaxed(&p->wanted) ? 0 : p->quiet + n;
    store_relaxed(&p->wanted, false);
}

/* More is kept from now on by what was wanted back. A burst and then silence must not leave much
 * behind, as nobody may ever come to look: four times as much only where it goes on for seconds,
 * but a share of what is in use, as that is there to be looked at and goes with its use. */
static void back_off(struct purge_policy *p) {
    uint64_t busy = (p->busy_ms + REFAULT_MS / 2) / REFAULT_MS;
    unsigned on = busy < BURST_S ? 0 : busy < BURST_S + 8 ? (unsigned)busy - BURST_S + 1 : 8;
    size_t most = RESIDENT_EXTRA_BYTES / SLAB_BYTES << 2 * on;
    grow(&p->extra, p->refaulted, most);
    grow(&p->beside, p->refaulted, share_of_used());
    p->backed_off = true;
    p->purged = p->refaulted = 0;
}

void hak_purge_tick(uint64_t now) {
    struct purge_policy *p = &hak_pool.policy;
    /* Nobody came for a while: what comes now does not go on, it begins. */
    if ((int64_t)(now - p->ticked_ms) > PAUSE_MS) p->busy_ms = 0;
    if ((int64_t)(now - p->ticked_ms) > 0) p->ticked_ms = now;
    /* A superslab's worth of purges, and a tenth wanted back: that is not worth waiting for the
     * second to end. */
    if (p->purged >= SLABS_PER_SUPERSLAB && p->refaulted * 10 > p->purged) back_off(p);
    /* Threads read the clock before they come in: one may be late. */
    if ((int64_t)(now - p->second_ms) < REFAULT_MS) return;
    seconds_pass(p, (now - p->second_ms) / REFAULT_MS, hak_pool_worked_ms());
    p->second_ms = now;
    if (p->scarce && (int64_t)(now - p->scarce_ms) > SCARCE_MS) {
        store_relaxed(&p->scarce, false);
        hak_pool.all.region_bytes = REGION_FIRST_BYTES;
    }
}

void hak_purge_taken(void) {
    size_t here = hak_pool.all.resident_free;
    if (here < hak_pool.policy.lowest) hak_pool.policy.lowest = here;
}

void hak_shared_pool_expect(size_t units) {
    hak_pool_acquire();
    /* No more than is used can be wanted back. */
    size_t *extra = &hak_pool.policy.extra, most = hak_pool.all.used + SWING_BYTES / SLAB_BYTES;
    *extra = *extra + units < most ? *extra + units : *extra < most ? most : *extra;
    hak_pool_release();
}

void hak_purge_refault(unsigned span) {
    struct purge_policy *p = &hak_pool.policy;
    if (p->purged_ms != 0 && clock_ms() - p->purged_ms < REFAULT_MS) p->refaulted += span;
}

/* Units beyond the base, as they were wanted back. */
static size_t beyond_base(void) {
    const struct purge_policy *p = &hak_pool.policy;
    size_t beside = smaller(p->beside, share_of_used());
    return beside > p->extra ? beside : p->extra;
}

size_t hak_purge_bound(void) {
    const struct purge_policy *p = &hak_pool.policy;
    if (p->scarce) return 0;
    size_t units = BASE_UNITS + beyond_base(), least = RESIDENT_QUIET_BYTES / SLAB_BYTES;
    /* What nobody wants halves from second to second. */
    unsigned halvings = p->quiet > RESIDENT_QUIET ? p->quiet - RESIDENT_QUIET : 0;
    units = halvings < 32 ? units >> halvings : 0;
    if (units < least) units = least;
    size_t stocked = hak_stock_count();
    return units > stocked ? units - stocked : 0;
}

size_t hak_purge_slack(void) {
    size_t least = RESIDENT_SLACK_BYTES / SLAB_BYTES, kept = beyond_base();
    size_t share = hak_pool.all.used / RESIDENT_SLACK_SHARE;
    size_t units = share > least ? share : least;
    return hak_pool.policy.scarce || units < kept ? 0 : units - kept;
}
