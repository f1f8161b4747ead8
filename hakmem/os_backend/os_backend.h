/* Address space from the kernel: the only layer that makes memory system calls.
 *
 * States of an address range, and the calls that move it:
 *
 *      none --map--> clean (no pages, reads as zero) --touch--> resident
 *      resident --purge--> clean            clean or resident --unmap--> none
 *
 * What hak_os_map gives counts as resident against the budget (budget.h), until it is unmapped or
 * discarded; what hak_os_reserve gives is for its user to count.
 * Every call reports failure by its return value and then has changed nothing. All keep errno. */
#ifndef HAKMEM_OS_BACKEND_OS_BACKEND_H_
#define HAKMEM_OS_BACKEND_OS_BACKEND_H_

#include "hakmem/base/base.h"

enum os_call { OS_MAP, OS_UNMAP, OS_PURGE, OS_POPULATE, OS_REMAP, OS_HUGE, OS_META };

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes in an OS page, read at run time. */
size_t hak_os_page_bytes(void);

/* A clean range of `bytes` (a multiple of the page size) aligned to `align` (a power of two,
 * at least a page). NULL when the kernel refuses, or the budget. */
void *hak_os_map(size_t bytes, size_t align);
bool hak_os_unmap(void *base, size_t bytes);
/* The same without counting: address space that is cut up and used bit by bit. At a random place,
 * also where the kernel does not randomise, or behind the last one. */
void *hak_os_reserve(size_t bytes, size_t align);
bool hak_os_release(void *base, size_t bytes);
/* Unmaps a range that nobody will ask for again, now or later: what the kernel will not unmap (the
 * process is out of mappings) loses its pages but the first, and waits; where nothing else can be
 * mapped, it is mapped again. Lock-free. */
void hak_os_discard(void *base, size_t bytes);
/* Unmaps what waits, as far as the kernel does; not `all`: only until it first refuses. Unmapping
 * with success tries so, and a map that fails tries all. True when any went. */
bool hak_os_retry_discarded(bool all);
/* In a forked child, where no other thread is left that might have been at it. */
void hak_os_discard_fork_child(void);
/* Bytes that wait. */
size_t hak_os_discarded_bytes(void);
/* Gives the pages back; the range reads as zero afterwards. False when pages may remain
 * (mlocked memory): then their contents remain too. */
bool hak_os_purge(void *base, size_t bytes);
/* Has every access to the pages fault, or opens them again. */
bool hak_os_protect(void *base, size_t bytes, bool closed);
/* From a page on: zeros. Where the middle is not there it writes where pages are, and leaves none
 * where there are none, by CLEAR_STEP_BYTES. */
void hak_os_clear(void *base, size_t bytes);
/* Makes the pages resident in one call. False when the kernel cannot. */
bool hak_os_populate(void *base, size_t bytes);
/* So much of the range (whole pages) is resident; 0 too where the kernel does not say. */
size_t hak_os_resident_bytes(const void *base, size_t bytes);
/* Some page of 64 KiB around the middle of the range is there. */
bool hak_os_has_middle(const void *base, size_t bytes);
/* Grows or shrinks a mapping where it is. */
bool hak_os_resize(void *base, size_t from_bytes, size_t to_bytes);
/* Asks for huge pages from now on, where the kernel has them. False: it has none. */
bool hak_os_ask_huge(void *base, size_t bytes);
/* Drops the kernel's tables of small pages, of which none are left there: a kernel with
 * CONFIG_PT_RECLAIM does, if the range is told in one call; then there is room for huge pages. */
void hak_os_drop_tables(void *base, size_t bytes);
/* Asks for none from now on. */
void hak_os_refuse_huge(void *base, size_t bytes);
/* The same, and makes the one at `base`, if there is one, small pages: else what is purged of it
 * would not come free. */
void hak_os_split_huge(void *base, size_t bytes);
/* The kernel gives huge pages to who asks for them, and the options leave that to the allocator. */
bool hak_os_has_huge(void);
/* Moves a mapping's pages to `to`, a range of `to_bytes` that hak_os_map gave and nobody has
 * touched. False: nothing was moved, and `to` is unmapped: the kernel may do that before it fails,
 * and then the range may be anyone's already. */
bool hak_os_move(void *base, size_t from_bytes, void *to, size_t to_bytes);

/* Bytes of address space that the process may have; SIZE_MAX: no limit. */
size_t hak_os_address_space_limit(void);

/* Zeroed memory for metadata, aligned to 64 bytes, never given back: its users recycle records
 * themselves. It lies between guard pages, as long as the process has mappings for them.
 * Lock-free, so usable from anywhere. NULL when refused. */
void *hak_os_meta_alloc(size_t bytes);
/* Address space taken for metadata, bytes. */
size_t hak_os_meta_bytes(void);
/* Bytes given back by purge and unmap, ever. */
uint64_t hak_os_purged_bytes(void);

/* 64 random bits from the kernel; never 0. */
uint64_t hak_os_random(void);

/* Test hook: asked before each call; true makes that call fail as if the kernel had refused. */
typedef bool (*os_fault_fn)(enum os_call call);
void hak_os_set_fault(os_fault_fn fault);
/* Test hook, before the first use: pages are of so many bytes, a multiple of the kernel's. */
void hak_os_set_page_bytes(size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
