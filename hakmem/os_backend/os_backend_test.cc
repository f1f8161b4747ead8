/* Address space: alignment, what reads as zero, what fails and what failure leaves. */
#include "hakmem/os_backend/os_backend.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "hakmem/config/config.h"

namespace {

bool is_zero(const void *p, size_t bytes) {
    const char *c = static_cast<const char *>(p);
    return bytes == 0 || (c[0] == 0 && std::memcmp(c, c + 1, bytes - 1) == 0);
}

/* Pages of the range that are resident, as the kernel counts them; its pages may be smaller. */
size_t resident_pages(void *base, size_t bytes) {
    size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), count = 0;
    std::vector<unsigned char> resident(bytes / page);
    if (mincore(base, bytes, resident.data()) != 0) return SIZE_MAX;
    for (unsigned char r : resident) count += r & 1;
    return count;
}

size_t kernel_pages(size_t bytes) { return bytes / static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

class OsBackend : public testing::Test {
  protected:
    void SetUp() override { page_ = hak_os_page_bytes(); }
    void TearDown() override { hak_os_set_fault(nullptr); }
    size_t page_ = 0;
};

TEST_F(OsBackend, ARegionLiesBehindTheLastOne) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "a sanitizer's shadow may lie there";
#endif
    char *first = static_cast<char *>(hak_os_reserve(8 * MiB, 2 * MiB));
    char *second = static_cast<char *>(hak_os_reserve(4 * MiB, 2 * MiB));
    ASSERT_NE(first, nullptr);
    EXPECT_EQ(second, first + 8 * MiB);
    EXPECT_GE(reinterpret_cast<uintptr_t>(first), uint64_t{1} << 40);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % (2 * MiB), 0u);
    first[8 * MiB - 1] = second[0] = 1;
    EXPECT_TRUE(hak_os_release(first, 8 * MiB));
    EXPECT_TRUE(hak_os_release(second, 4 * MiB));
}

TEST_F(OsBackend, PagesAreAPowerOfTwo) {
    EXPECT_GE(page_, 4096u);
    EXPECT_TRUE(is_power_of_two(page_));
    EXPECT_EQ(hak_os_page_bytes(), page_);
}

TEST_F(OsBackend, MapsAtTheAlignmentAskedFor) {
    for (size_t align : {page_, 64 * KiB, 2 * MiB, 64 * MiB}) {
        for (size_t bytes : {page_, 64 * KiB, 2 * MiB, 5 * page_}) {
            char *base = static_cast<char *>(hak_os_map(bytes, align));
            ASSERT_NE(base, nullptr);
            EXPECT_EQ(reinterpret_cast<uintptr_t>(base) % align, 0u) << align;
            EXPECT_TRUE(is_zero(base, bytes));
            std::memset(base, 0xab, bytes);
            EXPECT_TRUE(hak_os_unmap(base, bytes));
        }
    }
}

TEST_F(OsBackend, RangesDoNotOverlap) {
    std::vector<char *> bases;
    for (int i = 0; i < 20; i++) {
        char *base = static_cast<char *>(hak_os_map(64 * KiB, 64 * KiB));
        ASSERT_NE(base, nullptr);
        std::memset(base, i + 1, 64 * KiB);
        bases.push_back(base);
    }
    for (int i = 0; i < 20; i++) {
        EXPECT_EQ(bases[i][0], i + 1);
        EXPECT_EQ(bases[i][64 * KiB - 1], i + 1);
        EXPECT_TRUE(hak_os_unmap(bases[i], 64 * KiB));
    }
}

TEST_F(OsBackend, APurgedRangeReadsAsZero) {
    size_t bytes = 16 * page_;
    char *base = static_cast<char *>(hak_os_map(bytes, page_));
    ASSERT_NE(base, nullptr);
    std::memset(base, 0x55, bytes);
    uint64_t before = hak_os_purged_bytes();
    EXPECT_TRUE(hak_os_purge(base + page_, 4 * page_));
    EXPECT_EQ(hak_os_purged_bytes(), before + 4 * page_);
    EXPECT_EQ(base[page_ - 1], 0x55);
    EXPECT_TRUE(is_zero(base + page_, 4 * page_));
    EXPECT_EQ(base[5 * page_], 0x55);
    EXPECT_TRUE(hak_os_unmap(base, bytes));
    EXPECT_EQ(hak_os_purged_bytes(), before + 4 * page_ + bytes);
}

TEST_F(OsBackend, PopulateMakesEveryPageResident) {
    size_t pages = 32;
    char *base = static_cast<char *>(hak_os_map(pages * page_, page_));
    ASSERT_NE(base, nullptr);
    if (hak_os_populate(base, pages * page_)) { /* Linux 5.14 and later */
        EXPECT_EQ(resident_pages(base, pages * page_), kernel_pages(pages * page_));
    }
    EXPECT_TRUE(is_zero(base, pages * page_));
    EXPECT_TRUE(hak_os_unmap(base, pages * page_));
}

TEST_F(OsBackend, TheMiddleOfARangeIsThereOnceItIsWritten) {
    size_t bytes = MiB;
    char *base = static_cast<char *>(hak_os_map(bytes, page_));
    ASSERT_NE(base, nullptr);
    errno = 4321;
    EXPECT_FALSE(hak_os_has_middle(base, bytes));
    base[0] = base[bytes / 2 - 128 * KiB] = base[bytes / 2 + 128 * KiB] = base[bytes - 1] = 1;
    EXPECT_FALSE(hak_os_has_middle(base, bytes));
    base[bytes / 2 - 1] = 1;
    EXPECT_TRUE(hak_os_has_middle(base, bytes));
    /* Of a short range it is all of it, of less than a page nothing. */
    EXPECT_TRUE(hak_os_has_middle(base, page_));
    EXPECT_FALSE(hak_os_has_middle(base + page_, page_));
    EXPECT_FALSE(hak_os_has_middle(base, page_ - 1));
    EXPECT_TRUE(hak_os_unmap(base, bytes));
    EXPECT_FALSE(hak_os_has_middle(base, bytes)) << "there is no such range";
    EXPECT_EQ(errno, 4321);
}

TEST_F(OsBackend, ResidentBytesAreThoseOfThePagesThatAreThere) {
    size_t bytes = 3 * MiB; /* more than the kernel is asked about at once */
    char *base = static_cast<char *>(hak_os_map(bytes, page_));
    ASSERT_NE(base, nullptr);
    errno = 4321;
    EXPECT_EQ(hak_os_resident_bytes(base, bytes), 0u);
    std::memset(base + page_, 1, page_);
    std::memset(base + bytes - 2 * page_, 1, 2 * page_);
    EXPECT_EQ(hak_os_resident_bytes(base, bytes), 3 * page_);
    EXPECT_EQ(hak_os_resident_bytes(base + page_, page_), page_);
    EXPECT_EQ(hak_os_resident_bytes(base, page_), 0u);
    EXPECT_EQ(hak_os_resident_bytes(base, 0), 0u);
    EXPECT_TRUE(hak_os_unmap(base, bytes));
    EXPECT_EQ(hak_os_resident_bytes(base, bytes), 0u) << "there is no such range";
    EXPECT_EQ(errno, 4321);
}

TEST_F(OsBackend, ClearingLeavesNoPagesWhereThereAreNone) {
    size_t step = CLEAR_STEP_BYTES, bytes = 5 * MiB;
    char *base = static_cast<char *>(hak_os_map(bytes, page_));
    ASSERT_NE(base, nullptr);
    /* The first, one by itself, two side by side across what is asked about at once, the last. */
    for (size_t at : {size_t{0}, 7 * step, 2 * MiB - 1, 2 * MiB + step, bytes - 200, bytes - 1}) {
        base[at] = 1;
    }
    hak_os_clear(base, bytes - 100);
    EXPECT_EQ(base[bytes - 1], 1) << "beyond what was to be cleared";
    base[bytes - 1] = 0;
    EXPECT_LE(hak_os_resident_bytes(base, bytes), 5 * step);
    EXPECT_GE(hak_os_resident_bytes(base, bytes), 4 * step);
    EXPECT_TRUE(is_zero(base, bytes));
    EXPECT_TRUE(hak_os_unmap(base, bytes));
}

TEST_F(OsBackend, ClearingWritesAllWhereTheMiddleIsThere) {
    char *base = static_cast<char *>(hak_os_map(2 * MiB, page_));
    ASSERT_NE(base, nullptr);
    base[MiB - 1] = base[2 * MiB - 1] = 1;
    hak_os_clear(base, 2 * MiB);
    EXPECT_EQ(hak_os_resident_bytes(base, 2 * MiB), 2 * MiB);
    EXPECT_TRUE(is_zero(base, 2 * MiB));
    EXPECT_TRUE(hak_os_unmap(base, 2 * MiB));
}

TEST_F(OsBackend, ClearingWritesWhatTheKernelWillNotTakeBack) {
    char *base = static_cast<char *>(hak_os_map(2 * MiB, page_));
    ASSERT_NE(base, nullptr);
    base[0] = base[20 * page_] = 1;
    hak_os_set_fault([](os_call call) { return call == OS_PURGE; });
    hak_os_clear(base, 2 * MiB);
    hak_os_set_fault(nullptr);
    EXPECT_TRUE(is_zero(base, 2 * MiB));
    EXPECT_TRUE(hak_os_unmap(base, 2 * MiB));
}

TEST_F(OsBackend, ResizingKeepsWhatFits) {
    char *base = static_cast<char *>(hak_os_map(16 * page_, page_));
    ASSERT_NE(base, nullptr);
    std::memset(base, 0x33, 16 * page_);
    ASSERT_TRUE(hak_os_resize(base, 16 * page_, 4 * page_));
    for (size_t i = 0; i < 4 * page_; i += 512) ASSERT_EQ(base[i], 0x33);
    /* The room it gave up is likely to be there still; if it grows, it grows with zeros. */
    size_t bytes = 4 * page_;
    if (hak_os_resize(base, bytes, 8 * page_)) {
        bytes = 8 * page_;
        EXPECT_TRUE(is_zero(base + 4 * page_, 4 * page_));
    }
    EXPECT_EQ(base[0], 0x33);
    EXPECT_TRUE(hak_os_unmap(base, bytes));
}

TEST_F(OsBackend, MovingTakesTheContentAlong) {
    char *from = static_cast<char *>(hak_os_map(4 * page_, page_));
    char *to = static_cast<char *>(hak_os_map(2 * MiB, 2 * MiB));
    ASSERT_NE(from, nullptr);
    ASSERT_NE(to, nullptr);
    std::memset(from, 0x44, 4 * page_);
    ASSERT_TRUE(hak_os_move(from, 4 * page_, to, 2 * MiB));
    for (size_t i = 0; i < 4 * page_; i += 512) ASSERT_EQ(to[i], 0x44);
    EXPECT_TRUE(is_zero(to + 4 * page_, 2 * MiB - 4 * page_));
    EXPECT_TRUE(hak_os_unmap(to, 2 * MiB));
}

TEST_F(OsBackend, RefusesWhatNoAddressSpaceHolds) {
    EXPECT_EQ(hak_os_map(static_cast<size_t>(1) << 60, 64 * KiB), nullptr);
    EXPECT_EQ(hak_os_map(SIZE_MAX & ~(page_ - 1), 64 * KiB), nullptr);
    EXPECT_EQ(hak_os_map(page_, static_cast<size_t>(1) << 60), nullptr);
}

TEST_F(OsBackend, EveryFailureKeepsErrno) {
    errno = 4321;
    EXPECT_EQ(hak_os_map(static_cast<size_t>(1) << 60, 64 * KiB), nullptr);
    EXPECT_EQ(errno, 4321);
    char *odd = reinterpret_cast<char *>(1);
    EXPECT_FALSE(hak_os_unmap(odd, page_));
    EXPECT_FALSE(hak_os_purge(odd, page_));
    EXPECT_FALSE(hak_os_populate(odd, page_));
    EXPECT_FALSE(hak_os_resize(odd, page_, 2 * page_));
    void *to = hak_os_map(2 * page_, page_);
    EXPECT_FALSE(hak_os_move(odd, page_, to, 2 * page_));
    EXPECT_EQ(errno, 4321);
}

TEST_F(OsBackend, AMoveThatFailsLeavesNoTarget) {
    char *from = static_cast<char *>(hak_os_map(4 * page_, page_));
    ASSERT_NE(from, nullptr);
    from[0] = 0x55;
    /* Two mappings in one range: the kernel moves but one. */
    ASSERT_EQ(mprotect(from + page_, page_, PROT_READ), 0);
    char *to = static_cast<char *>(hak_os_map(8 * page_, page_));
    ASSERT_NE(to, nullptr);
    EXPECT_FALSE(hak_os_move(from, 4 * page_, to, 8 * page_));
    EXPECT_EQ(from[0], 0x55);
    unsigned char resident[8];
    EXPECT_EQ(mincore(to, page_, resident), -1);
    EXPECT_EQ(errno, ENOMEM);
    EXPECT_TRUE(hak_os_unmap(from, 4 * page_));
}

TEST_F(OsBackend, MetadataIsZeroAndAlignedTo64) {
    size_t before = hak_os_meta_bytes();
    std::set<char *> seen;
    for (size_t bytes : {1ul, 64ul, 65ul, 4096ul, 100000ul, 511 * KiB, 600 * KiB, 3 * MiB, 8ul}) {
        char *p = static_cast<char *>(hak_os_meta_alloc(bytes));
        ASSERT_NE(p, nullptr);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % 64, 0u);
        EXPECT_TRUE(is_zero(p, bytes)) << bytes;
        std::memset(p, 0xff, bytes);
        EXPECT_TRUE(seen.insert(p).second);
    }
    EXPECT_GT(hak_os_meta_bytes(), before);
}

TEST_F(OsBackend, ManyThreadsTakeMetadataAtOnce) {
    constexpr size_t kBytes = 1024;
    std::mutex mutex;
    std::vector<char *> all; /* guarded by mutex */
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 600; i++) {
                char *p = static_cast<char *>(hak_os_meta_alloc(kBytes));
                if (p == nullptr || !is_zero(p, kBytes)) continue;
                std::memset(p, t + 1, kBytes);
                std::lock_guard<std::mutex> hold(mutex);
                all.push_back(p);
            }
        });
    }
    for (auto &t : threads) t.join();
    EXPECT_EQ(all.size(), 2400u);
    for (char *p : all) EXPECT_EQ(std::memcmp(p, p + 1, kBytes - 1), 0);
    std::set<char *> unique(all.begin(), all.end());
    EXPECT_EQ(unique.size(), all.size());
}

TEST_F(OsBackend, RandomBitsAreNotZeroAndNotTheSame) {
    std::set<uint64_t> seen;
    for (int i = 0; i < 100; i++) {
        uint64_t bits = hak_os_random();
        EXPECT_NE(bits, 0u);
        seen.insert(bits);
    }
    EXPECT_GT(seen.size(), 90u);
}

/* ---- What the kernel will not unmap */

std::atomic<bool> unmap_fails{false};

bool fail_unmap(os_call call) { return call == OS_UNMAP && unmap_fails; }

bool is_mapped(void *base) { return resident_pages(base, hak_os_page_bytes()) != SIZE_MAX; }

TEST_F(OsBackend, WhatCannotBeUnmappedWaitsWithoutItsPagesAndGoesLater) {
    hak_os_set_fault(fail_unmap);
    size_t bytes = 16 * page_, before = hak_os_discarded_bytes();
    std::vector<char *> ranges;
    for (int i = 0; i < 200; i++) {
        ranges.push_back(static_cast<char *>(hak_os_map(bytes, page_)));
        ASSERT_NE(ranges.back(), nullptr);
        std::memset(ranges.back(), 0x77, bytes);
    }
    unmap_fails = true;
    for (char *r : ranges) hak_os_discard(r, bytes);
    EXPECT_EQ(hak_os_discarded_bytes(), before + 200 * bytes);
    EXPECT_LE(resident_pages(ranges[0], bytes), kernel_pages(page_));
    EXPECT_FALSE(hak_os_retry_discarded(true));
    EXPECT_EQ(hak_os_discarded_bytes(), before + 200 * bytes);
    unmap_fails = false;
    EXPECT_TRUE(hak_os_retry_discarded(true));
    EXPECT_EQ(hak_os_discarded_bytes(), 0u);
    for (char *r : ranges) EXPECT_FALSE(is_mapped(r));
}

TEST_F(OsBackend, ARangeThatGoesTakesAlongWhatWaits) {
    hak_os_set_fault(fail_unmap);
    void *first = hak_os_map(page_, page_), *second = hak_os_map(page_, page_);
    unmap_fails = true;
    hak_os_discard(first, page_);
    unmap_fails = false;
    hak_os_discard(second, page_);
    EXPECT_EQ(hak_os_discarded_bytes(), 0u);
    EXPECT_FALSE(is_mapped(first));
}

/* RLIMIT_AS stands for a process without mappings: nothing new can be mapped. */
TEST_F(OsBackend, WhatWaitsServesWhereNothingElseCanBeMapped) {
    hak_os_set_fault(fail_unmap);
    size_t bytes = 64 * MiB;
    char *range = static_cast<char *>(hak_os_map(bytes, page_));
    ASSERT_NE(range, nullptr);
    std::memset(range, 0x11, bytes);
    unmap_fails = true;
    hak_os_discard(range, bytes);
    rlimit before, none = {0, RLIM_INFINITY};
    ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
    none.rlim_max = before.rlim_max;
    ASSERT_EQ(setrlimit(RLIMIT_AS, &none), 0);
    void *taken[100];
    int n = 0;
    while (n < 100 && (taken[n] = hak_os_map(2 * MiB, 2 * MiB)) != nullptr) n++;
    void *small = hak_os_map(page_, page_), *big = hak_os_map(bytes, page_);
    ASSERT_EQ(setrlimit(RLIMIT_AS, &before), 0);
    EXPECT_GE(n, 31);
    EXPECT_LE(n, 32);
    EXPECT_EQ(big, nullptr);
    EXPECT_EQ(hak_os_discarded_bytes() + (small != nullptr ? page_ : 0) +
                  static_cast<size_t>(n) * 2 * MiB,
              bytes);
    for (int i = 0; i < n; i++) {
        EXPECT_EQ(reinterpret_cast<uintptr_t>(taken[i]) % (2 * MiB), 0u);
        EXPECT_TRUE(is_zero(taken[i], 2 * MiB)) << i;
        std::memset(taken[i], 0x22 + i, 2 * MiB);
    }
    unmap_fails = false;
    for (int i = 0; i < n; i++) {
        EXPECT_EQ(static_cast<char *>(taken[i])[2 * MiB - 1], 0x22 + i);
        hak_os_discard(taken[i], 2 * MiB);
    }
    hak_os_discard(small, page_);
    hak_os_retry_discarded(true);
    EXPECT_EQ(hak_os_discarded_bytes(), 0u);
    EXPECT_FALSE(is_mapped(range));
}

TEST_F(OsBackend, ManyThreadsDiscardAtOnce) {
    hak_os_set_fault(fail_unmap);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([&] {
            for (int i = 0; i < 500; i++) {
                unmap_fails = i % 3 != 0;
                void *base = hak_os_map(2 * page_, page_);
                if (base != nullptr) hak_os_discard(base, 2 * page_);
            }
        });
    }
    for (auto &t : threads) t.join();
    unmap_fails = false;
    hak_os_retry_discarded(true);
    EXPECT_EQ(hak_os_discarded_bytes(), 0u);
}

/* ---- Faults */

os_call failing;
std::atomic<int> asked{0};

bool fail_one_kind(os_call call) {
    asked++;
    return call == failing;
}

TEST_F(OsBackend, TheFaultHookMakesEachCallFailAndNothingElse) {
    char *base = static_cast<char *>(hak_os_map(16 * page_, page_));
    char *to = static_cast<char *>(hak_os_map(16 * page_, page_));
    ASSERT_NE(base, nullptr);
    ASSERT_NE(to, nullptr);
    std::memset(base, 0x66, 16 * page_);
    uint64_t purged = hak_os_purged_bytes();
    hak_os_set_fault(fail_one_kind);
    errno = 99;
    failing = OS_MAP;
    EXPECT_EQ(hak_os_map(page_, page_), nullptr);
    failing = OS_UNMAP;
    EXPECT_FALSE(hak_os_unmap(base, 16 * page_));
    failing = OS_PURGE;
    EXPECT_FALSE(hak_os_purge(base, 16 * page_));
    failing = OS_POPULATE;
    EXPECT_FALSE(hak_os_populate(base, 16 * page_));
    failing = OS_REMAP;
    EXPECT_FALSE(hak_os_resize(base, 16 * page_, 8 * page_));
    EXPECT_FALSE(hak_os_move(base, 16 * page_, to, 16 * page_));
    failing = OS_META;
    EXPECT_EQ(hak_os_meta_alloc(64), nullptr);
    EXPECT_EQ(errno, 99);
    EXPECT_EQ(asked, 8); /* a refused move gives its target back */
    EXPECT_EQ(hak_os_purged_bytes(), purged);
    for (size_t i = 0; i < 16 * page_; i += 512) ASSERT_EQ(base[i], 0x66);

    hak_os_set_fault(nullptr);
    EXPECT_NE(hak_os_meta_alloc(64), nullptr);
    EXPECT_TRUE(hak_os_purge(base, 16 * page_));
    to = static_cast<char *>(hak_os_map(16 * page_, page_));
    ASSERT_NE(to, nullptr);
    EXPECT_TRUE(hak_os_move(base, 16 * page_, to, 16 * page_));
    EXPECT_TRUE(hak_os_resize(to, 16 * page_, 8 * page_));
    EXPECT_TRUE(hak_os_unmap(to, 8 * page_));
}

} // namespace
