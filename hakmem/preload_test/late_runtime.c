/* A program in C that opens a shared object in C++: the runtime comes late, and for that one alone.
 * operator new fails as it does in a program in C++. */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "check.h"

typedef bool tries(size_t size);

int main(int count, char **arguments) {
    CHECK(dlsym(RTLD_DEFAULT, "_ZSt17__throw_bad_allocv") == NULL);
    void *plugin = dlopen(count > 1 ? arguments[1] : "./liblate_plugin.so", RTLD_NOW | RTLD_LOCAL);
    CHECK(plugin != NULL);
    if (plugin == NULL) return 1;
    static const char *const names[] = {"plugin_throws", "plugin_handles", "plugin_returns_null"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        tries *plugin_tries = (tries *)(uintptr_t)dlsym(plugin, names[i]);
        CHECK(plugin_tries != NULL && plugin_tries((size_t)3 << 46));
    }
    return check_exit_code();
}
