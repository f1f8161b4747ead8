/* Prewarm: superslabs taken and populated ahead of need. */
#include <errno.h>
#include <unistd.h>

#include "hakmem/base/text.h"
#include "hakmem/config/options.h"
#include "hakmem/hakmem.h"
#include "hakmem/limit.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/size_class/size_class.h"
#include "hakmem/tls_front/tls_front.h"

#define PREWARM_COUNT_MAX 4096u

static bool in_range(unsigned k, unsigned count) {
    if (k < HAK_SS_PREWARM_CLASSES && count <= PREWARM_COUNT_MAX) return true;
    struct text t = {.length = 0};
    hak_text_string(&t, "hakmem: prewarm of class ");
    hak_text_decimal(&t, k);
    hak_text_string(&t, " with ");
    hak_text_decimal(&t, count);
    hak_text_string(&t, " superslabs is out of range (class 0..7, count 0..4096); nothing done\n");
    hak_text_write(&t, STDERR_FILENO);
    return false;
}

/* More than the machine or the cgroup has would end the process, or others. */
static bool fits_memory(uint64_t superslabs) {
    uint64_t memory = hak_limit_memory("");
    if (memory == 0 || superslabs <= memory / SUPERSLAB_BYTES) return true;
    struct text t = {.length = 0};
    hak_text_string(&t, "hakmem: prewarm of ");
    hak_text_decimal(&t, superslabs);
    hak_text_string(&t,
                    " superslabs (2 MiB each) is more than the memory there is; nothing done\n");
    hak_text_write(&t, STDERR_FILENO);
    return false;
}

/* The classes are the same in every mode; only when the pages come differs. */
static bool prewarm(unsigned k, unsigned count, enum prewarm_mode mode) {
    if (count == 0) return true;
    unsigned c = size_class_of((size_t)8 << k);
    bool ok = true;
    if (!front_enter()) return false;
    if (mode == PREWARM_START) ok = hak_shared_pool_prewarm(c, count);
    if (mode == PREWARM_LAZY) hak_shared_pool_prewarm_lazily(c, count);
    if (mode == PREWARM_ADAPTIVE) hak_shared_pool_prewarm_adaptively(c, count);
    front_leave();
    if (!ok) errno = ENOMEM;
    return ok;
}

static bool prewarm_all(const unsigned *counts, enum prewarm_mode mode) {
    uint64_t all = 0;
    for (unsigned k = 0; k < HAK_SS_PREWARM_CLASSES; k++) {
        if (!in_range(k, counts[k])) return false;
        all += counts[k];
    }
    if (all == 0) return true;
    if (mode != PREWARM_ADAPTIVE && !fits_memory(all)) return false;
    for (unsigned k = 0; k < HAK_SS_PREWARM_CLASSES; k++) {
        if (!prewarm(k, counts[k], mode)) return false;
    }
    return true;
}

bool hak_ss_prewarm_class(unsigned k, unsigned count) {
    return in_range(k, count) && fits_memory(count) && prewarm(k, count, PREWARM_START);
}

bool hak_ss_prewarm_all(const unsigned counts[HAK_SS_PREWARM_CLASSES]) {
    return prewarm_all(counts, PREWARM_START);
}

bool hak_ss_prewarm_init(void) {
    unsigned counts[HAK_SS_PREWARM_CLASSES];
    for (unsigned k = 0; k < HAK_SS_PREWARM_CLASSES; k++) {
        uint64_t own = hak_options.prewarm_class[k];
        counts[k] = (unsigned)(own != 0 ? own : hak_options.prewarm_superslabs);
    }
    return prewarm_all(counts, (enum prewarm_mode)hak_options.prewarm_mode);
}
