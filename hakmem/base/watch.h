/* What a tool that watches the program's memory is told: Address Sanitizer, where it is compiled
 * in, or Valgrind's memcheck, where the program runs under it. Whose memory it is:
 *
 *      hidden   nobody may touch it: free blocks, and what a block has above what was asked for
 *      shown    a block's bytes, as many as were asked for
 *
 *      UNREAD --first call of the process--> ON    a tool watches
 *                                       '--> OFF   none does
 *
 * While it is ON the lists are hidden from the hot path (tls_front.h), so that every call takes the
 * slow path, where one look at the state leads to watched.c: the hot path knows nothing of it.
 * hakmem itself goes on to keep links and marks in hidden blocks, by HAK_UNWATCHED functions
 * (base.h) for Address Sanitizer, and while memcheck is silenced.
 *
 * The layers' own tests never leave UNREAD: there nothing is hidden. */
#ifndef HAKMEM_BASE_WATCH_H_
#define HAKMEM_BASE_WATCH_H_

#include "hakmem/base/base.h"

enum watch { WATCH_OFF, WATCH_UNREAD, WATCH_ON };

#ifdef __cplusplus
extern "C" {
#endif

/* Read without a step for the explorer of interleavings: it changes once, before all else. */
extern uint32_t hak_watch;

/* A tool watches; finds out at the first call. */
bool hak_watch_find(void);
/* No tool watches, whatever is there: for tests of what a program has otherwise. Before all else.
 */
void hak_watch_never(void);

/* The next five need not know whether a tool watches, and do nothing when none does. */

/* From now on nobody may touch these bytes; or whoever holds the block may, and what is in them
 * is unknown. `from` is a multiple of 8, or lies in the block that was shown last. */
void hak_watch_hide(const void *from, size_t bytes);
void hak_watch_show(const void *from, size_t bytes);
/* The mapping ends: whatever is mapped there next is not ours to hide. */
void hak_watch_forget(const void *from, size_t bytes);
/* hakmem's own words: memcheck follows no pointer that is blurred, when it looks for leaks. */
void hak_watch_blur(const void *from, size_t bytes, bool blurred);
/* Until the calling thread ends its silence, what it does is not looked at. They nest. Of no use
 * under Address Sanitizer, which cannot be silenced. */
void hak_watch_silence(bool silent);

/* While a tool watches. A block of `room` bytes goes out, `bytes` of which were asked for, and all
 * of them zero, if so; it comes back: memcheck says if it is none that went out. */
void hak_watch_goes_out(void *block, size_t bytes, size_t room, bool zero);
void hak_watch_comes_back(void *block);
/* Bytes at `from` that are shown, up to the first that is not. */
size_t hak_watch_shown(const void *from, size_t bytes);

#ifdef __cplusplus
}
#endif

HAK_INLINE bool watch_is_on(void) {
    return HAK_UNLIKELY(__atomic_load_n(&hak_watch, __ATOMIC_RELAXED) == WATCH_ON);
}
/* A tool watches, or it is not known yet. */
HAK_INLINE bool watch_may_be_on(void) {
    return HAK_UNLIKELY(__atomic_load_n(&hak_watch, __ATOMIC_RELAXED) != WATCH_OFF);
}

HAK_INLINE void watch_hide(const void *from, size_t bytes) {
    if (watch_is_on()) hak_watch_hide(from, bytes);
}
HAK_INLINE void watch_show(const void *from, size_t bytes) {
    if (watch_is_on()) hak_watch_show(from, bytes);
}
HAK_INLINE void watch_forget(const void *from, size_t bytes) {
    if (watch_is_on()) hak_watch_forget(from, bytes);
}
HAK_INLINE void watch_silence(bool silent) {
    if (watch_is_on()) hak_watch_silence(silent);
}

#endif
