#include "hakmem/base/door.h"

#include <errno.h>

#include "hakmem/base/futex.h"

#ifdef HAK_INTERLEAVE
static bool fence_all_threads(void) { return true; }
#else
#include <linux/membarrier.h>

static long membarrier(int command) { return syscall(SYS_membarrier, command, 0, 0); }

static bool fence_all_threads(void) {
    static uint32_t refused;
    if (load_relaxed(&refused) != 0) return false;
    bool done = membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0;
    /* A process must say first that it will. */
    if (!done && errno == EPERM) {
        done = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0 &&
               membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0;
    }
    if (!done) store_relaxed(&refused, 1u);
    return done;
}
#endif

void hak_door_wait(struct door *door) {
    int saved = errno;
    while (load_acquire(&door->guest) != 0) futex_wait(&door->guest, 1);
    errno = saved;
}

void hak_door_end_visit(struct door *door) {
    int saved = errno;
    /* Release: the owner sees what was done. */
    store_release(&door->guest, 0u);
    futex_wake(&door->guest);
    errno = saved;
}

bool hak_door_visit(struct door *door) {
    uint32_t none = 0;
    if (load_relaxed(&door->busy) != 0 || !cas_acq_rel(&door->guest, &none, 1u)) return false;
    int saved = errno;
    bool fenced = fence_all_threads();
    errno = saved;
    /* Acquire pairs with door_leave. */
    if (fenced && load_acquire(&door->busy) == 0) return true;
    hak_door_end_visit(door);
    return false;
}
