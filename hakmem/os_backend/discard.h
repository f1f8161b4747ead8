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
#ifdef __cplusplus
}
#endif

#endif
