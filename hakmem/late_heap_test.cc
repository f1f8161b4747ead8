/* Threads that allocate first in the last round of their key destructors: nothing ends their heaps,
 * until others find them. */
#include <gtest/gtest.h>
#include <limits.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "hakmem/hakmem.h"
#include "hakmem/os_backend/os_backend.h"

namespace {

pthread_key_t before_hakmems, behind_hakmems;
std::atomic<int> allocated{0};
std::atomic<int> at_once{1}; /* threads that wait for each other once they have allocated */

/* A heap that others can take over: lists and a slab with something in them. */
void Allocate() {
    void *blocks[200];
    for (int round = 0; round < 20; round++) {
        for (void *&b : blocks) b = hak_malloc(1000);
        for (void *b : blocks) hak_free(b);
    }
    int all = (allocated / at_once + 1) * at_once;
    allocated++;
    while (allocated < all) std::this_thread::yield();
}

/* The value counts the rounds. */
template <pthread_key_t *key> void InTheLastRound(void *value) {
    uintptr_t round = reinterpret_cast<uintptr_t>(value);
    if (round < PTHREAD_DESTRUCTOR_ITERATIONS) {
        pthread_setspecific(*key, reinterpret_cast<void *>(round + 1));
    } else {
        Allocate();
    }
}

uint64_t Threads() {
    hak_stats stats{};
    stats.size = sizeof(stats);
    hak_stats_get(&stats);
    return stats.threads;
}

/* Lets `threads` live, so many at once, half of them with either key. */
void LetLive(int threads, int together) {
    at_once = together;
    allocated = 0;
    for (int n = 0; n < threads; n += together) {
        std::vector<std::thread> alive;
        pthread_key_t key = n / together % 2 == 0 ? before_hakmems : behind_hakmems;
        for (int i = 0; i < together; i++) {
            alive.emplace_back([key] { pthread_setspecific(key, reinterpret_cast<void *>(1)); });
        }
        for (std::thread &t : alive) t.join();
    }
}

class LateHeap : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        /* Destructors of a round run in the order of keys; hakmem's is made between. */
        ASSERT_EQ(pthread_key_create(&before_hakmems, InTheLastRound<&before_hakmems>), 0);
        hak_free(hak_malloc(1000));
        ASSERT_EQ(pthread_key_create(&behind_hakmems, InTheLastRound<&behind_hakmems>), 0);
    }
    void TearDown() override {
        hak_trim(0);
        EXPECT_EQ(Threads(), 1u);
        EXPECT_TRUE(hak_check_counts());
        hak_stats stats{};
        stats.size = sizeof(stats);
        hak_stats_get(&stats);
        EXPECT_EQ(stats.live_bytes, 0u);
    }
};

TEST_F(LateHeap, OfAnEndedThreadServesTheNext) {
    LetLive(10, 1);
    size_t meta = hak_os_meta_bytes();
    LetLive(2000, 1);
    EXPECT_EQ(allocated, 2000);
    /* Some threads are not quite gone when the next one looks. */
    EXPECT_LE(Threads(), 16u);
    EXPECT_LE(hak_os_meta_bytes(), meta + (512 << 10));
}

TEST_F(LateHeap, OfManyThreadsAtOnceServesTheNextOnes) {
    LetLive(100, 50);
    size_t meta = hak_os_meta_bytes();
    LetLive(2000, 50);
    EXPECT_LE(Threads(), 151u);
    EXPECT_LE(hak_os_meta_bytes(), meta + (2 << 20));
}

TEST_F(LateHeap, IsFoundByAThreadThatGoesOn) {
    LetLive(20, 20);
    EXPECT_GT(Threads(), 1u);
    /* One at each tick; alarm ends what never comes. */
    alarm(100);
    for (int i = 0; Threads() != 1; i++) {
        void *blocks[100];
        for (void *&b : blocks) b = hak_malloc(100 + i % 4000);
        for (void *b : blocks) hak_free(b);
    }
    alarm(0);
}

TEST_F(LateHeap, OfTheThreadThatForkedIsItsOwnInTheChild) {
    void *mine = hak_malloc(1000);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        /* Its number is another one now; nobody may take its heap. */
        std::thread([] { hak_free(hak_malloc(1000)); }).join();
        hak_trim(0);
        bool own = Threads() == 1;
        hak_free(mine);
        hak_trim(0);
        _exit(own && hak_check_counts() ? 0 : 1);
    }
    hak_free(mine);
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

} // namespace
