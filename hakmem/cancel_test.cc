/* malloc and its kin are no cancellation points: a thread that is to be cancelled gets through
 * each, and is cancelled where the program says. In every mode: HAKMEM_MODE is the target's. */
#include <gtest/gtest.h>
#include <pthread.h>

#include <cstring>

#include "hakmem/hakmem.h"

namespace {

constexpr size_t kMiB = 1 << 20;

/* The calls that reach the kernel: the first of a thread, large blocks, what grows and moves, what
 * is given back, what cannot be had. */
void CallAll() {
    char *first = static_cast<char *>(hak_malloc(100));
    char *grows = static_cast<char *>(hak_malloc(2 * kMiB));
    for (size_t mib = 3; mib <= 24; mib += 7) {
        char *in_the_way = static_cast<char *>(hak_malloc(2 * kMiB));
        grows = static_cast<char *>(hak_realloc(grows, mib * kMiB));
        std::memset(grows, 1, mib * kMiB);
        hak_free(in_the_way);
    }
    hak_free(hak_aligned_alloc(4 * kMiB, 100));
    hak_free(hak_calloc(1, 3 * kMiB));
    hak_free(hak_malloc(static_cast<size_t>(1) << 46)); /* more than there is: all goes back */
    hak_free(first);
    hak_free(grows);
    hak_trim(0);
    hak_thread_idle();
}

struct Passage {
    bool through = false, beyond = false;
};

void *Cancelled(void *arg) {
    Passage *run = static_cast<Passage *>(arg);
    pthread_cancel(pthread_self());
    CallAll();
    run->through = true;
    pthread_testcancel();
    run->beyond = true;
    return nullptr;
}

TEST(Cancel, AThreadGetsThroughTheAllocator) {
    for (int i = 0; i < 4; i++) {
        Passage run;
        pthread_t thread;
        void *result = nullptr;
        ASSERT_EQ(pthread_create(&thread, nullptr, Cancelled, &run), 0);
        ASSERT_EQ(pthread_join(thread, &result), 0);
        EXPECT_TRUE(run.through);
        EXPECT_FALSE(run.beyond);
        EXPECT_EQ(result, PTHREAD_CANCELED);
    }
    CallAll(); /* nothing was left locked */
    EXPECT_TRUE(hak_check_counts());
}

} // namespace
