/* Heaps: made for threads, recycled after them, taken apart in a forked child. */
#include <string.h>

#include "hakmem/base/clock.h"
#include "hakmem/base/watch.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/tls_front/bin.h"
#include "hakmem/tls_front/cap.h"
#include "hakmem/tls_front/heaps.h"

struct heaps hak_heaps;

static void set_divisor(struct list_pair *list, unsigned c) {
    const struct size_class *sc = &hak_size_class[c];
    list->divisor = UINT32_MAX / sc->block_bytes + 1;
    uint32_t excess = (uint32_t)(list->divisor * sc->block_bytes); /* above 2^32 */
    list->limit = excess == 0 ? list->divisor : excess * sc->capacity;
}

/* A recycled heap, one that its thread left behind, with all that is in it, or a new one; lock
 * held. */
static struct heap *acquire_heap(void) {
    struct heap *heap = hak_heaps.free;
    if (heap != NULL) {
        hak_heaps.free = heap->next_free;
        hak_warm_pool_init(&heap->warm);
        count_add(&hak_heaps.live, 1);
        return heap;
    }
    heap = hak_heap_find_left();
    if (heap == NULL) heap = hak_os_meta_alloc(sizeof(*heap));
    if (heap == NULL || heap->in_use) return heap;
    count_add(&hak_heaps.live, 1);
    if (hak_heaps.random) heap->random = hak_os_random();
    hak_warm_pool_init(&heap->warm);
    hak_caps_init(heap);
    for (unsigned i = 0; i < LISTS; i++) {
        heap->lists.of[i].loaded = heap->lists.of[i].previous = LIST_END;
    }
    for (unsigned c = 0; c < CLASSES; c++) {
        set_divisor(&heap->lists.of[c], c);
        set_divisor(list_freed(&heap->lists, c), c);
    }
    heap->next_all = hak_heaps.all;
    hak_heaps.all = heap;
    hak_heaps.made++;
    return heap;
}

/* Hidden lists: every call takes the slow path, which a signal handler cannot disturb. While a tool
 * watches, every call takes it too: there blocks are shown and hidden. */
static void set_hot(struct heap *heap) {
    struct lists *none = (struct lists *)(uintptr_t)&hak_lists_none;
    store_relaxed(&heap->hot, hak_heaps.hidden || watch_is_on() ? none : &heap->lists);
}

void hak_front_hide(bool hide) {
    if (!front_enter()) return;
    lock_acquire(&hak_heaps.lock);
    hak_heaps.hidden = hide;
    for (struct heap *heap = hak_heaps.all; heap != NULL; heap = heap->next_all) set_hot(heap);
    lock_release(&hak_heaps.lock);
    front_leave();
}

void hak_front_randomise(void) {
    if (!front_enter()) return;
    lock_acquire(&hak_heaps.lock);
    hak_heaps.random = true;
    for (struct heap *heap = hak_heaps.all; heap != NULL; heap = heap->next_all) {
        store_relaxed(&heap->random, hak_os_random());
    }
    lock_release(&hak_heaps.lock);
    front_leave();
}

bool hak_front_start(void) {
    if (!front_enter()) return false;
    /* A signal handler may have made it before this path was entered. */
    if (hak_front.heap == NULL) {
        lock_acquire(&hak_heaps.lock);
        if (hak_heaps.cookie == 0) store_relaxed(&hak_heaps.cookie, COOKIE_OF(hak_os_random()));
        struct heap *heap = acquire_heap();
        if (heap != NULL) {
            hak_heap_set_thread(heap);
            heap->in_use = true;
            memset(heap->own_lists, 0, sizeof(heap->own_lists));
            hak_caps_inherit(heap, clock_ms(), hak_heaps.live <= FRONT_WARM_THREADS);
            door_enter(&heap->door);
            heap->lists.end = (LISTS + 1) << WORD_SCALE;
            heap->lists.cookie = heap->warm.owner.cookie = hak_heaps.cookie;
            set_hot(heap);
            hak_front.heap = heap;
        }
        lock_release(&hak_heaps.lock);
    }
    front_leave();
    return hak_front.heap != NULL;
}

void hak_heap_retire(struct heap *heap) {
    heap->in_use = false;
    door_leave(&heap->door);
    heap->next_free = hak_heaps.free;
    hak_heaps.free = heap;
    count_add(&hak_heaps.live, -1);
}

bool hak_front_is_marked(const void *block) {
    uint64_t cookie = load_relaxed(&hak_heaps.cookie); /* 0: nothing was freed yet */
    return cookie != 0 && block_is_marked(block, cookie);
}

bool hak_front_mark(void *block) {
    uint64_t cookie = load_relaxed(&hak_heaps.cookie);
    if (hak_front.heap == NULL && !load_relaxed(&hak_heaps.without)) {
        store_relaxed(&hak_heaps.without, true);
    }
    /* Whose the address is, is not known yet: only a block's start is written to. */
    struct slab *slab = hak_slab_of(block);
    unsigned w;
    uint64_t bit;
    if (cookie == 0 || slab == NULL || hak_slab_find(slab, block, &w, &bit) != SLAB_OK) return true;
    if (HAK_CHECKS && block_is_marked(block, cookie)) {
        hak_bin_check(SLAB_DOUBLE_FREE, block, load_relaxed(&slab->class_index));
        return false;
    }
    block_link(block, LIST_END, cookie);
    return true;
}

uint64_t hak_front_threads(void) { return load_relaxed(&hak_heaps.live); }

/* To the next thread, if this one was brief: what sleeps keeps more than what it needs. */
static void leave(struct heap *heap, uint64_t now) {
    if (!hak_caps_were_brief(heap, now)) return;
    hak_caps_leave(heap, now);
    if (hak_front_threads() > 1) hak_heap_leave_lists(heap);
}

void hak_front_end(void) {
    struct front *front = &hak_front;
    if (!front_enter()) return;
    struct heap *heap = front->heap;
    if (heap != NULL) {
        leave(heap, clock_ms());
        hak_front_flush();
        hak_warm_pool_release(&heap->warm);
        front->heap = NULL; /* and its lists stay hak_lists_none */
        lock_acquire(&hak_heaps.lock);
        hak_heap_retire(heap);
        lock_release(&hak_heaps.lock);
    }
    /* What comes now, from other destructors, is served aside. */
    front->busy = FRONT_ENDED;
}

void hak_front_stats(struct front_stats *out, unsigned c) {
    memset(out, 0, sizeof(*out));
    lock_acquire(&hak_heaps.lock);
    out->threads = hak_heaps.live;
    for (struct heap *heap = hak_heaps.all; heap != NULL; heap = heap->next_all) {
        out->refills += load_relaxed(&heap->refills);
        for (unsigned i = 0; i < CLASSES; i++) {
            if (c < CLASSES && i != c) continue;
            out->hits += load_relaxed(&heap->warm.classes[i].hits);
            out->misses += load_relaxed(&heap->warm.classes[i].misses);
            out->prefilled += load_relaxed(&heap->warm.classes[i].prefilled);
        }
    }
    lock_release(&hak_heaps.lock);
}

void hak_front_lock(void) { lock_acquire(&hak_heaps.lock); }
void hak_front_unlock(void) { lock_release(&hak_heaps.lock); }

/* A list of a thread that is gone. Its front is walked only if it was not in a slow path: the hot
 * path leaves each list whole at every instruction. But pages are copied one by one while the
 * thread still runs: what has no mark is not followed, and stays out. */
static void free_list(void *head) {
    while (head != LIST_END) {
        if (HAK_CHECKS && !block_is_marked(head, hak_heaps.cookie)) return;
        void *next = block_next(head);
        hak_slab_give_remote(head);
        head = next;
    }
}

static void abandon(struct heap *heap) {
    struct lists *lists = &heap->lists;
    if (heap->door.busy == 0) {
        for (unsigned i = 0; i < LISTS; i++) {
            free_list(lists->of[i].loaded);
            free_list(lists->of[i].previous);
        }
    }
    hak_caps_forget(heap);
    for (unsigned i = 0; i < LISTS; i++) {
        lists->of[i].loaded = lists->of[i].previous = LIST_END;
        list_set_room(&lists->of[i], &heap->use[i], 0);
    }
    heap->door.guest = 0;
    hak_warm_pool_abandon(&heap->warm);
    hak_heap_retire(heap);
}

bool hak_front_fork_child(void) {
    /* Other heaps, or their traces, or those of threads that had none: they purged or freed. */
    if (hak_front.heap != NULL) hak_heap_set_thread(hak_front.heap);
    bool more = hak_heaps.without || hak_shared_pool_is_purging();
    for (struct heap *heap = hak_heaps.all; heap != NULL; heap = heap->next_all) {
        more |= heap != hak_front.heap;
        if (!heap->in_use || heap == hak_front.heap) continue;
        abandon(heap);
    }
    if (!more) return false;
    /* Counts that threads changed in mid-step. */
    hak_caps_recount(hak_front.heap);
    hak_warm_pool_recount(hak_front.heap == NULL ? NULL : &hak_front.heap->warm);
    hak_transfer_recount();
    hak_shared_pool_repair(hak_front.heap == NULL ? NULL : &hak_front.heap->warm.owner);
    return true;
}
