/* What the program did wrong: completed with what the layers know of the address. */
#ifndef HAKMEM_ERROR_H_
#define HAKMEM_ERROR_H_

#include "hakmem/hakmem.h"

/* Fills block, block_bytes, size_class, large and owner by error->address. Any thread; no lock. */
void hak_error_describe(struct hak_error *error);

#endif
