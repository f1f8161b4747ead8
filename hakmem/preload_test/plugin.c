/* A shared object that allocates when it is loaded and frees when it is unloaded. */
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 300 };

static char *blocks[BLOCKS];
static __thread char *of_this_thread;

__attribute__((constructor)) static void load(void) {
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(i * 37);
        memset(blocks[i], 7, i * 37);
    }
}

/* A block of SIZE bytes that the caller frees, after freeing one of the plugin's own. */
void *plugin_take(size_t size) {
    free(of_this_thread);
    of_this_thread = malloc(size);
    return calloc(1, size);
}

__attribute__((destructor)) static void unload(void) {
    for (size_t i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
    }
    free(of_this_thread);
}
