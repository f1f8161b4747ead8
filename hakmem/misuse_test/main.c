/* Commits one misuse of the allocator; what stops it, and what it then says, is looked at from
 * outside.
 *
 *   misuse NAME    commits it. Exit codes are in cases.h
 *   misuse --list  prints every NAME, the line that it must lead to, and what it begins with
 *                  in safe mode
 *
 * Where nothing stopped it, the program goes on: blocks of all sizes must still be whole. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "hakmem/misuse_test/cases.h"

void *volatile hidden;

static const struct misuse *const FILES[] = {double_frees, addresses, insides,
                                             sizes,        writes,    guarded};

static void *run_it(void *run) {
    void (*function)(void);
    memcpy(&function, &run, sizeof function);
    function();
    return NULL;
}

void in_a_thread(void (*run)(void)) {
    pthread_t thread;
    void *as_data;
    memcpy(&as_data, &run, sizeof run);
    if (pthread_create(&thread, NULL, run_it, as_data) != 0) exit(CANNOT);
    pthread_join(thread, NULL);
}

/* Blocks that overlap would spoil each other's bytes. */
static void go_on(void) {
    enum { BLOCKS = 1000 };
    static unsigned char *blocks[BLOCKS];
    static const size_t SIZES[] = {SMALL, MEDIUM, 16, 1000, RUN, SMALL, 48};
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < BLOCKS; i++) {
            size_t size = SIZES[i % 7];
            blocks[i] = malloc(size);
            if (blocks[i] == NULL) exit(CANNOT);
            memset(blocks[i], i & 255, size);
        }
        for (int i = 0; i < BLOCKS; i++) {
            size_t size = SIZES[i % 7];
            for (size_t at = 0; at < size; at++) {
                if (blocks[i][at] != (i & 255)) _exit(GIVEN_OUT);
            }
        }
        for (int i = 0; i < BLOCKS; i++) free(blocks[i]);
    }
}

int main(int count, char **arguments) {
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    if (count != 2) {
        fputs("usage: misuse NAME | --list\n", stderr);
        return 2;
    }
    int list = strcmp(arguments[1], "--list") == 0;
    for (size_t f = 0; f < sizeof FILES / sizeof FILES[0]; f++) {
        for (const struct misuse *m = FILES[f]; m->name != NULL; m++) {
            if (list) {
                printf("%s\t%s\t%s\n", m->name, m->line != NULL ? m->line : "",
                       m->guarded != NULL ? m->guarded : "");
            } else if (strcmp(arguments[1], m->name) == 0) {
                m->commit();
                go_on();
                _exit(UNNOTICED);
            }
        }
    }
    return list ? 0 : 2;
}
