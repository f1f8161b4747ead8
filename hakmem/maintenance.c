/* The thread has no heap and allocates nothing. It holds the layers' locks for moments, as any
 * thread in a slow path does, so a fork waits for it; it owns nothing that a child would miss. */
#include "hakmem/maintenance.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "hakmem/base/clock.h"
#include "hakmem/base/text.h"
#include "hakmem/base/watch.h"
#include "hakmem/config/config.h"
#include "hakmem/config/options.h"
#include "hakmem/large/large.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/tls_front/tls_front.h"

/* Its own frames, and the thread-local data of every library of the program. */
#define STACK_BYTES (256 * KiB)

static void *maintain(void *unused) {
    prctl(PR_SET_NAME, "hakmem");
    if (hak_watch_find()) hak_watch_silence(true);
    uint64_t ms = hak_options.maintenance_ms;
    struct timespec pause = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    for (;;) {
        nanosleep(&pause, NULL);
        uint64_t now = clock_ms();
        /* Ages are counted in ticks: the program's own calls make them too. */
        if (!hak_front_claim_tick(now)) continue;
        /* What finds a mistake here calls the program's handler, with a lock held: what that one
         * allocates must be served aside. */
        if (!front_enter()) continue;
        hak_front_tend_some();
        hak_shared_pool_tick(now);
        hak_large_tick(now);
        hak_os_retry_discarded(false);
        front_leave();
    }
    return unused;
}

static int start_detached(void) {
    pthread_attr_t attributes;
    pthread_t thread;
    int error = pthread_attr_init(&attributes);
    if (error != 0) return error;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    error = pthread_create(&thread, &attributes, maintain, NULL);
    /* Where libraries have more thread-local data than that, the usual stack. */
    if (error == EINVAL) {
        pthread_attr_destroy(&attributes);
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        error = pthread_create(&thread, &attributes, maintain, NULL);
    }
    pthread_attr_destroy(&attributes);
    return error;
}

void hak_maintenance_start(void) {
    if (!hak_options.maintenance) return;
    int saved = errno;
    /* The program's handlers run in its own threads: the new one inherits the mask. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = start_detached();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        struct text t = {.length = 0};
        hak_text_string(&t, "hakmem: option HAKMEM_MAINTENANCE: no thread could be started\n");
        hak_text_write(&t, STDERR_FILENO);
    }
    errno = saved;
}
