/* hakmem: a general-purpose memory allocator for Linux. The only public header.
 *
 * Two ways to use it:
 *   - as a drop-in: preload or link libhakmem.so, and malloc, free, ... are hakmem's;
 *   - as a library: link //hakmem:hakmem and call hak_*, beside the C library's own malloc.
 *
 * Contracts that hold for every function:
 *   sizes     bytes, size_t; a size above PTRDIFF_MAX is refused as out of memory.
 *   alignment every block is aligned to 16 bytes at least.
 *   errors    out of memory: NULL and errno = ENOMEM; nothing else changes.
 *             A misuse that is noticed: one line on stderr that begins "hakmem: ", then SIGABRT
 *             (hak_set_error_handler below and HAKMEM_ON_ERROR change that).
 *   threads   every function may be called from any thread; a block may be freed by any thread.
 *   signals   no call deadlocks in a signal handler. In the default mode a handler that
 *             interrupts malloc or free of the same thread must not allocate or free; with
 *             HAKMEM_MODE=signals, safe or debug it may, at any instruction (docs/design.md).
 *   errno     hak_free and hak_free_* leave it as it was. */
#ifndef HAKMEM_HAKMEM_H_
#define HAKMEM_HAKMEM_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HAK_API __attribute__((visibility("default")))

/* ---- Blocks ---------------------------------------------------------------------------- */

/* A block of at least `size` bytes, contents undefined. `size` 0 gives a unique block that
 * may be freed. NULL and ENOMEM when there is no memory. */
HAK_API void *hak_malloc(size_t size);

/* A block of `count * size` zero bytes; an overflow of the product is ENOMEM. */
HAK_API void *hak_calloc(size_t count, size_t size);

/* Resizes `block` to `size` bytes and keeps the first min(old, new) bytes; may move it.
 * NULL `block`: as hak_malloc(size). `size` 0: frees `block` and returns NULL, as glibc does.
 * On failure: NULL and ENOMEM, and `block` stays as it was. */
HAK_API void *hak_realloc(void *block, size_t size);

/* hak_realloc(block, count * size), where an overflow of the product is ENOMEM. */
HAK_API void *hak_reallocarray(void *block, size_t count, size_t size);

/* Gives `block` back. NULL is ignored. */
HAK_API void hak_free(void *block);

/* Gives `block` back; `size` is what it was asked for with (C23 free_sized). */
HAK_API void hak_free_sized(void *block, size_t size);

/* Gives `block` back; `alignment`, `size` are what it was asked for with (C23). NULL is ignored:
 * it is what an alignment that is none was given. */
HAK_API void hak_free_aligned_sized(void *block, size_t alignment, size_t size);

/* A block of `size` bytes at a multiple of `alignment`, a power of two; else NULL and EINVAL. */
HAK_API void *hak_aligned_alloc(size_t alignment, size_t size);

/* As POSIX: 0, EINVAL or ENOMEM; `*out` is written on success only; errno is left alone. */
HAK_API int hak_posix_memalign(void **out, size_t alignment, size_t size);

/* Bytes of `block` that may be used: at least what was asked for, the same at every call, at most
 * n + n/3 + an OS page, where n is that, rounded up to the alignment; where realloc left the block
 * in its place, at most 2 n + an OS page. NULL gives 0. */
HAK_API size_t hak_usable_size(const void *block);

/* ---- Memory kept and given back -------------------------------------------------------- */

/* Gives free memory back to the system, all but `keep` bytes in all: the caller's front, the chains
 * in transit, the shared pool's empty slabs (prewarmed ones too), the cached mappings. Returns true
 * if any went back. */
HAK_API bool hak_trim(size_t keep);

/* Gives up the caller's front (the thread's own stock of free blocks and slabs) to be used by
 * others at once. For threads that go idle. The thread may go on allocating afterwards. */
HAK_API void hak_thread_idle(void);

/* Has `callback` called when a request cannot be served, before it fails with NULL and ENOMEM: for
 * want of memory or address space, or because of HAKMEM_LIMIT. All that is free was given back by
 * then. `bytes` is what was asked for. NULL takes it back. Returns the callback before.
 *
 * It runs in the thread that asked, outside the allocator, with none of its locks held: it may free
 * (caches of its own, say), trim, and allocate; a request of its own that fails does so without
 * asking again. True: it made room, and the request is tried again; it is asked again if that
 * fails, so it must return false in the end. It must return, and keep in mind which locks of the
 * program the thread may hold. Not called in signal handlers that interrupt the allocator. */
typedef bool (*hak_limit_callback)(size_t bytes);
HAK_API hak_limit_callback hak_set_limit_callback(hak_limit_callback callback);

/* Prewarm: takes superslabs ahead of need. `k` names a block size of 8 << k bytes, 0 <= k < 8;
 * `count` is in superslabs' worth of slabs (2 MiB each), at most 4096 a class.
 * Returns false, warns on stderr and prewarms nothing when `k` or `count` is out of range, or when
 * that is more than the memory that the machine or the cgroup has;
 * returns false with ENOMEM when memory ran out on the way. */
#define HAK_SS_PREWARM_CLASSES 8
HAK_API bool hak_ss_prewarm_class(unsigned k, unsigned count);
/* hak_ss_prewarm_class for each k with counts[k]. */
HAK_API bool hak_ss_prewarm_all(const unsigned counts[HAK_SS_PREWARM_CLASSES]);
/* Does what HAKMEM_PREWARM_SUPERSLABS and HAKMEM_PREWARM_SUPERSLABS_C<k> ask for, in the way that
 * HAKMEM_PREWARM_MODE says. Called at start; true when nothing was asked for or all was done. */
HAK_API bool hak_ss_prewarm_init(void);

/* ---- Mistakes of the program ----------------------------------------------------------- */

enum hak_error_kind {
    HAK_ERROR_DOUBLE_FREE,         /* the block was freed before */
    HAK_ERROR_INVALID_FREE,        /* no block begins at the address */
    HAK_ERROR_INVALID_REALLOC,     /* realloc of what is no block, or was freed */
    HAK_ERROR_INVALID_USABLE_SIZE, /* the same of usable_size */
    HAK_ERROR_WRONG_SIZE,          /* a size that the block cannot have been asked for with */
    HAK_ERROR_WRONG_ALIGNMENT,     /* the same of an alignment */
    HAK_ERROR_CORRUPTED_BLOCK,     /* a free block was written to */
    HAK_ERROR_OVERFLOW,            /* a block was written to behind what was asked for */
    HAK_ERROR_MISMATCHED_FREE      /* malloc's block to delete, new's to free, new[]'s to delete */
};

/* The thread whose heap has the slab that the block lies in. */
enum hak_owner {
    HAK_OWNER_NONE, /* no slab: a large block, or none of hakmem's */
    HAK_OWNER_THIS_THREAD,
    HAK_OWNER_OTHER_THREAD,
    HAK_OWNER_ENDED_THREAD /* none now: the thread has ended, or gave the slab up */
};

/* What is known of a mistake. Strings are constant and stay. Later versions add fields at the
 * end. */
#define HAK_ERROR_PLACES 4
struct hak_error {
    size_t size;              /* sizeof(struct hak_error) of the library */
    enum hak_error_kind kind; /* what happened */
    enum hak_owner owner;
    int size_class;      /* its number, 0 the smallest; -1: none, or a large block */
    bool large;          /* block is a large block's start */
    const char *what;    /* in words: "double free" */
    const char *advice;  /* what to do next, in words */
    const void *address; /* as the program passed it; of a corrupted free block its own */
    const void *block;   /* start of the block around address; NULL: none is known */
    size_t block_bytes;  /* its usable bytes; 0: none is known */
    /* In debug mode, return addresses of the calls that allocated and freed the block and of their
     * callers, innermost first; NULL where there are no more. */
    const void *allocated_at[HAK_ERROR_PLACES];
    const void *freed_at[HAK_ERROR_PLACES];
};

typedef void (*hak_error_handler)(const struct hak_error *error);

/* Has `handler` called at every mistake that is noticed, after its line is written and before what
 * HAKMEM_ON_ERROR says follows: SIGABRT, or the call goes on as if it had not been made. NULL takes
 * it back. Returns the handler before. May be called at any time, from any thread.
 *
 * The handler runs in the thread that made the mistake, at times inside the allocator, as a signal
 * handler would: it may allocate and free (the calls are served aside), write, read *error, whose
 * life ends with the call, end the process by _exit or abort. Otherwise it must return: not
 * throw, not longjmp, nor wait for other threads. Its own mistakes are
 * reported, and not to itself. */
HAK_API hak_error_handler hak_set_error_handler(hak_error_handler handler);

/* ---- Statistics ------------------------------------------------------------------------ */

/* Where a slab came from, cheapest first. Superslabs of the cache that still have their pages are
 * tried before the purged stage: touching pages anew costs more than any order saves. */
enum hak_stage {
    HAK_STAGE_PARTIAL,  /* a slab of the class that has free blocks */
    HAK_STAGE_RESIDENT, /* an empty slab whose pages are there */
    HAK_STAGE_PURGED,   /* an unused slab of a superslab in use */
    HAK_STAGE_CACHED,   /* a slab of an empty superslab from the LRU cache */
    HAK_STAGE_MAPPED,   /* a slab of a superslab that was just mapped */
    HAK_STAGE_COUNT
};

/* Counts since start, all kept on slow paths. Bytes unless said otherwise. */
struct hak_stats {
    size_t size;             /* sizeof(struct hak_stats), set by the caller: fields that the
                          * caller does not know are not written */
    uint64_t live_bytes;     /* in blocks that the program holds (usable sizes); blocks in other
                          * threads' fronts are counted as held */
    uint64_t front_bytes;    /* in the caller's front */
    uint64_t transfer_bytes; /* in chains in transit between threads */
    uint64_t free_bytes;     /* free blocks inside slabs in use */
    uint64_t resident_free_bytes; /* empty slabs and cached mappings whose pages are kept */
    uint64_t mapped_bytes;        /* address space held for blocks */
    uint64_t metadata_bytes;      /* address space held for metadata */
    uint64_t large_bytes;         /* in large blocks that the program holds */
    uint64_t large_cached_bytes;  /* in cached mappings */
    uint64_t purged_bytes;        /* given back to the system, ever */
    uint64_t superslabs;          /* superslabs mapped now */
    uint64_t superslabs_hot;      /* of these: more than 25 % of the slabs in use */
    uint64_t superslabs_draining; /* at most 25 % */
    uint64_t superslabs_free;     /* none: the LRU cache and what it dropped */
    uint64_t threads;             /* threads that have a heap now */
    uint64_t front_refills;       /* front misses of any kind */
    uint64_t warm_hits;      /* front misses that needed a slab and got it from the warm pool */
    uint64_t warm_misses;    /* front misses that went to the shared pool */
    uint64_t warm_prefilled; /* slabs taken ahead on a miss */
    uint64_t stage[HAK_STAGE_COUNT]; /* slabs handed out by the shared pool, by stage */
    uint64_t counted_bytes;          /* against the limit: slabs with pages, large blocks, cached
                                      * ones too, metadata */
    uint64_t limit_bytes;            /* HAKMEM_LIMIT; 0: none */
};

/* Fills `out`. Returns false and EINVAL when out->size is 0 or too large. */
HAK_API bool hak_stats_get(struct hak_stats *out);
/* Writes a readable summary to the file descriptor `fd` (HAKMEM_STATS=1: at exit, to 2). */
HAK_API void hak_stats_print(int fd);
/* Writes the warm pool's table, a line a size class (HAKMEM_WARM_POOL_STATS=1: at exit). */
HAK_API void hak_stats_print_warm_pool(int fd);
/* Walks every slab and superslab and compares counts with what they count: true when all agree.
 * For tests, while no other thread of the program is in the allocator: the maintenance thread may
 * be. */
HAK_API bool hak_check_counts(void);
/* "hakmem MAJOR.MINOR.PATCH". */
HAK_API const char *hak_version(void);

#ifdef __cplusplus
}
#endif

#endif /* HAKMEM_HAKMEM_H_ */
