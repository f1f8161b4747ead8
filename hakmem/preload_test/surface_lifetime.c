/* Allocation before and after main: an early constructor, late destructors, atexit, and a shared
 * object that comes and goes by dlopen (its path is the first argument; the second is that of one
 * that finds it by its name). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hakmem/preload_test/check.h"

enum { BLOCKS = 500 };

static char *early_blocks[BLOCKS];
static const char *plugin_path, *opener_path;

/* 101 is the first priority a program may use: before every ordinary constructor. */
__attribute__((constructor(101))) static void allocate_before_main(void) {
    for (size_t i = 0; i < BLOCKS; i++) {
        early_blocks[i] = malloc(i * i / 10 + 1);
        CHECK(early_blocks[i] != NULL);
        early_blocks[i][i * i / 10] = (char)i;
    }
}

static void use_every_size(void) {
    for (size_t size = 1; size < 5000000; size = size * 3 / 2 + 1) {
        char *block = malloc(size);
        CHECK_WITH(block != NULL, "size %zu", size);
        block[size - 1] = 1;
        block = realloc(block, size * 2);
        CHECK(block != NULL && block[size - 1] == 1);
        free(block);
    }
}

__attribute__((destructor(101))) static void free_after_main(void) {
    for (size_t i = 0; i < BLOCKS; i++) {
        CHECK(early_blocks[i][i * i / 10] == (char)i);
        free(early_blocks[i]);
    }
    use_every_size();
    dprintf(1, "%s free_after_main\n", check_exit_code() == 0 ? "PASS" : "FAIL");
    if (check_exit_code() != 0) {
        _exit(1);
    }
}

static void load_and_unload_a_plugin(int mode) {
    for (int round = 0; round < 20; round++) {
        void *plugin = dlopen(plugin_path, RTLD_NOW | mode);
        CHECK_WITH(plugin != NULL, "%s", dlerror());
        if (plugin == NULL) {
            return;
        }
        void *(*take)(size_t) = (void *(*)(size_t))dlsym(plugin, "plugin_take");
        char *block = take(1000);
        char *other = take(100000);
        CHECK(block != NULL && other != NULL && block[999] == 0);
        free(other);
        CHECK(dlclose(plugin) == 0);
        memset(block, 1, 1000);
        free(block);
    }
}

static void load_and_unload_a_local_plugin(void) { load_and_unload_a_plugin(RTLD_LOCAL); }

/* It would look into the C library first, and its blocks be another allocator's. */
static void load_and_unload_a_deeply_bound_plugin(void) { load_and_unload_a_plugin(RTLD_DEEPBIND); }

static void find_a_plugin_by_the_callers_runpath(void) {
    static const int modes[] = {RTLD_NOW, RTLD_NOW | RTLD_DEEPBIND};
    CHECK(dlopen("libplugin.so", RTLD_NOW) == NULL);
    void *opener = dlopen(opener_path, RTLD_NOW);
    CHECK_WITH(opener != NULL, "%s", dlerror());
    if (opener == NULL) {
        return;
    }
    void *(*open)(const char *, int) = (void *(*)(const char *, int))dlsym(opener, "opener_open");
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        void *plugin = open("libplugin.so", modes[i]);
        CHECK_WITH(plugin != NULL, "%s", dlerror());
        if (plugin == NULL) {
            return;
        }
        CHECK(dlclose(plugin) == 0);
    }
    CHECK(dlclose(opener) == 0);
}

int main(int count, char **arguments) {
    plugin_path = count > 1 ? arguments[1] : "./libplugin.so";
    opener_path = count > 2 ? arguments[2] : "./libopener.so";
    check_group("use_every_size", use_every_size);
    check_group("load_and_unload_a_local_plugin", load_and_unload_a_local_plugin);
    check_group("load_and_unload_a_deeply_bound_plugin", load_and_unload_a_deeply_bound_plugin);
    check_group("find_a_plugin_by_the_callers_runpath", find_a_plugin_by_the_callers_runpath);
    atexit(use_every_size);
    return check_exit_code();
}
