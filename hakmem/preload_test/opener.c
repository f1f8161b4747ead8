/* A shared object that opens others, which its own RUNPATH leads to and no other one does. */
#include <dlfcn.h>

void *opener_open(const char *name, int mode);
void *opener_open(const char *name, int mode) {
    void *shared = dlopen(name, mode);
    __asm__ volatile(""); /* no tail call: dlopen's caller is here */
    return shared;
}
