/* The maintenance thread finds a mistake while it holds the pool's lock: the program's handler,
 * which runs in it, may allocate and free. */
#include "hakmem/maintenance.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "hakmem/base/misuse.h"
#include "hakmem/config/options.h"
#include "hakmem/hakmem.h"
#include "hakmem/large/large.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/slab/slab.h"

namespace {

std::atomic<int> called{0}, returned{0};

void allocate_in_handler(const struct hak_error *) {
    called++;
    hak_free(hak_malloc(100));
    void *large = hak_malloc(3 << 20);
    hak_free(large);
    returned++;
}

/* The program makes no call any more that would look at the clock. */
TEST(Maintenance, ALargeBlockThatIsNotUsedIsPurged) {
    hak_options.large_cache_calm_mb = 8;
    hak_free(hak_malloc(3 << 20));
    large_stats large;
    hak_large_stats(&large);
    ASSERT_GT(large.kept_bytes, 0u);
    hak_options.maintenance = 1;
    hak_options.maintenance_ms = 100;
    hak_maintenance_start();
    for (int i = 0; i < 3000 && large.kept_bytes != 0; i++) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        hak_large_stats(&large);
    }
    EXPECT_EQ(large.kept_bytes, 0u);
}

TEST(Maintenance, AnErrorHandlerMayAllocate) {
    hak_misuse_set_policy(nullptr, true, false);
    hak_set_error_handler(allocate_in_handler);
    void *block = hak_malloc(100), *other = hak_malloc(100);
    hak_thread_idle(); /* nobody's slab now, with two blocks outside */
    /* Two threads freed the block at the same time: each found it live. */
    struct slab *slab = hak_slab_of(block);
    unsigned w;
    uint64_t bit;
    ASSERT_EQ(hak_slab_find(slab, block, &w, &bit), SLAB_OK);
    /* The other test's thread runs still, and must not come in between. */
    hak_shared_pool_lock();
    EXPECT_EQ(hak_slab_give_remote(block), SLAB_OK);
    *superslab_free_word(slab_superslab(slab), slab->index, w) |= bit;
    hak_shared_pool_unlock();
    hak_options.maintenance = 1;
    hak_options.maintenance_ms = 100;
    hak_maintenance_start();
    for (int i = 0; i < 1000 && returned == 0; i++) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_EQ(called, 1);
    ASSERT_EQ(returned, 1);
    hak_free(other);
}

} // namespace
