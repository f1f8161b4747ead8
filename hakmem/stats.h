/* Adds up the layers' counts; the public side is in hakmem.h. */
#ifndef HAKMEM_STATS_H_
#define HAKMEM_STATS_H_

#include "hakmem/hakmem.h"

/* Fills every field but `size`. */
void hak_stats_collect(struct hak_stats *out);

#endif
