/* The API as a program sees it. */
#include "hakmem/hakmem.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <fstream>
#include <iterator>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "hakmem/os_backend/os_backend.h"
#include "hakmem/size_class/size_class.h"
#include "hakmem/slab/slab.h"
#include "hakmem/tls_front/tls_front.h"

namespace {

hak_stats stats() {
    hak_stats s = {};
    s.size = sizeof(s);
    EXPECT_TRUE(hak_stats_get(&s));
    return s;
}

/* A block filled with a pattern of its own. */
struct held {
    unsigned char *block;
    size_t size;
    unsigned char pattern;

    void fill() const { std::memset(block, pattern, size); }
    bool intact(size_t bytes) const {
        for (size_t i = 0; i < bytes; i += i < 64 || i + 64 >= bytes ? 1 : 61) {
            if (block[i] != pattern) return false;
        }
        return bytes == 0 || block[bytes - 1] == pattern;
    }
};

size_t random_size(std::mt19937_64 &random) {
    switch (random() % 16) {
    case 0:
        return random() % (2 * MiB);
    case 1:
    case 2:
        return random() % (64 * KiB);
    default:
        return random() % 1200;
    }
}

TEST(Hakmem, EveryClassBoundaryIsUsableAndBounded) {
    for (unsigned c = 0; c < CLASSES; c++) {
        for (int d = -1; d <= 1; d++) {
            size_t size = hak_size_class[c].block_bytes + static_cast<size_t>(d);
            unsigned char *b = static_cast<unsigned char *>(hak_malloc(size));
            ASSERT_NE(b, nullptr);
            EXPECT_EQ(reinterpret_cast<uintptr_t>(b) % 16, 0u);
            EXPECT_GE(hak_usable_size(b), size);
            EXPECT_LE(hak_usable_size(b), size + size / 3 + hak_os_page_bytes());
            std::memset(b, 0xcd, hak_usable_size(b));
            hak_free(b);
        }
    }
}

TEST(Hakmem, AZeroSizeGivesUniqueBlocks) {
    void *a = hak_malloc(0), *b = hak_malloc(0), *c = hak_calloc(0, 7);
    EXPECT_NE(a, nullptr);
    EXPECT_NE(a, b);
    EXPECT_NE(b, c);
    hak_free(a);
    hak_free(b);
    hak_free(c);
    hak_free(nullptr);
    EXPECT_EQ(hak_usable_size(nullptr), 0u);
}

TEST(Hakmem, NullIsFreedWithWhateverWasAskedFor) {
    hak_free_sized(nullptr, SIZE_MAX);
    hak_free_aligned_sized(hak_aligned_alloc(3, 100), 3, 100); /* NULL and EINVAL */
    hak_free_aligned_sized(nullptr, 0, 0);
    EXPECT_EQ(errno, EINVAL);
}

void random_step(std::mt19937_64 &random, std::vector<held> &all) {
    if (all.empty() || (all.size() < 600 && random() % 2 != 0)) {
        held h = {nullptr, random_size(random), static_cast<unsigned char>(random())};
        size_t align = size_t{16} << random() % 9;
        h.block = static_cast<unsigned char *>(random() % 8 == 0 ? hak_aligned_alloc(align, h.size)
                                                                 : hak_malloc(h.size));
        ASSERT_NE(h.block, nullptr);
        h.fill();
        all.push_back(h);
        return;
    }
    std::swap(all[random() % all.size()], all.back());
    held &h = all.back();
    ASSERT_TRUE(h.intact(h.size));
    if (random() % 4 != 0) {
        hak_free(h.block);
        all.pop_back();
        return;
    }
    size_t size = 1 + random_size(random);
    h.block = static_cast<unsigned char *>(hak_realloc(h.block, size));
    ASSERT_NE(h.block, nullptr);
    ASSERT_TRUE(h.intact(size < h.size ? size : h.size));
    h.size = size;
    h.fill();
}

TEST(Hakmem, RandomUseMatchesAShadow) {
    std::mt19937_64 random(2024);
    std::vector<held> all;
    for (int i = 0; i < 100000 && !HasFatalFailure(); i++) random_step(random, all);
    for (held &h : all) {
        EXPECT_TRUE(h.intact(h.size));
        hak_free(h.block);
    }
}

TEST(Hakmem, ReallocKeepsTheContentWhileItGrowsAndShrinks) {
    held h = {static_cast<unsigned char *>(hak_malloc(1)), 1, 0x5a};
    h.fill();
    for (size_t size = 2; size < 40 * MiB; size += size / 2 + 1) {
        h.block = static_cast<unsigned char *>(hak_realloc(h.block, size));
        ASSERT_NE(h.block, nullptr);
        ASSERT_TRUE(h.intact(h.size)) << size;
        h.size = size;
        h.fill();
    }
    for (size_t size = h.size; size > 0; size /= 3) {
        h.block = static_cast<unsigned char *>(hak_realloc(h.block, size));
        ASSERT_NE(h.block, nullptr);
        ASSERT_TRUE(h.intact(size)) << size;
        EXPECT_LE(hak_usable_size(h.block), size + size / 3 + hak_os_page_bytes());
    }
    EXPECT_EQ(hak_realloc(h.block, 0), nullptr);
}

TEST(Hakmem, CallocIsZeroWhateverWasThereBefore) {
    for (int round = 0; round < 3; round++) {
        for (size_t size : {16ul, 100ul, 1000ul, 5000ul, 70000ul, 1 * MiB, 2 * MiB, 9 * MiB}) {
            unsigned char *b = static_cast<unsigned char *>(hak_calloc(size / 4, 4));
            ASSERT_NE(b, nullptr);
            EXPECT_EQ(b[0], 0);
            EXPECT_EQ(std::memcmp(b, b + 1, size - 1), 0) << size;
            std::memset(b, 0xee, hak_usable_size(b));
            hak_free(b);
        }
    }
}

TEST(Hakmem, AlignsWhereListsHaveBlocksThatLieWrong) {
    for (int round = 0; round < 20; round++) { /* classes that come and go are kept in lists */
        for (unsigned c = 0; hak_size_class[c].block_bytes <= MIDDLE_MAX; c++) {
            std::vector<void *> blocks;
            for (int i = 0; i < 4; i++) blocks.push_back(hak_malloc(hak_size_class[c].block_bytes));
            for (void *b : blocks) hak_free(b);
        }
    }
    for (size_t align = 32; align <= 8 * KiB; align *= 2) {
        for (size_t size = 0; size <= MIDDLE_MAX; size += 1 + size / 7) {
            void *b = hak_aligned_alloc(align, size), *by_pointer = nullptr;
            ASSERT_NE(b, nullptr);
            EXPECT_EQ(reinterpret_cast<uintptr_t>(b) % align, 0u) << align << " " << size;
            EXPECT_GE(hak_usable_size(b), size);
            ASSERT_EQ(hak_posix_memalign(&by_pointer, align, size), 0);
            EXPECT_EQ(reinterpret_cast<uintptr_t>(by_pointer) % align, 0u) << align << " " << size;
            EXPECT_GE(hak_usable_size(by_pointer), size);
            hak_free(b);
            hak_free(by_pointer);
        }
    }
}

size_t Mappings() {
    std::ifstream maps("/proc/self/maps");
    return static_cast<size_t>(std::count(std::istreambuf_iterator<char>(maps), {}, '\n'));
}

TEST(Hakmem, AlignsUpToASlabWithoutAMappingForEach) {
    size_t before = Mappings();
    std::vector<void *> blocks;
    for (size_t align = 8 * KiB; align <= SLAB_BYTES; align *= 2) {
        for (size_t size : {static_cast<size_t>(100), align, 3 * align}) {
            for (int i = 0; i < 50; i++) blocks.push_back(hak_aligned_alloc(align, size));
            EXPECT_EQ(reinterpret_cast<uintptr_t>(blocks.back()) % align, 0u);
        }
    }
    EXPECT_LT(Mappings(), before + 50);
    for (void *b : blocks) hak_free(b);
}

TEST(Hakmem, AlignsToEveryPowerOfTwo) {
    for (size_t align = 1; align <= 64 * MiB; align *= 2) {
        for (size_t size : {0ul, 1ul, 100ul, 5000ul, 70000ul, 2 * MiB}) {
            char *b = static_cast<char *>(hak_aligned_alloc(align, size));
            ASSERT_NE(b, nullptr);
            EXPECT_EQ(reinterpret_cast<uintptr_t>(b) % align, 0u);
            EXPECT_GE(hak_usable_size(b), size);
            if (size != 0) b[size - 1] = b[0] = 1;
            hak_free_aligned_sized(b, align, size);
        }
    }
    errno = 0;
    for (size_t bad : {0ul, 3ul, 24ul}) EXPECT_EQ(hak_aligned_alloc(bad, 8), nullptr);
    EXPECT_EQ(errno, EINVAL);
    void *out = &out;
    EXPECT_EQ(hak_posix_memalign(&out, 4, 8), EINVAL);
    EXPECT_EQ(hak_posix_memalign(&out, 64, SIZE_MAX), ENOMEM);
    EXPECT_EQ(out, &out);
    ASSERT_EQ(hak_posix_memalign(&out, 64, 8), 0);
    hak_free_sized(out, 8);
}

TEST(Hakmem, WhatCannotBeIsOutOfMemory) {
    auto refused = [](void *block) { return block == nullptr && errno == ENOMEM; };
    size_t half = SIZE_MAX / 2 + 1;
    char *b = static_cast<char *>(hak_malloc(100));
    b[99] = 'z';
    for (auto call : std::vector<void *(*)(size_t, void *)>{
             [](size_t, void *) { return hak_malloc(SIZE_MAX); },
             [](size_t h, void *) { return hak_malloc(h); },
             [](size_t h, void *) { return hak_calloc(h, 2); },
             [](size_t h, void *) { return hak_calloc(3, h); },
             [](size_t, void *) { return hak_aligned_alloc(64, SIZE_MAX - 10); },
             [](size_t, void *p) { return hak_realloc(p, SIZE_MAX - 4096); },
             [](size_t h, void *p) { return hak_reallocarray(p, h, 2); }}) {
        errno = 0;
        EXPECT_TRUE(refused(call(half, b)));
    }
    EXPECT_EQ(b[99], 'z');
    hak_free(b);
}

TEST(Hakmem, FreeKeepsErrno) {
    for (size_t size : {10ul, 5000ul, 100000ul, 3 * MiB, 40 * MiB}) {
        void *b = hak_malloc(size);
        errno = 1111;
        hak_free(b);
        EXPECT_EQ(errno, 1111) << size;
    }
}

TEST(Hakmem, ThreadsExchangeBlocks) {
    std::mutex mutex;
    std::deque<held> queue; /* guarded by mutex */
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; t++) {
        threads.emplace_back([&, t] {
            std::mt19937_64 random(t);
            for (int i = 0; i < 8000; i++) {
                held mine = {nullptr, random_size(random) / 8, static_cast<unsigned char>(t)};
                mine.block = static_cast<unsigned char *>(hak_malloc(mine.size));
                mine.fill();
                held other = {nullptr, 0, 0};
                {
                    std::lock_guard<std::mutex> hold(mutex);
                    queue.push_back(mine);
                    if (queue.size() > 200) {
                        other = queue.front();
                        queue.pop_front();
                    }
                }
                if (other.block == nullptr) continue;
                EXPECT_TRUE(other.intact(other.size));
                hak_free(other.block);
            }
        });
    }
    for (auto &t : threads) t.join();
    for (held &h : queue) hak_free(h.block);
}

TEST(Hakmem, ThreadsThatComeAndGoLeaveNothing) {
    hak_free(hak_malloc(1));
    uint64_t before = stats().threads;
    std::vector<void *> left;
    for (int i = 0; i < 100; i++) {
        std::thread([&] {
            for (size_t size = 16; size < 20000; size += 999) hak_free(hak_malloc(size));
            left.push_back(hak_malloc(64));
        }).join();
    }
    EXPECT_EQ(stats().threads, before);
    for (void *b : left) hak_free(b);
}

TEST(Hakmem, LiveBytesAreExactForOneThread) {
    hak_trim(0);
    uint64_t before = stats().live_bytes, bytes = 0;
    std::vector<void *> blocks;
    for (size_t size = 1; size < 4 * MiB; size += size / 3 + 1) {
        blocks.push_back(hak_malloc(size));
        bytes += hak_usable_size(blocks.back());
        ASSERT_EQ(stats().live_bytes, before + bytes) << size;
    }
    for (void *b : blocks) hak_free(b);
    EXPECT_EQ(stats().live_bytes, before);
    hak_trim(0);
    EXPECT_EQ(stats().live_bytes, before);
    EXPECT_EQ(stats().front_bytes, 0u);
}

TEST(Hakmem, StatsFillOnlyWhatTheCallerKnows) {
    hak_stats s = {};
    EXPECT_FALSE(hak_stats_get(&s));
    s.size = sizeof(s) + 1;
    EXPECT_FALSE(hak_stats_get(&s));
    std::memset(&s, 0x7f, sizeof(s));
    s.size = offsetof(hak_stats, front_bytes);
    EXPECT_TRUE(hak_stats_get(&s));
    EXPECT_EQ(s.front_bytes, 0x7f7f7f7f7f7f7f7fu);
    EXPECT_EQ(std::string(hak_version()).substr(0, 7), "hakmem ");
}

TEST(Hakmem, TrimGivesMemoryBack) {
    std::vector<void *> blocks;
    for (int i = 0; i < 20000; i++) blocks.push_back(std::memset(hak_malloc(500), 1, 500));
    for (int i = 0; i < 4; i++) blocks.push_back(std::memset(hak_malloc(2 * MiB), 1, 2 * MiB));
    for (void *b : blocks) hak_free(b);
    hak_stats full = stats();
    EXPECT_GT(full.resident_free_bytes, 8 * MiB);
    EXPECT_TRUE(hak_trim(0));
    hak_stats trimmed = stats();
    EXPECT_LT(trimmed.resident_free_bytes, 1 * MiB);
    EXPECT_GT(trimmed.purged_bytes, full.purged_bytes);
}

TEST(Hakmem, AnIdleThreadKeepsNothingAndGoesOn) {
    for (int i = 0; i < 100; i++) hak_free(hak_malloc(100));
    hak_thread_idle();
    EXPECT_EQ(stats().front_bytes, 0u);
    hak_free(hak_malloc(100));
}

TEST(Hakmem, CountsAgreeWithWhatTheyCount) {
    std::vector<void *> blocks;
    for (size_t size = 1; size < 2 * MiB; size += size / 3 + 1) blocks.push_back(hak_malloc(size));
    EXPECT_TRUE(hak_check_counts());
    for (size_t i = 0; i < blocks.size(); i += 2) hak_free(blocks[i]);
    EXPECT_TRUE(hak_check_counts());
    slab *s = hak_slab_of(blocks[1]);
    s->out++;
    EXPECT_FALSE(hak_check_counts());
    s->out--;
    for (size_t i = 1; i < blocks.size(); i += 2) hak_free(blocks[i]);
    EXPECT_TRUE(hak_check_counts());
}

/* ---- Short of memory, and inside a slow path --------------------------------------------- */

/* The system refuses memory for as long as this lives. */
struct no_memory {
    no_memory() {
        hak_os_set_fault([](os_call call) { return call != OS_UNMAP && call != OS_PURGE; });
    }
    ~no_memory() { hak_os_set_fault(nullptr); }
};

/* Blocks of `size` bytes until there are no more. */
std::vector<void *> take_all(size_t size) {
    std::vector<void *> blocks;
    errno = 0;
    while (void *b = hak_malloc(size)) blocks.push_back(b);
    EXPECT_EQ(errno, ENOMEM);
    return blocks;
}

TEST(Hakmem, WithoutMemoryEveryCallSaysSoAndWorksAgainLater) {
    void *kept = hak_malloc(200000), *large = hak_malloc(3 * MiB);
    std::memset(large, 0x5a, 3 * MiB);
    {
        no_memory now;
        std::vector<void *> blocks = take_all(150000), small = take_all(700);
        EXPECT_EQ(hak_calloc(7, 100), nullptr);
        EXPECT_EQ(hak_calloc(1000, 1000), nullptr);
        EXPECT_EQ(hak_aligned_alloc(1 * MiB, 100), nullptr);
        void *out = kept;
        errno = 0;
        EXPECT_EQ(hak_posix_memalign(&out, 4096, 10000), ENOMEM);
        EXPECT_EQ(errno, 0);
        EXPECT_EQ(out, kept);
        EXPECT_EQ(hak_realloc(kept, 900000), nullptr);
        EXPECT_EQ(hak_realloc(large, 5 * MiB), nullptr);
        EXPECT_EQ(hak_realloc(kept, 20000), kept); /* it is large enough */
        EXPECT_EQ(static_cast<unsigned char *>(large)[3 * MiB - 1], 0x5a);
        for (void *b : blocks) hak_free(b);
        for (void *b : small) hak_free(b);
    }
    kept = hak_reallocarray(kept, 3, 300000);
    EXPECT_NE(kept, nullptr);
    hak_free(kept);
    hak_free(large);
}

TEST(Hakmem, WhatIsFreeElsewhereServesWhenMemoryIsShort) {
    std::vector<void *> blocks;
    for (int i = 0; i < 400; i++) blocks.push_back(hak_malloc(700));
    for (void *b : blocks) hak_free(b); /* some stay in the thread's lists */
    no_memory now;
    blocks = take_all(600000);
    /* The slabs that those blocks kept are free again. */
    EXPECT_EQ(stats().front_bytes, 0u);
    for (void *b : blocks) hak_free(b);
}

TEST(Hakmem, AThreadThatGetsNoHeapIsServedAside) {
    uint64_t threads = stats().threads;
    void *ours = hak_malloc(100);
    std::vector<std::thread> holders; /* of every heap that could be recycled */
    std::atomic<int> holding{0};
    std::mutex end;
    end.lock();
    for (int t = 0; t < 40; t++) {
        holders.emplace_back([&] {
            hak_free(hak_malloc(1));
            holding++;
            std::lock_guard<std::mutex> lock(end);
        });
    }
    while (holding != 40) std::this_thread::yield();
    std::thread([&] {
        hak_os_set_fault([](os_call call) { return call == OS_META; });
        void *b = hak_malloc(10);
        hak_free(ours);
        hak_os_set_fault(nullptr);
        EXPECT_EQ(stats().threads, threads + 40);
        ASSERT_NE(b, nullptr);
        EXPECT_GT(hak_usable_size(b), 4000u); /* a mapping */
        hak_free(b);
    }).join();
    end.unlock();
    for (auto &t : holders) t.join();
}

TEST(Hakmem, CallsInsideASlowPathAreServedAside) {
    uint64_t live = stats().live_bytes;
    void *small = hak_malloc(100), *large = hak_malloc(3 * MiB);
    ASSERT_TRUE(front_enter());
    EXPECT_FALSE(hak_trim(0));
    hak_thread_idle();
    void *aside = hak_malloc(10), *zero = hak_calloc(1, 5000);
    EXPECT_GE(hak_usable_size(aside), 10u);
    EXPECT_EQ(static_cast<char *>(zero)[4999], 0);
    large = hak_realloc(large, 5 * MiB); /* copied */
    zero = hak_realloc(zero, 9000);
    hak_free(small);
    hak_free(large);
    hak_free(aside);
    hak_free(zero);
    EXPECT_EQ(hak_malloc(SIZE_MAX), nullptr);
    front_leave();
    EXPECT_EQ(stats().live_bytes, live);
}

} // namespace
