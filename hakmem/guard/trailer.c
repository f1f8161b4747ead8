#include "hakmem/guard/trailer.h"

#include "hakmem/os_backend/os_backend.h"

_Static_assert(sizeof(struct both_places) % 16 == 0 && sizeof(struct trailer) == 16,
               "a trailer lies at a multiple of 16");

uint64_t hak_trailer_secret;

void hak_trailer_draw_secret(void) {
    uint64_t none = 0, drawn = hak_os_random();
    cas_acq_rel(&hak_trailer_secret, &none, drawn);
}

static const char *first_other(const char *from, const char *end, unsigned char value) {
    while (from != end && (unsigned char)*from == value) from++;
    return from == end ? NULL : from;
}

const char *hak_trailer_overflow(const struct guarded_block *g) {
    return first_other(g->start + g->asked, trailer_watched_end(g), GUARD_CANARY);
}

const char *hak_trailer_late_write(const struct guarded_block *g, unsigned char fill) {
    const char *end = trailer_slack_end(g), *filled = g->start;
    if (end - g->start >= BLOCK_MIN) {
        filled += BLOCK_MIN;
        const char *in_head = first_other(g->start, filled, GUARD_FREED);
        if (in_head != NULL) return in_head;
    }
    return first_other(filled, end, fill);
}
