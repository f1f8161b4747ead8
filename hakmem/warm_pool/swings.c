#include "hakmem/warm_pool/swings.h"

#include "hakmem/base/clock.h"
#include "hakmem/shared_pool/shared_pool.h"

/* A fall after several rises in a row is expected to be followed by another. */
static void fell(struct swings *s) {
    size_t rise = s->turn - s->bottom;
    if (s->rises == 0) s->expected = 0;
    if (s->rises < SWING_RISES || rise <= s->expected) return;
    hak_shared_pool_expect(rise - s->expected);
    s->expected = rise;
}

void hak_swings_turn(struct swings *s) {
    uint64_t now = clock_ms();
    if (s->falls) {
        s->rises = now - s->fell_ms < REFAULT_MS ? s->rises + 1 : 0;
        s->bottom = s->turn;
    } else {
        fell(s);
        s->fell_ms = now;
    }
    s->falls = !s->falls;
    s->turn = s->units;
}
