/* Heaps whose own threads do not come. A thread that allocates first in its last key destructors
 * ends without its heap's being ended: nothing calls hakmem in it any more. A thread that sleeps
 * does not look after what others free into its slabs. Others come across both, a few heaps at a
 * time: they ask the kernel whether the thread is there still, and visit those that sleep. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hakmem/base/clock.h"
#include "hakmem/base/reclaim.h"
#include "hakmem/tls_front/heaps.h"

/* In a child that was made past our fork handlers they are the parent's still: there the heap of
 * another process is nobody's to take. */
void hak_heap_set_thread(struct heap *heap) {
    heap->process = (int32_t)getpid();
    heap->thread = (int32_t)syscall(SYS_gettid);
    heap->refills_seen = UINT64_MAX; /* not looked at yet */
}

/* Of this thread the kernel says that it is there, or what it says counts for nothing. */
static bool has_gone(int32_t process, int32_t thread, int32_t mine) {
    return syscall(SYS_tgkill, process, thread, 0) == -1 && errno == ESRCH &&
           syscall(SYS_tgkill, process, mine, 0) == 0;
}

static bool is_left(const struct heap *heap, int32_t process, int32_t mine) {
    if (!heap->in_use || heap == hak_front.heap || heap->process != process) return false;
    /* Where the kernel does not tell who is who (a filter of system calls) nobody is known to be
     * gone. */
    if (heap->thread <= 0 || mine <= 0) return false;
    /* A thread has one heap: the number is a later thread's, which is this one. */
    bool gone = heap->thread == mine || has_gone(process, heap->thread, mine);
    /* One that was stopped in a slow path by force leaves it as it is. */
    return gone && load_acquire(&heap->door.busy) == 0 && load_acquire(&heap->door.guest) == 0;
}

/* The next heap in turn; there is one. */
static struct heap *look_at_next(void) {
    struct heap *heap = hak_heaps.looked_at;
    heap = heap == NULL || heap->next_all == NULL ? hak_heaps.all : heap->next_all;
    hak_heaps.looked_at = heap;
    return heap;
}

/* Among the next `most` heaps. */
static struct heap *find_left(unsigned most) {
    int saved = errno;
    int32_t process = (int32_t)getpid(), mine = (int32_t)syscall(SYS_gettid);
    struct heap *found = NULL;
    for (unsigned n = 0; n < most && n < hak_heaps.made && found == NULL; n++) {
        struct heap *heap = look_at_next();
        if (is_left(heap, process, mine)) found = heap;
    }
    errno = saved;
    return found;
}

struct heap *hak_heap_find_left(void) {
    struct heap *heap = find_left(HEAPS_AT_A_START);
    if (heap != NULL || hak_heaps.made < hak_heaps.look_at_all) return heap;
    heap = find_left(UINT_MAX);
    /* None is left: so many threads there are. */
    if (heap == NULL) hak_heaps.look_at_all = hak_heaps.made < 8 ? 16 : 2 * hak_heaps.made;
    return heap;
}

/* This thread's for the moment; a child that is forked meanwhile trusts no list of it. */
static void take_over(struct heap *heap) {
    hak_heap_set_thread(heap);
    door_enter(&heap->door);
}

static void end(struct heap *heap) {
    hak_heap_flush_lists(heap);
    hak_warm_pool_trim(&heap->warm);
    hak_warm_pool_release(&heap->warm);
    lock_acquire(&hak_heaps.lock);
    hak_heap_retire(heap);
    lock_release(&hak_heaps.lock);
}

/* Something waits for a thread that made no refill for a while, or for any. Not for this one: it
 * is behind its own door. */
static bool begin_visit(struct heap *heap, bool all, uint64_t now) {
    if (!heap->in_use) return false;
    uint64_t refills = load_relaxed(&heap->refills);
    if (refills != heap->refills_seen) heap->seen_ms = now;
    heap->refills_seen = refills;
    bool sleeps = (int64_t)(now - heap->seen_ms) >= HEAP_SLEEPS_MS;
    if (!(all || sleeps) || load_relaxed(&heap->warm.owner.pending) == NULL) return false;
    return hak_door_visit(&heap->door);
}

void hak_front_tend(unsigned most, bool all) {
    int saved = errno;
    int32_t process = (int32_t)getpid(), mine = (int32_t)syscall(SYS_gettid);
    uint64_t now = clock_ms();
    lock_acquire(&hak_heaps.lock);
    if (most > hak_heaps.made) most = hak_heaps.made;
    for (unsigned n = 0; n < most; n++) {
        struct heap *heap = look_at_next();
        bool left = is_left(heap, process, mine);
        if (left) take_over(heap);
        bool visits = !left && begin_visit(heap, all, now);
        if (!left && !visits) continue;
        lock_release(&hak_heaps.lock);
        if (left) {
            end(heap);
        } else {
            hak_warm_pool_trim(&heap->warm);
            hak_door_end_visit(&heap->door);
        }
        lock_acquire(&hak_heaps.lock);
    }
    lock_release(&hak_heaps.lock);
    errno = saved;
}

void hak_front_tend_some(void) {
    if (!hak_giving_begin()) return;
    hak_front_tend(HEAPS_AT_A_TICK, false);
    hak_giving_end();
}

void hak_front_give_back(void) {
    hak_front_tend(UINT_MAX, true);
    hak_front_drain_transfer();
    hak_front_flush();
}
