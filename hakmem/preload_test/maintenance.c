/* HAKMEM_MAINTENANCE=1: a program that frees and then only sleeps has given its memory back; the
 * thread takes no signal, has a name, and a forked child has its own. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hakmem/preload_test/check.h"

#define MIB ((size_t)1 << 20)

static void sleep_ms(long ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) != 0) continue;
}

/* A field of /proc/self/task/TASK/status as a number. */
static unsigned long status(const char *task, const char *field, int base) {
    char path[100], line[300];
    snprintf(path, sizeof(path), "/proc/self/task/%s/status", task);
    FILE *f = fopen(path, "r");
    unsigned long n = 0;
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, field, strlen(field)) != 0) continue;
        n = strtoul(line + strlen(field) + 1, NULL, base);
    }
    if (f != NULL) fclose(f);
    return n;
}

/* Threads by the name "hakmem"; the last one's number. */
static int named_threads(char *task, size_t bytes) {
    DIR *tasks = opendir("/proc/self/task");
    int found = 0;
    for (struct dirent *e = readdir(tasks); e != NULL; e = readdir(tasks)) {
        char path[300], name[20] = "";
        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
        FILE *f = fopen(path, "r");
        if (f == NULL) continue;
        if (fgets(name, sizeof(name), f) != NULL && strcmp(name, "hakmem\n") == 0) {
            found++;
            snprintf(task, bytes, "%s", e->d_name);
        }
        fclose(f);
    }
    closedir(tasks);
    return found;
}

/* The thread has started and named itself. */
static int await_thread(char *task, size_t bytes) {
    for (int i = 0; i < 500; i++) {
        int n = named_threads(task, bytes);
        if (n != 0) return n;
        sleep_ms(10);
    }
    return 0;
}

static size_t resident(void) {
    char self[20];
    snprintf(self, sizeof(self), "%d", getpid());
    return status(self, "VmRSS:", 10) * 1024;
}

enum { BLOCKS = 60000, BLOCK_BYTES = 4000 };
static void *blocks[BLOCKS];

/* Memory goes back to `least` although the program makes no call any more. */
static void fill_free_and_sleep(void) {
    size_t before = resident();
    for (int i = 0; i < BLOCKS; i++) memset(blocks[i] = malloc(BLOCK_BYTES), 1, BLOCK_BYTES);
    size_t full = resident();
    for (int i = 0; i < BLOCKS; i++) free(blocks[i]);
    size_t freed = resident(), rest = freed;
    for (int i = 0; i < 1500 && rest > before + 8 * MIB; i++) {
        sleep_ms(20);
        rest = resident();
    }
    dprintf(1, "resident: %zu MiB full, %zu when freed, %zu after a rest, %zu at first\n",
            full / MIB, freed / MIB, rest / MIB, before / MIB);
    CHECK_WITH(full > before + 200 * MIB, "%zu", full);
    CHECK_WITH(rest <= before + 8 * MIB, "%zu MiB", rest / MIB);
}

static void gives_back(void) { fill_free_and_sleep(); }

static void is_named_and_takes_no_signal(void) {
    char task[20] = "";
    CHECK(await_thread(task, sizeof(task)) == 1);
    unsigned long blocked = status(task, "SigBlk:", 16);
    for (int signal = 1; signal < 32; signal++) {
        if (signal == SIGKILL || signal == SIGSTOP) continue;
        CHECK_WITH((blocked >> (signal - 1) & 1) == 1, "signal %d", signal);
    }
}

static void is_there_in_a_forked_child(void) {
    for (int round = 0; round < 20; round++) {
        pid_t child = fork();
        if (child == 0) {
            char task[20];
            if (await_thread(task, sizeof(task)) != 1) _exit(1);
            if (round == 0) fill_free_and_sleep();
            _exit(check_exit_code());
        }
        int how = 0;
        CHECK(child > 0 && waitpid(child, &how, 0) == child);
        CHECK_WITH(how == 0, "round %d: %d", round, how);
    }
}

int main(void) {
    check_group("is_named_and_takes_no_signal", is_named_and_takes_no_signal);
    check_group("gives_back", gives_back);
    check_group("is_there_in_a_forked_child", is_there_in_a_forked_child);
    return check_exit_code();
}
