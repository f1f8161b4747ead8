/* Who gives memory back. A thread whose request is refused *reclaims*: everything that is free goes
 * back, and the request is tried again. What another thread has in hand at that moment, on its way
 * back (pages that are being purged, a mapping between two lists), is neither free nor in use: the
 * request would be refused though it fits. So
 *
 *   - threads reclaim one at a time, and try again while it is their turn;
 *   - a thread that gives back what no request of its own is about says so, for as long as it has
 *     something in hand: whoever reclaims waits for it;
 *   - while a thread reclaims, no other begins to: it is all being given back anyway.
 *
 * Giving never waits, so it may begin with locks held; reclaiming begins without any, in a slow
 * path, where signal handlers are served aside. */
#ifndef HAKMEM_BASE_RECLAIM_H_
#define HAKMEM_BASE_RECLAIM_H_

#include "hakmem/base/base.h"

#ifdef __cplusplus
extern "C" {
#endif
/* The caller takes free memory in hand until hak_giving_end. False: a thread reclaims, leave it to
 * that one. May be nested. */
bool hak_giving_begin(void);
void hak_giving_end(void);
/* The same, but waits for its turn: for what must be done. No lock may be held, and not nested. */
void hak_giving_wait(void);
/* Waits until nobody else reclaims or has memory in hand. */
void hak_reclaim_begin(void);
/* True: a thread left something to this one, which may have come too late for it. */
bool hak_reclaim_end(void);
/* In a forked child: those who had memory in hand are gone. */
void hak_reclaim_fork_child(void);
#ifdef __cplusplus
}
#endif

#endif
