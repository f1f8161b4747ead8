/* One slab's free state, and blocks that other threads free into it.
 *
 *   superslab (2 MiB)  |slab 0|slab 1| ... |slab 31|        blocks only, no header
 *   its record         masks, links, slabs[32], free bits, remote bits   elsewhere, guarded
 *
 * A slab is a run of `span` 64 KiB units cut into equal blocks of one class; the first unit is
 * its head and the others point back to it. A block that is here and free has its bit set, or is
 * in the slab's *free list*: what its owner gives back stays linked, and goes out again as it came.
 * Blocks in motion (in lists and chains) carry a link in their first word and a mark in
 * their second; both stay when a block comes back, so that a write to it is noticed.
 *
 * Invariant: popcount(free) + popcount(remote) + blocks of the free list + out == capacity, where
 * out counts the blocks in the program, in a thread's list or in a chain. Only a slab that a thread
 * owns has a free list.
 *
 * Who writes: the owner's thread everything, but the remote bits and the pending stack, which
 * any thread writes with atomic operations. An orphan's owner is whoever holds the shared pool's
 * lock; a slab in no use belongs to whoever took it out of its superslab or out of the stock.
 * Refuses: choosing slabs, address space. */
#ifndef HAKMEM_SLAB_SLAB_H_
#define HAKMEM_SLAB_SLAB_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"
#include "hakmem/base/list.h"
#include "hakmem/config/config.h"
#include "hakmem/registry/registry.h"
#include "hakmem/size_class/size_class.h"

#define BITMAP_WORDS (SLAB_BLOCKS_MAX / 64)
#define WORDS_A_LINE 4

struct slab;

/* Whoever owns slabs: a thread's warm pool, or the shared pool for orphans. */
struct slab_owner {
    struct slab *pending; /* stack of slabs with remote bits; PENDING_CLOSED: owner is gone */
    uint64_t cookie;      /* what its lists' marks are made of */
};

/* What ends a list of blocks: the address of none, where no mark is. So malloc, which looks at the
 * first block's mark, need not ask whether there is one. */
#define LIST_END (HAK_CHECKS ? (void *)(uintptr_t)hak_list_end : NULL)

#define PENDING_CLOSED ((struct slab *)(uintptr_t)1)

struct slab {
    /* Written by the owner. */
    struct slab_owner *owner; /* atomic */
    struct list owned;        /* in the owner's list of slabs */
    struct list listed;       /* in a list of slabs with free blocks; alone when in none */
    uint16_t out;             /* blocks not in the slab (remote bits count as out until taken) */
    uint16_t capacity;        /* blocks; 0: not a head */
    uint16_t high;            /* blocks from here on were never handed out in this life */
    uint8_t class_index;
    uint8_t span;         /* 64 KiB units; 0: not in use */
    uint8_t index;        /* in the superslab; fixed */
    uint8_t low;          /* no bitmap word below it has a free bit */
    bool orphan;          /* the shared pool owns it; under that one's lock */
    bool checked;         /* some free blocks lost their marks with their pages: its words say so */
    uint16_t epoch;       /* when it was carved: marks are looked at in slabs of this epoch only */
    uint16_t free_listed; /* blocks of the free list */
    uint32_t free_list;   /* where its first one lies, in bytes from the slab's start */
    uint16_t out_seen;    /* `out` when its thread last looked which slabs rest */
    bool unmarked;        /* its list ended, and the marks of its blocks with it */
    /* Written by any thread. */
    struct slab *pending_next __attribute__((aligned(64)));
    uint32_t pending; /* 1 from the push on a pending stack until its collection */
    /* Written by the shared pool, under its lock. */
    uint32_t placed;     /* tick at which it became sparse */
    uint16_t purged_out; /* `out` when pages last went, or the kernel refused; UINT16_MAX: not
                          * in this life */
    /* Written by whoever has the slab while it is in no use (shared_pool/stock.h). */
    struct slab *stock_next;
    bool stocked;
} __attribute__((aligned(64)));

/* What is free of 256 blocks, and what other threads freed of them: one line of the cache. */
struct slab_bits {
    uint64_t free[WORDS_A_LINE];
    uint64_t remote[WORDS_A_LINE];
} __attribute__((aligned(64)));

struct superslab {
    uint32_t used; /* bit i: slab i is carved or being purged */
    /* At no multiple of 8: what looks for leaks finds no pointer to the first block here. */
    char *base __attribute__((packed));
    uint32_t resident;           /* bit i: slab i may have pages */
    uint32_t moving;             /* bit i: its pages are on their way, in or out; no slab has it */
    struct list by_run;          /* bucket of the longest unused run, or the cache, or dropped */
    struct list by_resident_run; /* bucket of the longest unused resident run */
    struct superslab *next;      /* all records ever made, newest first */
    uint8_t run, resident_run;   /* its buckets */
    uint64_t freed_ms;           /* when it became empty */
    bool cached;                 /* in the LRU cache */
    bool mapped;                 /* has address space */
    bool huge;                   /* the kernel is asked for huge pages there */
    bool parted;                 /* pages went in parts, so their tables may be left */
    int8_t node;                 /* memory node that its pages prefer; -1: none */
    uint8_t heads[SLABS_PER_SUPERSLAB]; /* of unit i: index of the head of its run */
    struct slab slabs[SLABS_PER_SUPERSLAB];
    /* The first lines of all slabs, then the second ones: where blocks are 256 bytes and more no
     * page but the first is ever touched. */
    struct slab_bits bits[BITMAP_WORDS / WORDS_A_LINE][SLABS_PER_SUPERSLAB];
};

/* What giving a block back found. */
enum slab_result {
    SLAB_OK,
    SLAB_DOUBLE_FREE, /* the block is free already */
    SLAB_INTERIOR,    /* the address is inside a block, or behind the last one */
    SLAB_NOT_OURS,
    SLAB_CORRUPTED, /* its link or mark was written to since it was freed */
};

#ifdef __cplusplus
extern "C" {
#endif

extern const uint64_t hak_list_end[2];

/* The slab around a block's address; NULL when there is none in use. Any pointer value. */
struct slab *hak_slab_of(const void *address);

/* The slab that was around the address last, for messages; NULL when it is in no superslab. What
 * it was carved for, and how many of its blocks were ever out, still stand in it. */
const struct slab *hak_slab_last_of(const void *address);

/* In a forked child: bits and marks of the slabs that are in use were copied page by page while
 * other threads wrote them, and need not agree. A new epoch begins. */
void hak_slab_forked(void);

/* Makes `slab` a slab of `c` with every block free, owned by `owner`, and sets its words.
 * The units [index, index + span) belong to the caller. */
void hak_slab_carve(struct slab *slab, unsigned c, struct slab_owner *owner);
/* The registry's word of unit `unit` of a slab of class `c`. */
uint32_t hak_slab_word(unsigned c, unsigned unit);
/* Ends that: the words become WORD_UNUSED. All blocks must be here. */
void hak_slab_uncarve(struct slab *slab);
/* Owner: the free blocks between, whole pages of `page` bytes of them, from `offset` on: where the
 * next run begins, and its bytes; 0 when there is none. */
size_t hak_slab_free_pages(const struct slab *slab, size_t offset, size_t page, size_t *bytes);
/* Owner: free blocks may lose their marks from now on: frees into the slab are checked by bits. */
void hak_slab_set_checked(struct slab *slab);
/* Owner: ends that, where no free block lost its mark. A refused purge may have done a part. */
void hak_slab_keep_marks(struct slab *slab);
/* Owner: the marks of free blocks are put back, and the words too. */
void hak_slab_restore_marks(struct slab *slab, uint64_t cookie);
/* Changes the owner. */
void hak_slab_set_owner(struct slab *slab, struct slab_owner *owner);

/* Owner: takes up to `want` blocks as a list linked by first words up to LIST_END, each with the
 * mark of a free block: those of the free list, which may be a few times as many, then by bits,
 * lowest first. Returns how many. A block that was written to since it was freed is reported and
 * stays out for ever; one of the free list that goes out whole, when its turn comes. `cookie` 0:
 * there are no marks. */
unsigned hak_slab_take(struct slab *slab, unsigned want, void **head, uint64_t cookie);
/* The same from a random place on, up to the slab's end and then from its start. `state`:
 * random_next's. */
unsigned hak_slab_take_random(struct slab *slab, unsigned want, void **head, uint64_t cookie,
                              uint64_t *state);
/* Owner: gives one block back. */
enum slab_result hak_slab_give(struct slab *slab, void *block);
/* Owner: gives back the blocks at the start of a list, linked by their first words, that lie in
 * `slab`, to the free list; `count` grows by them. Returns the rest of the list, which starts with
 * the block at fault unless `result` is SLAB_OK. `cookie` 0: there are no marks, and no free list.
 * A block that is in the free list already is found when it goes out, or when the slab empties. */
void *hak_slab_give_list(struct slab *slab, void *head, size_t *count, uint64_t cookie,
                         enum slab_result *result);
/* Owner: the blocks of the free list become bits: before the slab changes hands, or is looked at
 * block by block. From one on that is found doubled or written to, which is reported, they stay out
 * for ever. */
void hak_slab_settle(struct slab *slab);
/* The same in a forked child for a slab whose owner is gone: what it left in mid-step stays out. */
void hak_slab_settle_forked(struct slab *slab);
/* Owner: no block is out, and none is in the free list in another's place. True: the list's life
 * ends, and nothing but hak_slab_uncarve may follow. */
bool hak_slab_end_list(struct slab *slab);
/* Where the bit of a block of `slab` is: word and bit. SLAB_OK or SLAB_INTERIOR. */
enum slab_result hak_slab_find(const struct slab *slab, const void *block, unsigned *w,
                               uint64_t *bit);
/* Any thread: the block of the bit is in its slab, not the program's. Exact for a block that the
 * program holds. */
bool hak_slab_has(const struct slab *slab, unsigned w, uint64_t bit);
/* Any thread: gives the blocks of `bits` of word `w` back to a slab, whoever owns that, and tells
 * the owner. Returns the bits of those that were free already. */
uint64_t hak_slab_give_remote_bits(struct slab *slab, unsigned w, uint64_t bits);
/* Any thread: the same for one block. */
enum slab_result hak_slab_give_remote(void *block);
/* Owner: merges the remote bits. Returns how many came. Leaves the pending flag alone: it says
 * that the slab is on a stack, and only who popped it from there may clear it, before. */
unsigned hak_slab_collect(struct slab *slab);

/* Takes all of an owner's pending slabs, linked by pending_next. */
struct slab *hak_slab_take_pending(struct slab_owner *owner);
/* Closes the stack; later pushes go to the slab's new owner. Returns what was on it. */
struct slab *hak_slab_close_pending(struct slab_owner *owner);
/* Tells the present owner of `slab` (marked pending) about it. */
void hak_slab_push_pending(struct slab *slab);
/* For a slab that was popped from a pending stack, before its bits are collected. */
void hak_slab_clear_pending(struct slab *slab);
/* For a slab that came off a pending stack whose owner does not own it: hands it on. */
void hak_slab_forward_pending(struct slab *slab);
/* Blocks that are here, by the bits. Exact only while nobody writes them. */
unsigned hak_slab_count_free(const struct slab *slab);
/* Any thread: every block is here, by the bits. Exact only while nobody writes them. */
bool hak_slab_has_all(const struct slab *slab);
/* The invariant holds, and the registry says the same of its units. Owner, quiescent. */
bool hak_slab_agrees(const struct slab *slab);
/* Aborts in debug builds unless it does. */
void hak_slab_check_invariant(const struct slab *slab);

#ifdef __cplusplus
}
#endif

/* The superslab around an address; NULL: there is none. */
HAK_INLINE struct superslab *superslab_of(const void *address) {
    uintptr_t entry = registry_entry(address);
    return HAK_UNLIKELY(entry == 0) ? NULL
                                    : (struct superslab *)registry_entry_record(entry, address);
}

/* The slab around an address in the superslab; NULL when there is none in use. */
HAK_INLINE struct slab *superslab_slab(struct superslab *ss, const void *address) {
    size_t index = ((uintptr_t)address >> SLAB_SHIFT) & (SLABS_PER_SUPERSLAB - 1);
    size_t head = load_relaxed(&ss->heads[index]);
    struct slab *slab = &ss->slabs[head];
    /* A unit in no use may still name the head of a longer run that it was in. */
    return index - head < load_relaxed(&slab->span) ? slab : NULL;
}

/* hak_slab_of, where blocks go by one after another. */
HAK_INLINE struct slab *slab_of(const void *address) {
    struct superslab *ss = superslab_of(address);
    return HAK_UNLIKELY(ss == NULL) ? NULL : superslab_slab(ss, address);
}

HAK_INLINE struct superslab *slab_superslab(const struct slab *slab) {
    return list_entry(slab - slab->index, struct superslab, slabs);
}

/* Word `w` of the bits of slab `index`. */
HAK_INLINE uint64_t *superslab_free_word(const struct superslab *ss, size_t index, size_t w) {
    return (uint64_t *)&ss->bits[w / WORDS_A_LINE][index].free[w % WORDS_A_LINE];
}
HAK_INLINE uint64_t *superslab_remote_word(const struct superslab *ss, size_t index, size_t w) {
    return (uint64_t *)&ss->bits[w / WORDS_A_LINE][index].remote[w % WORDS_A_LINE];
}

/* hak_slab_give of a slab of that superslab, where blocks go by one after another. */
HAK_INLINE enum slab_result slab_give_one(struct superslab *ss, struct slab *slab,
                                          const void *block) {
    size_t offset = (size_t)((const char *)block - ss->base) - slab->index * SLAB_BYTES;
    size_t index = size_class_index(slab->class_index, offset), w = index / 64;
    size_t bytes = hak_size_class[slab->class_index].block_bytes;
    if (index >= slab->capacity || index * bytes != offset) return SLAB_INTERIOR;
    uint64_t bit = (uint64_t)1 << index % 64, *word = superslab_free_word(ss, slab->index, w);
    uint64_t free = load_relaxed(word);
    if ((free | load_relaxed(superslab_remote_word(ss, slab->index, w))) & bit)
        return SLAB_DOUBLE_FREE;
    store_relaxed(word, free | bit);
    if (w < slab->low) slab->low = (uint8_t)w;
    store_relaxed(&slab->out, (uint16_t)(slab->out - 1));
    return SLAB_OK;
}

HAK_INLINE char *slab_base(const struct slab *slab) {
    return slab_superslab(slab)->base + (size_t)slab->index * SLAB_BYTES;
}

/* An address in the slab's units. */
HAK_INLINE bool slab_has_address(const struct slab *slab, const void *address) {
    return (size_t)((const char *)address - slab_base(slab)) < (size_t)slab->span * SLAB_BYTES;
}

/* What a free block carries in its second word: the sum of a secret cookie, its own address and
 * its link. So it says that the block is free, no other block's mark says so of this one, and a
 * link that was written to is not followed. Free blocks may be hidden (base/watch.h): what is
 * HAK_UNWATCHED alone touches them; block_cookie is for tests. */
HAK_INLINE uint64_t *block_cookie(void *block) { return (uint64_t *)block + 1; }
HAK_UNWATCHED uint64_t block_read_mark(const void *block) { return ((const uint64_t *)block)[1]; }
HAK_UNWATCHED void block_write_mark(void *block, uint64_t mark) { ((uint64_t *)block)[1] = mark; }
HAK_UNWATCHED void *block_next(const void *block) { return *(void *const *)block; }
HAK_UNWATCHED void block_write_next(void *block, void *next) { *(void **)block = next; }
HAK_INLINE uint64_t block_mark(const void *block, const void *next, uint64_t cookie) {
    uintptr_t sum = (uintptr_t)block + (uintptr_t)next;
    hak_opaque(sum); /* one instruction: left alone the compiler makes two of it */
    return sum + cookie;
}
HAK_INLINE bool block_is_marked(const void *block, uint64_t cookie) {
    return block_read_mark(block) == block_mark(block, block_next(block), cookie);
}
HAK_INLINE void block_link(void *block, void *next, uint64_t cookie) {
    block_write_next(block, next);
    block_write_mark(block, block_mark(block, next, cookie));
}

/* `last`: of the list, which has no link yet; NULL: the list is empty. */
HAK_INLINE void block_append(void **head, void *last, void *block, uint64_t cookie) {
    if (last == NULL) {
        *head = block;
    } else {
        block_link(last, block, cookie);
    }
}

/* The first block of the free list. */
HAK_INLINE void *slab_free_list(const struct slab *slab) {
    return slab->free_listed == 0 ? LIST_END : slab_base(slab) + slab->free_list;
}
HAK_INLINE void slab_set_free_list(struct slab *slab, const void *first, unsigned count) {
    if (count != 0) slab->free_list = (uint32_t)((const char *)first - slab_base(slab));
    store_relaxed(&slab->free_listed, (uint16_t)count);
}

/* hak_slab_give_list for a list whose first block lies in the slab, which begins at `base`, where
 * lists go by one after another: up to a block that was written to, or none where the slab would
 * get too many. */
HAK_INLINE void *slab_give_run(struct slab *slab, char *base, void *head, size_t *count,
                               uint64_t cookie) {
    size_t bytes = (size_t)slab->span * SLAB_BYTES;
    unsigned given = 0, out = slab->out, listed = slab->free_listed;
    void *block = head, *last = NULL;
    do {
        if (HAK_UNLIKELY(given == out)) return head; /* more than were out */
        if (HAK_UNLIKELY(HAK_CHECKS && !block_is_marked(block, cookie))) break;
        last = block;
        block = block_next(block);
        given++;
    } while ((size_t)((const char *)block - base) < bytes);
    if (HAK_UNLIKELY(last == NULL)) return block;
    block_link(last, listed == 0 ? LIST_END : base + slab->free_list, cookie);
    slab->free_list = (uint32_t)((char *)head - base);
    store_relaxed(&slab->free_listed, (uint16_t)(listed + given));
    store_relaxed(&slab->out, (uint16_t)(out - given));
    *count += given;
    return block;
}

/* The highest byte of the cookie, and so of every mark: no sum of two addresses reaches it. A look
 * at this byte alone tells most blocks of the program from free ones. It is no byte of text, and
 * that of no common number. */
#define MARK_BYTE 0xa7u
#define COOKIE_OF(random) ((uint64_t)MARK_BYTE << 56 | ((random) & (((uint64_t)1 << 55) - 1)))
HAK_UNWATCHED bool block_may_be_marked(const void *block) {
    return ((const uint8_t *)block)[15] == MARK_BYTE;
}

HAK_INLINE bool slab_has_free(const struct slab *slab) { return slab->out < slab->capacity; }

#endif
