/* Pages that go while blocks beside them stay. */
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "hakmem/hakmem.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/registry/registry.h"
#include "hakmem/slab/slab.h"

namespace {

struct held {
    unsigned char *block;
    size_t size;
    unsigned char pattern;

    void fill() const { std::memset(block, pattern, size); }
    bool intact() const {
        for (size_t i = 0; i < size; i++) {
            if (block[i] != pattern) return false;
        }
        return true;
    }
};

/* Most of many blocks are freed, and the pages between those that stay go: what stays is intact, is
 * freed as ever, and what was freed is known to be free though its mark is gone. */
TEST(GiveBack, BlocksAmongPagesThatWentAreFreedOnce) {
    std::vector<held> kept;
    std::vector<void *> freed;
    for (int i = 0; i < 8000; i++) {
        held h = {static_cast<unsigned char *>(hak_malloc(900)), 900,
                  static_cast<unsigned char>(i)};
        ASSERT_NE(h.block, nullptr);
        h.fill();
        if (i % 16 == 0) {
            kept.push_back(h);
        } else {
            freed.push_back(h.block);
        }
    }
    for (void *block : freed) hak_free(block);
    hak_trim(0);
    /* The class is busy: what is freed is kept in a list, but not what may have lost its mark. */
    for (int i = 0; i < 50; i++) {
        void *blocks[4];
        for (void *&b : blocks) b = hak_malloc(900);
        for (void *b : blocks) hak_free(b);
    }
    size_t checked = 0;
    void *again = nullptr;
    for (void *block : freed) {
        if (!word_is_checked(registry_word(block))) continue;
        checked++;
        if (block_read_mark(block) == 0) again = block; /* its mark went */
    }
    ASSERT_NE(again, nullptr);
    EXPECT_GT(checked, freed.size() / 2);
    for (const held &h : kept) {
        EXPECT_TRUE(h.intact());
        EXPECT_GE(hak_usable_size(h.block), 900u);
    }
    EXPECT_DEATH(hak_free(again), "double free");
    EXPECT_DEATH(hak_usable_size(again), "was freed before");
    EXPECT_DEATH(hak_realloc(again, 900), "was freed before");
    EXPECT_DEATH(hak_free(kept[9].block + 16), "invalid free");
    unsigned char *grown = static_cast<unsigned char *>(hak_realloc(kept[0].block, 5000));
    EXPECT_TRUE((held{grown, 900, kept[0].pattern}.intact()));
    hak_free(grown);
    for (size_t i = 1; i < kept.size(); i++) hak_free(kept[i].block);
    EXPECT_DEATH(hak_free(kept[5].block), "double free");
    EXPECT_TRUE(hak_check_counts());
}

/* Small blocks and large ones that come and go fast leave pages. */
void leave_much_free() {
    std::vector<void *> small;
    for (int i = 0; i < 60000; i++) small.push_back(hak_malloc(1000));
    for (void *b : small) std::memset(b, 1, 1000);
    for (void *b : small) hak_free(b);
    for (int round = 0; round < 40; round++) {
        std::vector<void *> blocks;
        for (int i = 0; i < 16; i++) blocks.push_back(hak_malloc(2 << 20));
        for (void *b : blocks) std::memset(b, 1, 2 << 20);
        for (void *b : blocks) hak_free(b);
    }
}

uint64_t resident_free_bytes() {
    hak_stats stats = {};
    stats.size = sizeof(stats);
    EXPECT_TRUE(hak_stats_get(&stats));
    return stats.resident_free_bytes;
}

TEST(GiveBack, ATrimKeepsSoMuchInAll) {
    const uint64_t slab = 64 << 10, keep = 24 << 20;
    leave_much_free();
    ASSERT_GE(resident_free_bytes(), keep + (6 << 20));
    hak_trim(keep);
    EXPECT_LE(resident_free_bytes(), keep + slab);
    EXPECT_GE(resident_free_bytes(), keep / 2);
    hak_trim(4 << 20);
    EXPECT_LE(resident_free_bytes(), (4 << 20) + slab);
}

bool unmaps_nothing(os_call call) { return call == OS_UNMAP; }

TEST(GiveBack, ATrimTakesAlongWhatTheKernelWouldNotUnmap) {
    void *block = hak_malloc(3 << 20);
    hak_os_set_fault(unmaps_nothing);
    hak_free(block);
    hak_trim(0);
    EXPECT_GT(hak_os_discarded_bytes(), 0u);
    hak_os_set_fault(nullptr);
    hak_trim(0);
    EXPECT_EQ(hak_os_discarded_bytes(), 0u);
}

} // namespace
