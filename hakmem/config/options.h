/* HAKMEM_* options: parsed once at start, without allocating. Until then the defaults hold. */
#ifndef HAKMEM_CONFIG_OPTIONS_H_
#define HAKMEM_CONFIG_OPTIONS_H_

#include "hakmem/base/base.h"

#define PREWARM_CLASSES 8

enum mode { MODE_DEFAULT, MODE_FAST, MODE_SIGNALS, MODE_SAFE, MODE_DEBUG };
enum thp { THP_DEFAULT, THP_ALWAYS, THP_NEVER };
enum prewarm_mode { PREWARM_START, PREWARM_LAZY, PREWARM_ADAPTIVE };
enum on_error { ON_ERROR_ABORT, ON_ERROR_REPORT };

struct options {
    uint64_t mode;                           /* enum mode */
    uint64_t quarantine_kb;                  /* freed blocks that wait in safe mode, KiB */
    uint64_t on_error;                       /* enum on_error */
    uint64_t error_json;                     /* 1: a mistake's line is a JSON object */
    uint64_t stats;                          /* 1: a summary at exit */
    uint64_t warm_pool_stats;                /* 1: the warm pool's table at exit */
    uint64_t warm_pool_size;                 /* slabs with free blocks, a class and thread: 1..12 */
    uint64_t warm_pool_prefill;              /* slabs taken ahead on a miss, at most: 0..12 */
    uint64_t front_max_mb;                   /* caps of all threads' lists, MiB */
    uint64_t superslab_max_cached;           /* empty superslabs in the LRU cache */
    uint64_t superslab_max_memory_mb;        /* their resident bytes, MiB */
    uint64_t superslab_ttl_sec;              /* their age, seconds */
    uint64_t purge;                          /* 0: pages go back when they are asked for only */
    uint64_t large_cache_mb;                 /* pages of freed large blocks that come and go, MiB */
    uint64_t large_cache_calm_mb;            /* of those that are not wanted back fast, MiB */
    uint64_t large_cache_mapped_mb;          /* address space of those without pages, MiB */
    uint64_t large_cache_ttl_sec;            /* their age, seconds */
    uint64_t ss_prefault;                    /* 1: populate a superslab when it is mapped */
    uint64_t ss_lazy_zero;                   /* 1: purge superslabs as they enter the LRU cache */
    uint64_t limit;                          /* bytes that may be resident; 0: any number */
    uint64_t limit_percent;                  /* when not 0, it counts instead: of what there is */
    uint64_t thp;                            /* enum thp: transparent huge pages */
    uint64_t hugetlb;                        /* 1: regions of the system's huge pages */
    uint64_t mlock;                          /* 1: pages stay in RAM once they are there */
    uint64_t numa;                           /* 1: slabs of each memory node for its threads */
    uint64_t deepbind;                       /* 1: dlopen obeys RTLD_DEEPBIND */
    uint64_t maintenance;                    /* 1: a thread gives back what decays */
    uint64_t maintenance_ms;                 /* from one look of it to the next: 100..60000 */
    uint64_t prewarm_mode;                   /* enum prewarm_mode */
    uint64_t prewarm_superslabs;             /* for every prewarm class */
    uint64_t prewarm_class[PREWARM_CLASSES]; /* for one; overrides the former when not 0 */
};

#ifdef __cplusplus
extern "C" {
#endif
extern struct options hak_options;

/* Reads the environment (`env`: NULL-terminated NAME=VALUE strings; NULL: nothing is set).
 * Neither a number, a name nor a size: a warning and the default. Out of range: a warning and the
 * nearest bound; of prewarming the default. */
void hak_options_parse(char *const *env);
/* Writes the table of options, what is in effect and their ranges, to `fd`. */
void hak_options_print(int fd);
#ifdef __cplusplus
}
#endif

#endif
