/* HAKMEM_MAINTENANCE: a thread that gives back in time what nobody wants any more, also while the
 * program does not call. */
#ifndef HAKMEM_MAINTENANCE_H_
#define HAKMEM_MAINTENANCE_H_

#ifdef __cplusplus
extern "C" {
#endif
/* Starts the thread if it is asked for. At start, and in a forked child, which has none. */
void hak_maintenance_start(void);

#ifdef __cplusplus
}
#endif

#endif
