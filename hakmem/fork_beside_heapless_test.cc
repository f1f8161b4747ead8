/* A program forks while a thread that never allocated purges or frees: its child has what was in
 * motion. The program has one heap, so this is a process of its own. */
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>
#include <vector>

#include "hakmem/config/options.h"
#include "hakmem/hakmem.h"
#include "hakmem/large/large.h"
#include "hakmem/os_backend/budget.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/registry/registry.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/slab/slab.h"
#include "hakmem/tls_front/cap.h"
#include "hakmem/tls_front/tls_front.h"
#include "hakmem/transfer/transfer.h"

namespace {

std::atomic<int> purges{0}; /* that have begun */
std::atomic<int> stop_at{0};
std::atomic<bool> go_on{false};

/* Stops the purge of number `stop_at` until `go_on`; refuses none. */
bool stop_purge(enum os_call call) {
    if (call != OS_PURGE || ++purges != stop_at) return false;
    while (!go_on) std::this_thread::yield();
    return false;
}

/* What the child finds: 0, or what is wrong. */
int live_on(std::vector<void *> &blocks) {
    alarm(20);
    if (!hak_check_counts()) return 1;
    for (void *b : blocks) hak_free(b);
    hak_trim(0);
    if (!hak_check_counts()) return 2;
    hak_stats stats{};
    stats.size = sizeof(stats);
    hak_stats_get(&stats);
    return stats.live_bytes == 0 && stats.superslabs_free == stats.superslabs ? 0 : 3;
}

/* Forks while another thread's trim is in its purge of number `nth`. */
void fork_in_purge(int nth, std::vector<void *> &blocks) {
    purges = 0;
    go_on = false;
    stop_at = nth;
    hak_os_set_fault(stop_purge);
    std::thread purger([] { hak_trim(0); });
    while (purges < nth) std::this_thread::yield();
    pid_t child = fork();
    if (child == 0) {
        hak_os_set_fault(nullptr);
        _exit(live_on(blocks));
    }
    go_on = true;
    purger.join();
    hak_os_set_fault(nullptr);
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(ForkBesidePurge, TheChildHasTheUnits) {
    std::vector<void *> empty, none;
    for (int i = 0; i < 4000; i++) empty.push_back(hak_malloc(1000));
    for (void *b : empty) hak_free(b);
    hak_thread_idle();
    fork_in_purge(1, none);
}

TEST(ForkBesidePurge, TheChildHasTheOrphan) {
    std::vector<void *> blocks, kept;
    for (int i = 0; i < 4000; i++) blocks.push_back(hak_malloc(1000));
    for (size_t i = 0; i < blocks.size(); i++) {
        if (i % 40 == 0) {
            kept.push_back(blocks[i]);
        } else {
            hak_free(blocks[i]);
        }
    }
    hak_trim(0); /* what is empty; the orphans that are sparse are in use again */
    for (size_t i = 0; i < kept.size(); i += 2) {
        hak_free(kept[i]);
    }
    for (size_t i = 1; i < kept.size(); i += 2) kept[i / 2] = kept[i];
    kept.resize(kept.size() / 2);
    hak_thread_idle();
    fork_in_purge(1, kept);
    for (void *b : kept) hak_free(b);
}

/* A thread without a heap stops between its two steps: the block's bit is set, and the slab's owner
 * not told yet. */
TEST(ForkBesideAFree, TheChildHasTheBlock) {
    void *block = hak_malloc(200);
    struct slab *slab = hak_slab_of(block);
    std::thread([block] { hak_free(block); }).join();
    ASSERT_EQ(hak_slab_take_pending(slab->owner), slab);
    pid_t child = fork();
    if (child == 0) _exit(hak_slab_take_pending(slab->owner) == slab ? 0 : 1);
    hak_slab_push_pending(slab);
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

/* A thread stops while its request is counted and not there yet. */
TEST(ForkBesideAFree, TheChildCountsWhatThereIs) {
    hak_free(hak_malloc(200));
    std::thread([] { hak_free(hak_malloc(200)); }).join();
    size_t before = hak_budget_used();
    hak_budget_add(100 << 20);
    pid_t child = fork();
    if (child == 0) _exit(hak_budget_used() == before ? 0 : 1);
    hak_budget_give(100 << 20);
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

/* A fork waits for whoever is in a layer, so that the child finds it whole. */
TEST(ForkBesideALock, WaitsForEachLayer) {
    static constexpr struct {
        void (*lock)(), (*unlock)();
    } kLayers[] = {
        {hak_front_lock, hak_front_unlock},
        {hak_transfer_lock, hak_transfer_unlock},
        {hak_shared_pool_lock, hak_shared_pool_unlock},
        {hak_large_lock, hak_large_unlock},
    };
    for (const auto &layer : kLayers) {
        std::atomic<bool> is_held{false}, is_given_back{false};
        std::thread holder([&] {
            layer.lock();
            is_held = true;
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            is_given_back = true;
            layer.unlock();
        });
        while (!is_held) std::this_thread::yield();
        pid_t child = fork();
        if (child == 0) _exit(is_given_back ? 0 : 1);
        EXPECT_TRUE(is_given_back);
        holder.join();
        int status = -1;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        EXPECT_TRUE(WIFEXITED(status)) << status;
        EXPECT_EQ(WEXITSTATUS(status), 0);
    }
}

/* A signal handler that comes in a slow path may fork: its thread may hold a lock already. */
TEST(ForkBesideALock, OfItsOwnThreadTakesNone) {
    hak_free(hak_malloc(100));
    ASSERT_TRUE(front_enter());
    hak_shared_pool_lock();
    alarm(20); /* a deadlock ends as a signal */
    pid_t child = fork();
    if (child == 0) _exit(0);
    alarm(0);
    hak_shared_pool_unlock();
    front_leave();
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

/* And leaves signals as they were, in the parent and in the child. */
TEST(ForkBesideALock, BlocksNoSignalAfterwards) {
    auto blocks_any = [] {
        sigset_t blocked;
        pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
        return sigismember(&blocked, SIGUSR1) == 1 || sigismember(&blocked, SIGTERM) == 1;
    };
    ASSERT_FALSE(blocks_any());
    pid_t child = fork();
    if (child == 0) _exit(blocks_any() ? 1 : 0);
    EXPECT_FALSE(blocks_any());
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

std::atomic<bool> unmaps{true}, stops{false};

/* Refuses to unmap, or stops in it until `go_on`. */
bool stop_unmap(enum os_call call) {
    if (call != OS_UNMAP) return false;
    if (stops) {
        purges++;
        while (!go_on) std::this_thread::yield();
    }
    return !unmaps;
}

/* A block's mapping waits; 0, or what is wrong. */
int wait_and_go() {
    unmaps = false;
    hak_free(hak_malloc(3 << 20));
    hak_trim(0);
    if (hak_os_discarded_bytes() == 0) return 1;
    unmaps = true;
    hak_os_retry_discarded(true);
    return hak_os_discarded_bytes() == 0 ? 0 : 2;
}

/* A thread stops while it unmaps what waited. */
TEST(ForkBesideAFree, TheChildUnmapsWhatWaits) {
    hak_os_set_fault(stop_unmap);
    ASSERT_EQ(wait_and_go(), 0);
    unmaps = false;
    hak_free(hak_malloc(3 << 20));
    hak_trim(0);
    purges = 0;
    go_on = false;
    stops = true;
    std::thread retries([] { hak_os_retry_discarded(true); });
    while (purges < 1) std::this_thread::yield();
    stops = false;
    pid_t child = fork();
    if (child == 0) _exit(wait_and_go());
    unmaps = true;
    go_on = true;
    retries.join();
    hak_os_retry_discarded(true);
    EXPECT_EQ(hak_os_discarded_bytes(), 0u);
    hak_os_set_fault(nullptr);
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

/* What a fork finds in the list of a thread that is not in the child. */
enum list_state { LIST_WHOLE, LIST_BUSY, LIST_TORN };

/* A thread's lists of the class are empty when it begins. */
bool begins_without(unsigned c) {
    bool empty = false;
    std::thread([&] {
        hak_free(hak_malloc(3000)); /* of another class */
        const list_pair &list = hak_front.heap->lists.of[c];
        empty = list.loaded == LIST_END && list.previous == LIST_END;
    }).join();
    return empty;
}

/* A block that another thread freed into its list. */
void fork_beside_a_list(list_state state) {
    std::atomic<void *> block{nullptr};
    std::atomic<bool> end{false};
    std::thread other([&] {
        void *blocks[16], *mine = nullptr;
        for (int i = 0; i < 40; i++) { /* the class keeps what is freed */
            for (void *&b : blocks) b = hak_malloc(480);
            mine = blocks[15];
            for (void *b : blocks) hak_free(b);
        }
        mine = hak_front.heap->lists.of[word_class(registry_word(mine))].loaded;
        ASSERT_NE(mine, nullptr);
        void *link = *static_cast<void **>(mine);
        if (state == LIST_TORN) *static_cast<void **>(mine) = &link; /* its mark fits no more */
        if (state == LIST_BUSY) front_enter();
        block = mine;
        while (!end) std::this_thread::yield();
        if (state == LIST_BUSY) front_leave();
        *static_cast<void **>(mine) = link;
    });
    while (block == nullptr) std::this_thread::yield();
    pid_t child = fork();
    if (child == 0) {
        slab *s = hak_slab_of(block);
        unsigned w;
        uint64_t bit;
        bool is_free = s == nullptr ||
                       (hak_slab_find(s, block, &w, &bit) == SLAB_OK && hak_slab_has(s, w, bit));
        if (is_free != (state == LIST_WHOLE) || !hak_check_counts()) _exit(1);
        /* The next thread has the other's heap, and nothing that was in its lists. */
        _exit(begins_without(size_class_of(480)) ? 0 : 2);
    }
    end = true;
    other.join();
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

/* What may be in mid-change stays out for ever. */
TEST(ForkBesideAList, TheChildFreesItWhereItIsWhole) {
    fork_beside_a_list(LIST_WHOLE);
    fork_beside_a_list(LIST_BUSY);
    fork_beside_a_list(LIST_TORN);
}

/* A thread stops between its own count of what its lists may hold, and the one of all threads. */
TEST(ForkBesideAList, TheChildCountsWhatItsListsMayHold) {
    hak_free(hak_malloc(100));
    std::atomic<bool> is_torn{false}, end{false};
    std::thread other([&] {
        hak_free(hak_malloc(100));
        hak_front.heap->caps.charged += 5000;
        is_torn = true;
        while (!end) std::this_thread::yield();
        hak_front.heap->caps.charged -= 5000;
    });
    while (!is_torn) std::this_thread::yield();
    pid_t child = fork();
    if (child == 0) _exit(hak_caps_charged() == hak_front.heap->caps.charged ? 0 : 1);
    end = true;
    other.join();
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

/* A thread has counted a chain that it hands over, and waits for the depot's lock. */
TEST(ForkBesideAList, TheChildCountsTheChainsThatAreThere) {
    void *block = hak_malloc(480);
    unsigned c = word_class(registry_word(block));
    hak_trim(0); /* what ended threads left */
    ASSERT_EQ(hak_transfer_bytes(), 0u);
    hak_transfer_lock();
    std::thread pushes([=] {
        block_link(block, LIST_END, 1);
        EXPECT_TRUE(hak_transfer_push(c, {block, 1}));
    });
    while (hak_transfer_bytes() == 0) std::this_thread::yield();
    /* Without the handlers of a fork, which would wait for the lock: as if it came just then. */
    auto child = static_cast<pid_t>(syscall(SYS_fork));
    if (child == 0) {
        hak_transfer_unlock();
        hak_front_fork_child();
        _exit(hak_transfer_bytes() == 0 ? 0 : 1);
    }
    hak_transfer_unlock();
    pushes.join();
    EXPECT_EQ(hak_transfer_pop(c).head, block);
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    EXPECT_EQ(WEXITSTATUS(status), 0);
    hak_free(block);
}

/* A thread stops while it purges the large block that it freed. */
TEST(ForkBesideAFree, TheChildHasNoMappingOfNobody) {
    hak_trim(0);
    size_t before = hak_large_mapped_bytes();
    hak_options.large_cache_mb = 0;
    void *block = hak_malloc(4 << 20);
    ASSERT_NE(block, nullptr);
    purges = 0;
    go_on = false;
    stop_at = 1;
    hak_os_set_fault(stop_purge);
    std::thread frees([block] {
        hak_free(hak_malloc(100));
        hak_free(block);
    });
    while (purges < 1) std::this_thread::yield();
    pid_t child = fork();
    if (child == 0) _exit(hak_large_mapped_bytes() == before && hak_large_agrees() ? 0 : 1);
    go_on = true;
    frees.join();
    hak_os_set_fault(nullptr);
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

} // namespace
