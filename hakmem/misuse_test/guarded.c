/* What only safe and debug mode notice: blocks that fit their class, and bytes that nobody looks at
 * in the default mode. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>

#include "hakmem/misuse_test/cases.h"

static void write_behind(size_t size) {
    char *block = hidden = malloc(size);
    memset(block, 1, size);
    block[size] = 1;
    free_hidden(block);
}

static void by_a_byte(void) { write_behind(50); }
static void of_medium(void) { write_behind(MEDIUM); }
static void of_large(void) { write_behind(LARGE - 100); }
static void of_nothing(void) { write_behind(0); }

static void at_realloc(void) {
    char *block = hidden = malloc(50);
    block[52] = 1;
    hidden = realloc(block, 5000);
}

static void write_late(size_t size, size_t at) {
    char *block = hidden = malloc(size);
    free_hidden(block);
    block[at] = 1;
}

static void late(void) { write_late(SMALL, 40); }
static void late_at_end(void) { write_late(SMALL, SMALL - 1); }
static void late_medium(void) { write_late(MEDIUM, 20000); }

static void late_after_realloc(void) {
    char *block = hidden = malloc(SMALL);
    hidden = realloc(block, MEDIUM);
    block[40] = 1;
}

static void *made_by(const char *name, size_t size) {
    void *(*function)(size_t);
    *(void **)&function = dlsym(RTLD_DEFAULT, name);
    if (function == NULL) exit(CANNOT);
    return function(size);
}

static void ended_by(const char *name, void *block) {
    void (*function)(void *);
    *(void **)&function = dlsym(RTLD_DEFAULT, name);
    if (function == NULL) exit(CANNOT);
    hidden = block;
    function(hidden);
}

static void free_of_one(void) { free_hidden(made_by("_Znwm", SMALL)); }
static void free_of_array(void) { free_hidden(made_by("_Znam", SMALL)); }
static void delete_of_malloc(void) { ended_by("_ZdlPv", malloc(SMALL)); }
static void delete_array_of_malloc(void) { ended_by("_ZdaPv", malloc(SMALL)); }
static void delete_array_of_new(void) { ended_by("_ZdaPv", made_by("_Znwm", SMALL)); }
static void delete_of_array(void) { ended_by("_ZdlPv", made_by("_Znam", SMALL)); }
static void realloc_of_one(void) { hidden = realloc(made_by("_Znwm", SMALL), 5000); }

static void size_of_same_class(void) {
    void (*function)(void *, size_t);
    *(void **)&function = dlsym(RTLD_DEFAULT, "free_sized");
    if (function == NULL) exit(CANNOT);
    function(malloc(60), 59);
}

#define BEHIND "heap overflow"
#define LATE "corrupted free block"
#define FREE "mismatched free"
#define DELETE "mismatched operator delete"

const struct misuse guarded[] = {
    {"overflow_by_a_byte", by_a_byte, NULL, BEHIND},
    {"overflow_of_block_of_0_bytes", of_nothing, NULL, BEHIND},
    {"overflow_of_medium_block_by_a_byte", of_medium, NULL, BEHIND},
    {"overflow_of_large_block_by_a_byte", of_large, NULL, BEHIND},
    {"overflow_seen_by_realloc", at_realloc, NULL, BEHIND},
    {"late_write_far_into_freed_block", late, NULL, LATE},
    {"late_write_to_last_byte_of_freed_block", late_at_end, NULL, LATE},
    {"late_write_far_into_freed_medium_block", late_medium, NULL, LATE},
    {"late_write_to_what_realloc_moved", late_after_realloc, NULL, LATE},
    {"free_of_what_new_gave", free_of_one, NULL, FREE},
    {"free_of_what_new_array_gave", free_of_array, NULL, FREE},
    {"delete_of_what_malloc_gave", delete_of_malloc, NULL, DELETE},
    {"delete_array_of_what_malloc_gave", delete_array_of_malloc, NULL, DELETE "\\[\\]"},
    {"delete_array_of_what_new_gave", delete_array_of_new, NULL, DELETE "\\[\\]"},
    {"delete_of_what_new_array_gave", delete_of_array, NULL, DELETE},
    {"realloc_of_what_new_gave", realloc_of_one, NULL, "mismatched realloc"},
    {"free_sized_of_a_byte_too_little", size_of_same_class, NULL, "wrong size in free_sized"},
    {0},
};
