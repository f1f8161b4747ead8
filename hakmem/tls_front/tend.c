/* A thread that allocates first in its last key destructors ends without its heap's being ended:
 * nothing calls hakmem in it any more. Others find such heaps, a few at a time, by asking the
 * kernel whether the thread is there still. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hakmem/tls_front/heaps.h"

/* In a child that was made past our fork handlers they are the parent's still: there the heap of
 * another process is nobody's to take. */
void hak_heap_set_thread(struct heap *heap) {
    heap->process = (int32_t)getpid();
    heap->thread = (int32_t)syscall(SYS_gettid);
}

static bool is_left(const struct heap *heap, int32_t process, int32_t mine) {
    if (!heap->in_use || heap == hak_front.heap || heap->process != process) return false;
    /* A thread has one heap: the number is a later thread's, which is this one. */
    bool gone = heap->thread == mine ||
                (syscall(SYS_tgkill, process, heap->thread, 0) == -1 && errno == ESRCH);
    /* One that was stopped in a slow path by force leaves it as it is. */
    return gone && !heap->busy;
}

/* Among the next `most` heaps, in turn. */
static struct heap *find_left(unsigned most) {
    int saved = errno;
    int32_t process = (int32_t)getpid(), mine = (int32_t)syscall(SYS_gettid);
    struct heap *heap = hak_heaps.looked_at, *found = NULL;
    for (unsigned n = 0; n < most && n < hak_heaps.made && found == NULL; n++) {
        heap = heap == NULL || heap->next_all == NULL ? hak_heaps.all : heap->next_all;
        if (is_left(heap, process, mine)) found = heap;
    }
    hak_heaps.looked_at = heap;
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

bool hak_front_tend(unsigned most) {
    lock_acquire(&hak_heaps.lock);
    struct heap *heap = find_left(most);
    if (heap != NULL) {
        /* This thread's for the moment; a child that is forked meanwhile trusts no list of it. */
        hak_heap_set_thread(heap);
        heap->busy = true;
    }
    lock_release(&hak_heaps.lock);
    if (heap == NULL) return false;
    hak_heap_flush_lists(heap);
    hak_warm_pool_trim(&heap->warm);
    hak_warm_pool_release(&heap->warm);
    lock_acquire(&hak_heaps.lock);
    hak_heap_retire(heap);
    lock_release(&hak_heaps.lock);
    return true;
}
