/* How much a thread's lists may hold: nothing while a class is cold, more while it is busy, nothing
 * again when it rests. All threads together: at most HAKMEM_FRONT_MAX_MB beyond a small floor.
 *
 *      cold --FRONT_COLD_CALLS slow calls--> 1, 2, 4 ... warm --overflow--> doubles to the bound
 *        ^------------------ unused in FRONT_REST_SWEEPS sweeps ----------------'
 *
 * So a thread that touches each size once and goes idle keeps nothing, without a call. The hot
 * path counts nothing: slow calls are counted, and sweeps compare what they see of the lists.
 * Internal to the layer. */
#ifndef HAKMEM_TLS_FRONT_CAP_H_
#define HAKMEM_TLS_FRONT_CAP_H_

#include "hakmem/tls_front/tls_front.h"

/* The class was called often since it was cold. */
HAK_INLINE bool hak_cap_is_warm(const struct caps *caps, unsigned c) {
    return caps->calls[c] == FRONT_COLD_CALLS;
}

#ifdef __cplusplus
extern "C" {
#endif
/* Every class is cold. */
void hak_caps_start(struct caps *caps);
/* Gives the thread's share of the common bound back. */
void hak_caps_end(struct caps *caps);
/* A slow call for class `c`. Returns true when it is time to sweep. */
bool hak_cap_called(struct caps *caps, unsigned c);
/* Doubles the cap of class `c`, whose list overflows. */
void hak_cap_grow(struct caps *caps, unsigned c);
/* Class `c` is cold again; its lists are empty. */
void hak_cap_cool(struct caps *caps, unsigned c);
/* Makes the medium bound `bytes` at least, if it may. */
bool hak_cap_medium(struct caps *caps, size_t bytes);
/* A sweep passes class `c`, whose lists look like `seen`: true when they have not changed in
 * FRONT_REST_SWEEPS sweeps. */
bool hak_cap_rests(struct caps *caps, unsigned c, uint32_t seen);
/* At each sweep: gives up half of what is above this thread's share while others are refused.
 * `threads` share the common bound. */
void hak_caps_yield(struct caps *caps, uint64_t threads);
/* What all threads' lists may hold beyond the floor, now. Bytes. */
uint64_t hak_caps_charged(void);
#ifdef __cplusplus
}
#endif

#endif
