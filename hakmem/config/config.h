/* The numbers that decide, with unit and reason; docs/design.md says where the figures are from.
 * What serves one file alone stands there.
 * Options that the environment sets are in options.h. */
#ifndef HAKMEM_CONFIG_CONFIG_H_
#define HAKMEM_CONFIG_CONFIG_H_

#include "hakmem/base/base.h"

#define KiB ((size_t)1 << 10)
#define MiB ((size_t)1 << 20)
#define GiB ((size_t)1 << 30)

/* Slab: 64 KiB. 32 KiB loses a fifth on trees; 128 KiB wins 4 % and costs memory. */
#define SLAB_SHIFT 16
#define SLAB_BYTES ((size_t)1 << SLAB_SHIFT)
/* Superslab: 2 MiB, the size of a huge page, so that its slabs fit one 32-bit mask. */
#define SUPERSLAB_SHIFT 21
#define SUPERSLAB_BYTES ((size_t)1 << SUPERSLAB_SHIFT)
#define SLABS_PER_SUPERSLAB 32
/* Region: superslabs are cut from mappings so that they merge in the kernel's map. The first is
 * small, as mlockall makes all of it resident; each is twice the one before, up to a bound. Halved
 * down to one superslab where address space is short. */
#define REGION_FIRST_BYTES (8 * MiB)
#define REGION_BYTES (64 * MiB)

/* Smallest block; a free block in a list holds a link and a mark. */
#define BLOCK_MIN 16
/* Blocks of the smallest class in a slab: bits in a slab's bitmap. */
#define SLAB_BLOCKS_MAX (SLAB_BYTES / BLOCK_MIN)

/* User addresses that the registry covers: 47 bits on x86-64, 48 on aarch64. */
#define ADDRESS_BITS HAK_ADDRESS_BITS

/* Front: a class's list holds at most this many bytes and blocks. Small classes (to 1 KiB): what
 * goes over to other threads is to be short: with 64 KiB it takes 1.05 to 1.3 of the time, and 1.8
 * times the memory. Medium ones: with 4 MiB a mix of 1-256 KiB has twice the speed that it has with
 * 1 MiB and less than half of the resident memory, as blocks come back where they were and do not
 * touch other pages. */
#define FRONT_CLASS_BYTES (32 * KiB)
#define FRONT_CLASS_BLOCKS 512
/* In a busy thread the list of a small class grows to so many where blocks swing, or runs of them
 * are freed and allocated, and none go over to other threads. */
#define FRONT_RUN_BYTES (256 * KiB)
#define FRONT_RUN_BLOCKS 4096
#define FRONT_MEDIUM_BYTES (4 * MiB)
#define FRONT_MEDIUM_BLOCKS 16 /* at least */
/* Of blocks longer than that the lists of a thread hold one class, or several with caps of so many
 * bytes together: such a block has a slab of its own, which serves any class. Where sizes are
 * random and blocks are written whole, what is still in the cache is worth more than a list. */
#define FRONT_BIG_FROM (256 * KiB)
#define FRONT_BIG_BYTES (2 * MiB)
#define FRONT_MEDIUM_BATCH 4 /* taken from a slab at once: each has pages of its own */
/* A cold class keeps nothing that was freed. It is warm after its blocks have turned so often, from
 * going out to going in or back, between two sweeps: then its cap doubles at each slow call, to so
 * many bytes; beyond that, only as the flow demands. Blocks are taken ahead up to as many bytes,
 * and go back at the next free. */
#define FRONT_COLD_TURNS 6
#define FRONT_COLD_FREES 64 /* or so many frees, and then blocks again, between two sweeps */
#define FRONT_WARM_BYTES (8 * KiB)
/* Of the first threads, so many, the small classes are warm from the start: what few threads keep
 * is little, and a program that builds something, takes it down and ends is never warm else. */
#define FRONT_WARM_THREADS 2
/* Lists of blocks that share lines are sorted by whose they are, where there are other threads.
 * After so many in a row without another's block, so many are not. */
#define FRONT_OWN_LISTS 4
#define FRONT_OWN_SKIPPED 7
/* A class whose slabs empty, so many at least, has its lists shortened. */
#define FRONT_DRAIN_SLABS 4
/* A class of medium blocks that come and go, or swing between full and empty, has lists of so many
 * blocks and bytes at most; more only as the flow demands. Of a small class: FRONT_CLASS_BYTES. */
#define FRONT_SWING_BLOCKS 16
#define FRONT_SWING_BYTES (256 * KiB)
/* A list that is handed over to other threads again and again grows to so many bytes. */
#define FRONT_OVER_BYTES (256 * KiB)
/* Slow calls of a thread between two looks at the clock, where so many blocks of a list's cap count
 * as one call more; looks, or milliseconds, between two sweeps for classes that rest; a class is
 * cold again when its lists have not changed in FRONT_REST_SWEEPS of them. A thread is busy whose
 * looks bring the next sweep in less than FRONT_BUSY_MS. */
#define FRONT_LOOK_CALLS 16
#define FRONT_LOOK_BLOCKS 32
#define FRONT_SWEEP_LOOKS 256
#define FRONT_BUSY_MS 125
#define FRONT_SWEEP_MS 500
#define FRONT_REST_SWEEPS 2
#define FRONT_REST_MS (FRONT_REST_SWEEPS * FRONT_SWEEP_MS)
/* A thread that ends so soon leaves warm classes, and lists of so many bytes, to the next. */
#define FRONT_BRIEF_MS 125
#define FRONT_LEFT_BYTES (64 * KiB)
/* What nobody wants any more goes back at most so often, in whatever thread looks at the clock. */
#define TICK_MS 100
/* Ticks in which a chain in transit must be wanted, or it goes back. */
#define TICKS_IDLE 8
/* The sum of a thread's caps in bytes. */
#define FRONT_THREAD_BYTES (32 * MiB)
/* What a cap may reach without being counted against the bound that all threads share
 * (HAKMEM_FRONT_MAX_MB). */
#define FRONT_FLOOR_BYTES (1 * KiB)

/* A thread that has no heap serves so many frees aside before it makes one: one that has ended, or
 * never allocated, frees a few at its end, when nothing would end the heap any more. */
#define FRONT_ASIDE_FREES 64
/* A thread that made no refill for so long sleeps: others look after its heap. One that only waits
 * for a core must keep what it has. */
#define HEAP_SLEEPS_MS 1000
/* Heaps whose thread is looked for at each tick, and where a new heap would be made: a system call
 * each. */
#define HEAPS_AT_A_TICK 64
#define HEAPS_AT_A_START 2

/* Smaller blocks share a cache line: those of other threads' slabs are not taken again here. */
#define LINE_BYTES 64

/* Transfer: what a thread freed beyond its need waits here, chain by chain, for one that needs it.
 * Chains and bytes of a class at most (but one chain always), and bytes of all classes. */
#define TRANSFER_CHAINS 16
#define TRANSFER_CLASS_BYTES (512 * KiB)
#define TRANSFER_BYTES (8 * MiB)

/* Empty resident slabs that a thread keeps for any class, at most: one more each time that it wants
 * one back that it gave up. */
#define WARM_EMPTY_SLABS 4
#define WARM_EMPTY_SLABS_OF_ALL 64 /* of all threads */

/* Empty resident slabs that the shared pool hands from thread to thread without its lock. */
#define STOCK_SLABS 32

/* Resident bytes of empty slabs that the shared pool keeps, the stock's included. Where purged
 * slabs are wanted back it keeps so much more, up to the second number, or to such a share of what
 * is in use; to four times that number after each second from BURST_S on in which that goes on,
 * without a pause; and half less of what lies unused from second to second. When no empty slab was
 * wanted for some seconds all that halves each second, down to the last. */
#define RESIDENT_FREE_BYTES (8 * MiB)
#define RESIDENT_EXTRA_BYTES (8 * MiB)
#define RESIDENT_SHARE 4
#define RESIDENT_QUIET 2
#define BURST_S 4
/* Longer than this without a tick, and what went on before is over. */
#define PAUSE_MS 400
#define RESIDENT_QUIET_BYTES (1 * MiB)
/* calloc of a large block that came back asks the kernel which pages are there. Where there are
 * none in so many bytes none come; fewer are not worth a system call. */
#define CLEAR_STEP_BYTES (64 * KiB)
/* Huge pages for small blocks: for a class of which a thread has so many slabs, all of them full,
 * once so much is in use in all. A superslab is then resident as a whole: at most a tenth of what
 * is. 256 MiB of 16-400 B blocks fill in a third of the time. */
#define HUGE_CLASS_SLABS 8
#define HUGE_HEAP_BYTES (20 * MiB)
#define HUGE_BLOCK_MAX (64 * KiB) /* larger ones leave whole pages of theirs untouched */
/* And where programs touch what they are given: so many full slabs of small pages are looked at,
 * in so many superslabs at most, and no greater part of them may be missing. Then so many more
 * superslabs get huge pages before the next look. */
#define HUGE_SAMPLE_SLABS 16
#define HUGE_SAMPLE_SUPERSLABS 64
#define HUGE_UNTOUCHED 11
#define HUGE_TRUSTED 8
/* A huge page that takes longer costs more than the small ones in its place, 2 us each: a virtual
 * machine has to ask its host for it (5 to 7 ms; 0.1 where the host has given it). Then so many
 * superslabs get small pages before another is tried, and twice as many each time, to the most. */
#define HUGE_SLOW_NS 1000000
#define HUGE_PAUSE 16
#define HUGE_PAUSE_MAX 256
/* What a thread holds falls and rises by so much or more, within REFAULT_MS of each other, and so
 * often: then the next fall is expected to be followed by a rise, and what it frees is kept. Not by
 * all threads together: many that take little at once, and fall silent, must leave little. */
#define SWING_BYTES (16 * MiB)
#define SWING_RISES 2
/* Beyond the base, for parts of superslabs of huge pages, until the next tick: so much at least,
 * and such a share of what is in use. What is kept as it was wanted back counts. */
#define RESIDENT_SLACK_BYTES (8 * MiB)
#define RESIDENT_SLACK_SHARE 8
/* Units that a tick purges: a call that only wanted a block must not wait for more. */
#define PURGE_TICK_UNITS 128
/* Slabs of no thread with at most a quarter of their blocks outside lose their empty pages after so
 * many ticks, so many slabs at a tick; again when a sixteenth of their blocks more have come. */
#define SPARSE_TICKS 3
#define SPARSE_TICK_SLABS 128
#define SPARSE_STEPS 16u
/* After address space ran out, empty superslabs are unmapped as they empty for this long. */
#define SCARCE_MS 10000
/* Slabs that are wanted back this soon after a purge widen the bound. */
#define REFAULT_MS 1000

/* Large: blocks above the largest size class have a mapping of their own. Freed ones of at most
 * this size are cached. */
#define LARGE_CACHED_SHIFT 28
#define LARGE_CACHED_MAX ((size_t)1 << LARGE_CACHED_SHIFT)
/* An eighth of it is a multiple of any OS page. */
#define LARGE_COMMON_FROM (1 * MiB)
/* Mappings in the cache with their pages, live ones too, and without. */
#define LARGE_KEPT_ENTRIES 512
#define LARGE_PARKED_ENTRIES 64
/* What one without its pages keeps at either end: two faults there cost 5.6 us of the 6.5 that a
 * malloc and free of it would take. */
#define LARGE_END_BYTES (16 * KiB)
/* A mapping that is wanted back so soon after it was purged is eager: it is kept from then on. All
 * of them keep such a share of HAKMEM_LARGE_CACHE_MB once another is freed that is not, but for as
 * much as is live of them: 512 MiB that are written to and freed again and again must not leave
 * more behind. */
#define LARGE_CALM_SHARE 10
#define LARGE_EAGER_MS 250
/* A kept mapping gives up its room to another that is freed, unless it was itself freed within so
 * many frees that found no room: else two threads would take it from each other. */
#define LARGE_RECENT_TURNS 2
/* Hints that are followed. */
#define LARGE_HINTS 4
/* What was not freed between two ticks is purged. */
#define LARGE_TICK_MS 500
/* Bytes that are purged then, but for the rest of a mapping: a call that only wanted a block must
 * not wait for more. */
#define LARGE_TICK_BYTES (16 * MiB)
/* Where the process may have so much address space only, parked mappings have that part of it. */
#define LARGE_SPACE_SHARE 8
/* Frees of a kept mapping between two looks at the clock for that. */
#define LARGE_TICK_FREES 64
/* A block that grows from here on lies at a multiple of a huge page, and from there on the kernel
 * is asked for them: each saves 512 faults, and what is waste at its end is at most an eighth. */
#define LARGE_ALIGNED_FROM (4 * MiB)
#define LARGE_HUGE_FROM (16 * MiB)
/* Addresses of freed large blocks that are remembered, to call a double free by its name. A power
 * of two. */
#define LARGE_FREED_ENTRIES 256

/* Guarded blocks (safe and debug mode). Of the slack behind what was asked for, so much is filled,
 * and compared; a large block may have megabytes. */
#define GUARD_SLACK_BYTES (4 * KiB)
/* Slack of up to so many bytes is filled and compared by its class, 16 bytes at once. */
#define GUARD_WINDOW_BYTES 128
#define GUARD_CANARY 0xca
#define GUARD_FREED 0xdf
#define GUARD_FRESH 0xce
/* Blocks that wait at the most: 16 bytes each for the note of it. */
#define GUARD_WAITING ((size_t)1 << 16)
/* Bytes that a thread keeps apart before they go there: they stay in its cache. */
#define GUARD_BATCH_BYTES (32 * KiB)
/* A block above that part of the quarantine does not wait: it would drive all others out. */
#define GUARD_WAITING_SHARE 4
/* Of a fresh block, so much is filled in debug mode. */
#define GUARD_FRESH_BYTES (1 * MiB)

#endif
