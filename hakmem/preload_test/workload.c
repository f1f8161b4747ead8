/* Fixed, repeatable work for tests that count instructions, system calls and slab requests.
 *
 *   workload pairs STEPS          malloc(64) and free at once; a step is a pair
 *   workload mix STEPS SLOTS      a step frees a random slot's block or fills it: half a pair
 *   workload pairs-empty STEPS, mix-empty STEPS SLOTS    the same loops without the calls
 *   workload steady STEPS SLOTS   mix of STEPS, a marker, mix of STEPS, a marker
 *   workload rate REQUESTS SLOTS  mix until so many slab requests were seen, 10 s at most; prints
 *                                 requests, hits, misses and steps
 *
 * A marker is close(-1), which a trace of system calls shows and nothing else does. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hakmem/hakmem.h"

enum {
    PAIR_SIZE = 64,
    MIN_SIZE = 16,
    MAX_SIZE = 1024,
    MAX_SLOTS = 1 << 16,
    WARM_UP_STEPS = 2000000,
    RATE_STEPS = 1000000, /* between two looks at the counts */
    RATE_SECONDS = 10,    /* gives up after so long */
};

static void *volatile slots[MAX_SLOTS]; /* volatile: no call and no store may be left out */
static uint64_t random_state = 88172645463325252u;

static inline uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void pairs(size_t steps, bool empty) {
    for (size_t i = 0; i < steps; i++) {
        if (empty) {
            slots[0] = (void *)slots;
            (void)slots[0];
        } else {
            slots[0] = malloc(PAIR_SIZE);
            free(slots[0]);
        }
    }
}

/* SLOT_COUNT is a power of two. */
static void mix(size_t steps, size_t slot_count, bool empty) {
    for (size_t i = 0; i < steps; i++) {
        uint64_t r = next_random();
        size_t at = r & (slot_count - 1);
        void *block = slots[at];
        if (block != NULL) {
            if (!empty) {
                free(block);
            }
            slots[at] = NULL;
        } else {
            size_t size = MIN_SIZE + (r >> 32) % (MAX_SIZE - MIN_SIZE + 1);
            slots[at] = empty ? (void *)size : malloc(size);
        }
    }
}

static void steady(size_t steps, size_t slot_count) {
    mix(steps, slot_count, false);
    close(-1);
    mix(steps, slot_count, false);
    close(-1);
}

/* Returns 1 when there are no counts to read. */
static int rate(uint64_t requests, size_t slot_count) {
    bool (*get)(struct hak_stats *) =
        (bool (*)(struct hak_stats *))dlsym(RTLD_DEFAULT, "hak_stats_get");
    struct hak_stats before = {.size = sizeof before};
    struct hak_stats after = {.size = sizeof after};
    mix(WARM_UP_STEPS, slot_count, false);
    if (get == NULL || !get(&before)) {
        puts("no hak_stats_get");
        return 1;
    }
    uint64_t hits = 0;
    uint64_t seen = 0;
    uint64_t steps = 0;
    time_t end = time(NULL) + RATE_SECONDS;
    while (seen < requests && time(NULL) < end) {
        mix(RATE_STEPS, slot_count, false);
        steps += RATE_STEPS;
        if (!get(&after)) {
            puts("hak_stats_get fails");
            return 1;
        }
        hits = after.warm_hits - before.warm_hits;
        seen = hits + after.warm_misses - before.warm_misses;
    }
    printf("%llu requests %llu hits %llu misses %llu steps\n", (unsigned long long)seen,
           (unsigned long long)hits, (unsigned long long)(seen - hits), (unsigned long long)steps);
    return 0;
}

int main(int count, char **arguments) {
    const char *mode = count > 2 ? arguments[1] : "";
    size_t steps = count > 2 ? strtoull(arguments[2], NULL, 10) : 0;
    size_t slot_count = count > 3 ? strtoull(arguments[3], NULL, 10) : 256;
    if (slot_count == 0 || slot_count > MAX_SLOTS || (slot_count & (slot_count - 1)) != 0) {
        fputs("workload: SLOTS is a power of two up to 65536\n", stderr);
        return 2;
    }
    if (strcmp(mode, "pairs") == 0) {
        pairs(steps, false);
    } else if (strcmp(mode, "pairs-empty") == 0) {
        pairs(steps, true);
    } else if (strcmp(mode, "mix") == 0) {
        mix(steps, slot_count, false);
    } else if (strcmp(mode, "mix-empty") == 0) {
        mix(steps, slot_count, true);
    } else if (strcmp(mode, "steady") == 0) {
        steady(steps, slot_count);
    } else if (strcmp(mode, "rate") == 0) {
        return rate(steps, slot_count);
    } else {
        fputs("usage: workload MODE COUNT [SLOTS]\n", stderr);
        return 2;
    }
    return 0;
}
