/* Frees that say a size or an alignment which the block cannot have been asked for with. The names
 * are looked up, as not every C library and not every program has them. */
#define _GNU_SOURCE
#include <dlfcn.h>

#include "hakmem/misuse_test/cases.h"

static void *find(const char *name) {
    void *found = dlsym(RTLD_DEFAULT, name);
    if (found == NULL) exit(CANNOT);
    return found;
}

/* Calls a function of a block and one size, or two. */
static void call(const char *name, void *block, size_t a) {
    void (*function)(void *, size_t);
    *(void **)&function = find(name);
    hidden = block;
    function(hidden, a);
}

static void call2(const char *name, void *block, size_t a, size_t b) {
    void (*function)(void *, size_t, size_t);
    *(void **)&function = find(name);
    hidden = block;
    function(hidden, a, b);
}

static void *block_of_new(size_t size) {
    void *(*function)(size_t);
    *(void **)&function = find("_Znwm");
    return function(size);
}

static char global[256] __attribute__((aligned(64)));

static void too_big(void) { call("free_sized", malloc(SMALL), 65); }
static void too_small(void) { call("free_sized", malloc(1000), 100); }
static void medium(void) { call("free_sized", malloc(MEDIUM), 64); }
static void large(void) { call("free_sized", malloc(LARGE), 2 << 20); }
static void of_global(void) { call("free_sized", global, 64); }
static void inside(void) { call("free_sized", (char *)malloc(SMALL) + 16, 48); }

static void freed(void) {
    hidden = malloc(SMALL);
    void *volatile block = hidden;
    free_hidden(block);
    call("free_sized", block, SMALL);
}

static void aligned_size(void) { call2("free_aligned_sized", aligned_alloc(64, 640), 64, 6400); }
static void aligned_to_3(void) { call2("free_aligned_sized", malloc(SMALL), 3, SMALL); }

static void aligned_to_more(void) {
    char *volatile block = malloc(48);
    uintptr_t at = (uintptr_t)block;
    call2("free_aligned_sized", block, 2 * (at & -at), 48);
}

static void delete_too_big(void) { call("_ZdlPvm", block_of_new(SMALL), 80); }
static void delete_too_small(void) { call("_ZdlPvm", block_of_new(400), 16); }
static void delete_array(void) { call("_ZdaPvm", block_of_new(400), 800); }
static void delete_of_global(void) { call("_ZdlPvm", global, 64); }

static void delete_twice(void) {
    void *volatile block = block_of_new(SMALL);
    call("_ZdlPvm", block, SMALL);
    call("_ZdlPvm", block, SMALL);
}

static void delete_aligned(void) {
    call2("_ZdlPvmSt11align_val_t", aligned_alloc(64, 640), 6400, 64);
}

#define WRONG(what, bytes)                                                               \
    "wrong size in " what ": " IN_CLASS(bytes, THIS) "pass the size that the block was " \
                                                     "asked for with"
#define WRONG_ALIGNMENT(bytes)                                                                 \
    "wrong alignment in free_aligned_sized: " IN_CLASS(bytes, THIS) "pass the alignment that " \
                                                                    "the block was asked for with"

const struct misuse sizes[] = {
    {"free_sized_of_too_much", too_big, WRONG("free_sized", "64")},
    {"free_sized_of_too_little", too_small, WRONG("free_sized", "1024")},
    {"free_sized_of_medium_block_as_small", medium, WRONG("free_sized", "32768")},
    {"free_sized_of_large_block_with_a_third_less", large,
     "wrong size in free_sized: block " AT " \\(no size class, large block of 3145728 bytes\\); "
     "pass the size that the block was asked for with"},
    {"free_sized_of_global", of_global, "invalid free: " IN_NONE ADVICE_FOREIGN},
    {"free_sized_of_block_plus_16", inside, "invalid free: " INSIDE("64", THIS, "16") ADVICE_START},
    {"free_sized_of_freed_block", freed, TWICE("64", THIS)},
    {"free_aligned_sized_of_too_much", aligned_size, WRONG("free_aligned_sized", "640")},
    {"free_aligned_sized_with_no_power_of_two", aligned_to_3, WRONG_ALIGNMENT("64")},
    {"free_aligned_sized_with_another_alignment", aligned_to_more, WRONG_ALIGNMENT("48")},
    {"sized_delete_of_too_much", delete_too_big, WRONG("operator delete", "64")},
    {"sized_delete_of_too_little", delete_too_small, WRONG("operator delete", "416")},
    {"sized_delete_of_array_of_too_much", delete_array, WRONG("operator delete", "416")},
    {"sized_delete_of_global", delete_of_global, "invalid free: " IN_NONE ADVICE_FOREIGN},
    {"sized_delete_twice", delete_twice, TWICE("64", THIS)},
    {"sized_aligned_delete_of_too_much", delete_aligned, WRONG("operator delete", "640")},
    {0},
};
