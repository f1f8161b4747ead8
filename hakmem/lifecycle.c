#include "hakmem/lifecycle.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "hakmem/base/lock.h"
#include "hakmem/base/misuse.h"
#include "hakmem/base/reclaim.h"
#include "hakmem/base/watch.h"
#include "hakmem/config/options.h"
#include "hakmem/error.h"
#include "hakmem/guard/quarantine.h"
#include "hakmem/guarded.h"
#include "hakmem/hakmem.h"
#include "hakmem/large/large.h"
#include "hakmem/limit.h"
#include "hakmem/maintenance.h"
#include "hakmem/os_backend/numa.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/tls_front/tls_front.h"
#include "hakmem/transfer/transfer.h"

extern char **environ;

static struct lock key_lock; /* guards the making of the key */
static pthread_key_t key;
static uint32_t key_ready;

/* ---- Threads -------------------------------------------------------------------------------- */

/* Key destructors run in rounds while one sets its value again. The heap ends in the second, so
 * that the destructors of other keys find it whole in the first. Not later: a thread that makes
 * its heap in a destructor has few rounds left, and a sanitizer's own state ends with the last. */
#define ENDING_ROUND 2

static void thread_ends(void *value) {
    uintptr_t round = (uintptr_t)value;
    if (round < ENDING_ROUND && pthread_setspecific(key, (void *)(round + 1)) == 0) return;
    watch_silence(true);
    hak_guarded_thread_ends();
    hak_front_end();
    watch_silence(false);
}

/* Made by the first thread that needs it: other libraries' constructors may run before ours and
 * start threads. */
static bool key_is_ready(void) {
    if (load_acquire(&key_ready)) return true;
    lock_acquire(&key_lock);
    if (!load_acquire(&key_ready) && pthread_key_create(&key, thread_ends) == 0) {
        store_release(&key_ready, 1u);
    }
    lock_release(&key_lock);
    return load_acquire(&key_ready);
}

void hak_lifecycle_thread_started(void) {
    if (key_is_ready()) pthread_setspecific(key, (void *)(uintptr_t)1);
}

/* ---- Fork ----------------------------------------------------------------------------------- */

/* Forks of this thread that are under way: a signal handler may fork inside one. Only the outermost
 * locks. */
static __thread uint32_t fork_depth __attribute__((tls_model("initial-exec")));
/* Set by prepare when this thread was in no slow path: then it holds all locks. */
static __thread bool fork_locked __attribute__((tls_model("initial-exec")));
static __thread bool fork_entered __attribute__((tls_model("initial-exec")));
/* The process that prepared. What calls itself the parent afterwards may be another one: the child
 * of a fork inside this one, which goes on with it. */
static __thread pid_t fork_process __attribute__((tls_model("initial-exec")));

/* Locks in layer order. A fork from a signal handler inside a slow path takes none: the thread may
 * hold one of them already. */
static void fork_prepare(void) {
    if (fork_depth++ != 0) return;
    /* A slow path, with its lists hidden: other fork handlers, which may come before the locks are
     * given up, are served aside. */
    fork_entered = front_enter();
    fork_locked = fork_entered || hak_front.busy == FRONT_ENDED;
    if (!fork_locked) return;
    fork_process = getpid();
    hak_quarantine_lock();
    hak_front_lock();
    hak_transfer_lock();
    hak_shared_pool_lock();
    hak_large_lock();
}

static void unlock_all(void) {
    hak_large_unlock();
    hak_shared_pool_unlock();
    hak_transfer_unlock();
    hak_front_unlock();
    hak_quarantine_unlock();
}

/* The other threads are gone. No signal handler may free into what is being put right. */
static void go_on_alone(void) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    unlock_all();
    /* A thread that is gone may have been making the key. */
    store_relaxed(&key_lock.state, 0u);
    watch_silence(true);
    hak_os_discard_fork_child();
    hak_reclaim_fork_child();
    if (hak_front_fork_child()) {
        /* Without a heap this thread moves mappings in no slow path, and may be at it: a signal
         * handler forks. */
        if (hak_front.heap != NULL) hak_large_fork_child();
        hak_limit_recount();
    }
    hak_guarded_fork_child();
    watch_silence(false);
    if (fork_entered) front_leave();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    hak_maintenance_start();
}

static void fork_parent(void) {
    if (--fork_depth != 0 || !fork_locked) return;
    if (getpid() != fork_process) {
        go_on_alone();
        return;
    }
    unlock_all();
    if (fork_entered) front_leave();
}

static void fork_child(void) {
    if (--fork_depth == 0 && fork_locked) go_on_alone();
}

/* ---- Process -------------------------------------------------------------------------------- */

__attribute__((constructor)) static void process_starts(void) {
    /* A program with more rights than its caller (setuid, file capabilities) takes no orders from
     * the caller's environment: to go on after mistakes, to write to whatever its descriptor 2 is,
     * to hold memory. */
    hak_options_parse(getauxval(AT_SECURE) != 0 ? NULL : environ);
    hak_misuse_set_policy(hak_error_describe, hak_options.on_error == ON_ERROR_REPORT,
                          hak_options.error_json != 0);
    store_relaxed(&hak_front_on_tick, hak_large_tick);
    hak_limit_init();
    if (hak_options.numa) hak_numa_init("");
    hak_guarded_start();
    pthread_atfork(fork_prepare, fork_parent, fork_child);
    hak_ss_prewarm_init();
    hak_maintenance_start();
}

__attribute__((destructor)) static void process_ends(void) {
    /* What was written to before it could leave the quarantine is found now. */
    if (guard_is_on()) hak_guarded_flush();
    if (hak_options.stats) hak_stats_print(STDERR_FILENO);
    if (hak_options.warm_pool_stats) hak_stats_print_warm_pool(STDERR_FILENO);
}
