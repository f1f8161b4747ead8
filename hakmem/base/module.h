/* Addresses of code as a person can look them up. */
#ifndef HAKMEM_BASE_MODULE_H_
#define HAKMEM_BASE_MODULE_H_

#include "hakmem/base/text.h"

/* Of a file's name, bytes that are shown. */
#define MODULE_NAME_SHOWN 40

#ifdef __cplusplus
extern "C" {
#endif
/* Appends "FILE+OFFSET", as /proc/self/maps has it: `addr2line -e FILE OFFSET`; the address itself
 * where that is not to be had. Allocates nothing, takes no lock, keeps errno. */
void hak_text_place(struct text *t, const void *address);
#ifdef __cplusplus
}
#endif

#endif
