/* Between the files of os_backend. Internal to the layer. */
#ifndef HAKMEM_OS_BACKEND_DISCARD_H_
#define HAKMEM_OS_BACKEND_DISCARD_H_

#include "hakmem/os_backend/os_backend.h"

/* Ranges that the kernel refuses to unmap, in a row of tries, before it is left for later. */
#define DISCARD_FAILURES 64

#ifdef __cplusplus
extern "C" {
#endif
/* The test hook wants this call to fail. */
bool hak_os_refused(enum os_call call);
/* munmap that keeps errno and counts nothing. */
bool hak_os_unmap_pages(void *base, size_t bytes);
/* hak_os_discard of what nobody has touched, 0 bytes too: it counts nothing. */
void hak_os_discard_untouched(void *base, size_t bytes);
/* A clean range out of those that wait, for when there is no mapping left to make one. What was
 * pushed since the last hak_os_retry_discarded is not looked at. NULL: none fits. */
void *hak_os_take_discarded(size_t bytes, size_t align);
#ifdef __cplusplus
}
#endif

#endif
