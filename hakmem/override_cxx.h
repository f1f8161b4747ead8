/* The two ways in which operator new fails. */
#ifndef HAKMEM_OVERRIDE_CXX_H_
#define HAKMEM_OVERRIDE_CXX_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
/* Calls the new-handler until there is memory; throws std::bad_alloc when there is none. */
void *hak_new_or_throw(size_t align, size_t size);
/* The same, but NULL for whatever is thrown, by the handler too. */
void *hak_new_or_null(size_t align, size_t size);
/* The program's operator new, and NULL for whatever it throws. */
void *hak_call_or_null(void *(*allocate)(size_t), size_t size);
#ifdef __cplusplus
}
#endif

#endif
