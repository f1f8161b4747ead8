#include "hakmem/large/record.h"

#include "hakmem/os_backend/os_backend.h"

struct large *hak_large_chunks[RECORD_CHUNKS];
uint64_t hak_large_mapped;
static uint32_t records = 1;  /* numbers given out; 0 is none */
static uint64_t free_records; /* count of pops << 32 | number on top: the count defeats ABA */

struct large *hak_large_record_take(void) {
    uint64_t top = load_acquire(&free_records);
    while ((uint32_t)top != 0) {
        struct large *r = large_record((uint32_t)top);
        uint64_t next = ((top >> 32) + 1) << 32 | load_relaxed(&r->next);
        if (cas_acq_rel(&free_records, &top, next)) return r;
    }
    uint32_t id = fetch_add_relaxed(&records, 1u);
    if (id / RECORDS_PER_CHUNK >= RECORD_CHUNKS) return NULL;
    struct large **slot = &hak_large_chunks[id / RECORDS_PER_CHUNK];
    if (load_acquire(slot) == NULL) {
        struct large *chunk = hak_os_meta_alloc(RECORDS_PER_CHUNK * sizeof(struct large));
        if (chunk == NULL) {
            /* The number is given back if nobody took the next one meanwhile; else it is lost,
             * which costs a number, no memory. */
            uint32_t after = id + 1;
            cas_acq_rel(&records, &after, id);
            return NULL;
        }
        struct large *none = NULL;
        cas_acq_rel(slot, &none, chunk);
    }
    struct large *r = large_record(id);
    r->id = id;
    return r;
}

void hak_large_record_free(struct large *r) {
    uint64_t top = load_acquire(&free_records);
    do {
        store_relaxed(&r->next, (uint32_t)top);
    } while (!cas_acq_rel(&free_records, &top, (top >> 32) << 32 | r->id));
}

void hak_large_record_sums(uint64_t bytes_of[LARGE_KIND_MASK + 1]) {
    for (unsigned i = 0; i <= LARGE_KIND_MASK; i++) bytes_of[i] = 0;
    uint32_t end = load_relaxed(&records);
    for (uint32_t id = 1; id < end; id++) {
        struct large *r = large_record(id);
        if (r == NULL) continue; /* its chunk is being made */
        bytes_of[large_kind(load_acquire(&r->state))] += load_relaxed(&r->bytes);
    }
}
