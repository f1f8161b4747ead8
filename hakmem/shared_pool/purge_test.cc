/* Purges that the kernel refuses, and counts that are compared while pages are on their way. */
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "hakmem/base/clock.h"
#include "hakmem/config/options.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/registry/registry.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/shared_pool/superslab.h"

namespace {

constexpr unsigned kPages = 31; /* 1 KiB: four blocks a page, or more */
constexpr uint64_t kCookie = 0xa700000000001234;

/* A slab of one class, of which the program holds the first block; the pages behind it, or all
 * but the first, could go. It is nobody's. */
class Purge : public testing::Test {
  protected:
    void SetUp() override {
        hak_shared_pool_trim(0);
        if (hak_os_page_bytes() >= SLAB_BYTES) GTEST_SKIP() << "a slab is one page";
        owner_.cookie = kCookie;
        slab_ = hak_shared_pool_take(kPages, &owner_, false);
        ASSERT_NE(slab_, nullptr);
        void *head = nullptr;
        ASSERT_EQ(hak_slab_take(slab_, 64, &head, kCookie), 64u);
        block_ = head;
        void *rest = block_next(head);
        size_t count = 0;
        slab_result result;
        ASSERT_EQ(hak_slab_give_list(slab_, rest, &count, kCookie, &result), LIST_END);
        ASSERT_EQ(count, 63u);
        hak_shared_pool_orphan(slab_);
        EXPECT_EQ(slab_->free_listed, 0); /* by its bits it is known which pages may go */
    }
    void TearDown() override {
        hak_os_set_fault(nullptr);
        if (slab_ == nullptr) return;
        ASSERT_EQ(hak_shared_pool_take_partial(kPages, &owner_), slab_);
        /* A block whose mark is not there would be refused, and stay out. */
        void *head = nullptr;
        EXPECT_EQ(hak_slab_take(slab_, 64, &head, kCookie), 63u);
        size_t count = 0;
        slab_result result;
        EXPECT_EQ(hak_slab_give_list(slab_, head, &count, kCookie, &result), LIST_END);
        EXPECT_EQ(hak_slab_give(slab_, block_), SLAB_OK);
        hak_shared_pool_give_empty(slab_);
        EXPECT_TRUE(hak_shared_pool_agrees());
    }
    bool IsChecked() const { return slab_->checked || word_is_checked(registry_word(block_)); }
    static void TicksPass() {
        for (int i = 0; i < SPARSE_TICKS; i++) hak_shared_pool_tick(clock_ms());
    }

    slab_owner owner_ = {};
    slab *slab_ = nullptr;
    void *block_ = nullptr;
};

std::atomic<int> refused{0};

bool refuse_purges(os_call call) {
    if (call != OS_PURGE) return false;
    refused++;
    return true;
}

TEST_F(Purge, WaitsForTicksInWhichTheSlabMayEmpty) {
    for (int i = 1; i < SPARSE_TICKS; i++) {
        hak_shared_pool_tick(clock_ms());
        EXPECT_FALSE(IsChecked()) << i;
    }
    hak_shared_pool_tick(clock_ms());
    EXPECT_TRUE(IsChecked());
}

TEST_F(Purge, LeavesASlabOfWhichMoreIsOutside) {
    ASSERT_EQ(hak_shared_pool_take_partial(kPages, &owner_), slab_);
    void *head = nullptr;
    ASSERT_EQ(hak_slab_take(slab_, 16, &head, kCookie), 16u); /* with the first one 17 of 64 */
    hak_shared_pool_orphan(slab_);
    TicksPass();
    EXPECT_FALSE(IsChecked());
    ASSERT_EQ(hak_shared_pool_take_partial(kPages, &owner_), slab_);
    size_t count = 0;
    slab_result result;
    EXPECT_EQ(hak_slab_give_list(slab_, head, &count, kCookie, &result), LIST_END);
    hak_shared_pool_orphan(slab_);
}

TEST_F(Purge, ThatIsRefusedLeavesTheSlabAsItIs) {
    refused = 0;
    hak_os_set_fault(refuse_purges);
    TicksPass();
    EXPECT_GT(refused, 0);
    EXPECT_FALSE(IsChecked());
    EXPECT_TRUE(hak_shared_pool_agrees());
    int before = refused;
    TicksPass();
    EXPECT_EQ(refused, before) << "not again for the same blocks";
}

TEST_F(Purge, ThatIsDoneInPartLeavesTheSlabChecked) {
    /* One page in the midst is locked: the kernel stops there, and says no. */
    size_t page = hak_os_page_bytes(), bytes = SLAB_BYTES - 2 * page;
    char *locked = slab_base(slab_) + page + bytes / 2 / page * page;
    if (mlock(locked, page) != 0) GTEST_SKIP() << "nothing may be locked here";
    TicksPass();
    munlock(locked, page);
    bool gone = *block_cookie(slab_base(slab_) + page) == 0;
    RecordProperty("gone", gone);
    EXPECT_EQ(IsChecked(), gone);
    EXPECT_TRUE(hak_shared_pool_agrees());
}

std::atomic<bool> in_purge{false}, go_on{false};

/* Stops the first purge until `go_on`; refuses none. */
bool stop_first_purge(os_call call) {
    if (call != OS_PURGE || in_purge.exchange(true)) return false;
    while (!go_on) std::this_thread::yield();
    return false;
}

/* Compares the counts while another thread's `purge` is in the midst. */
template <typename Body> void agree_beside(Body purge) {
    in_purge = go_on = false;
    hak_os_set_fault(stop_first_purge);
    std::thread purger(purge);
    while (!in_purge) std::this_thread::yield();
    EXPECT_TRUE(hak_shared_pool_agrees());
    go_on = true;
    purger.join();
    EXPECT_TRUE(hak_shared_pool_agrees());
}

TEST_F(Purge, OfASparseSlabLeavesCountsRight) {
    agree_beside(TicksPass);
    EXPECT_TRUE(IsChecked());
}

TEST_F(Purge, OfAnEmptyRunLeavesCountsRight) {
    slab *empty = hak_shared_pool_take(kPages + 1, &owner_, false);
    ASSERT_NE(empty, nullptr);
    std::memset(slab_base(empty), 1, SLAB_BYTES);
    hak_shared_pool_give_empty(empty);
    agree_beside([] { hak_shared_pool_trim(0); });
}

} // namespace
