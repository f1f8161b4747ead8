/* Every row of the table from its formula; every size to its class; the reciprocals. */
#include "hakmem/size_class/size_class.h"

#include <gtest/gtest.h>

#include <vector>

namespace {

/* Block sizes as the header describes them: linear, then 8 or 4 steps a doubling. */
std::vector<uint32_t> expected_sizes() {
    std::vector<uint32_t> sizes;
    for (uint32_t n = 16; n <= 128; n += 16) sizes.push_back(n);
    for (uint32_t from = 128; from < 8 * KiB; from *= 2) {
        for (uint32_t i = 1; i <= 8; i++) sizes.push_back(from + from / 8 * i);
    }
    for (uint32_t from = 8 * KiB; from < MEDIUM_MAX; from *= 2) {
        uint32_t steps = from == 32 * KiB ? 8 : 4;
        for (uint32_t i = 1; i <= steps; i++) sizes.push_back(from + from / steps * i);
    }
    return sizes;
}

TEST(SizeClass, SizesFollowTheSteps) {
    std::vector<uint32_t> sizes = expected_sizes();
    ASSERT_EQ(sizes.size(), static_cast<size_t>(CLASSES));
    for (unsigned c = 0; c < CLASSES; c++) EXPECT_EQ(hak_size_class[c].block_bytes, sizes[c]) << c;
    EXPECT_EQ(hak_size_class[SMALL_CLASSES - 1].block_bytes, SMALL_MAX);
    EXPECT_EQ(hak_size_class[CLASSES - 1].block_bytes, MEDIUM_MAX);
    EXPECT_LT(hak_size_class[LINE_CLASSES - 1].block_bytes, LINE_BYTES);
    EXPECT_EQ(hak_size_class[LINE_CLASSES].block_bytes, LINE_BYTES);
}

TEST(SizeClass, ASlabHoldsItsBlocks) {
    for (unsigned c = 0; c < CLASSES; c++) {
        const size_class &sc = hak_size_class[c];
        size_t slab = sc.span * SLAB_BYTES;
        EXPECT_GE(sc.capacity, 1u) << c;
        EXPECT_LE(sc.capacity, SLAB_BLOCKS_MAX) << c;
        EXPECT_LE(sc.capacity, slab / sc.block_bytes) << c;
        EXPECT_GE(sc.span, 1u) << c;
        EXPECT_LE(sc.span, static_cast<unsigned>(SLABS_PER_SUPERSLAB)) << c;
        /* No block more would fit, and a sixth at most is left over: pages nobody touches. */
        EXPECT_EQ(sc.capacity, slab / sc.block_bytes) << c;
        EXPECT_LE(slab - static_cast<size_t>(sc.capacity) * sc.block_bytes, slab / 6) << c;
    }
}

TEST(SizeClass, ListsOfSharedLinesHaveTheRowsOfTheirClasses) {
    for (unsigned i = CLASSES; i < LISTS; i++) {
        const size_class &list = hak_size_class[i], &sc = hak_size_class[i - CLASSES];
        EXPECT_EQ(list.block_bytes, sc.block_bytes) << i;
        EXPECT_EQ(list.capacity, sc.capacity) << i;
        EXPECT_EQ(list.span, sc.span) << i;
        EXPECT_EQ(list.reciprocal, sc.reciprocal) << i;
    }
}

TEST(SizeClass, ReciprocalsAreTheCeilingOf2To40) {
    for (unsigned c = 0; c < CLASSES; c++) {
        uint64_t bytes = hak_size_class[c].block_bytes;
        EXPECT_EQ(hak_size_class[c].reciprocal, ((UINT64_C(1) << 40) + bytes - 1) / bytes) << c;
    }
}

TEST(SizeClass, EverySizeGetsTheSmallestClassThatFits) {
    unsigned c = 0;
    for (size_t size = 0; size <= MEDIUM_MAX; size++) {
        while (hak_size_class[c].block_bytes < size) c++;
        ASSERT_EQ(size_class_of(size), c) << size;
    }
    EXPECT_EQ(c, CLASSES - 1u);
}

TEST(SizeClass, TheTablesMeetAtTheirBoundaries) {
    for (size_t size = 0; size <= SMALL_MAX; size++) {
        ASSERT_EQ(scaled_class_of_small(size), size_class_of(size) << CLASS_SCALE) << size;
        ASSERT_LT(size_class_of(size), static_cast<unsigned>(SMALL_CLASSES)) << size;
    }
    for (size_t size = SMALL_MAX + 1; size <= MIDDLE_MAX; size++) {
        ASSERT_EQ(scaled_class_of_middle(size), size_class_of(size) << CLASS_SCALE) << size;
    }
    EXPECT_EQ(size_class_of(SMALL_MAX + 1), static_cast<unsigned>(SMALL_CLASSES));
    EXPECT_EQ(size_class_of_big(MIDDLE_MAX + 1), size_class_of(MIDDLE_MAX) + 1);
    EXPECT_EQ(size_class_of(MEDIUM_MAX), CLASSES - 1u);
}

TEST(SizeClass, WasteIsBounded) {
    for (size_t size = 1; size <= MEDIUM_MAX; size++) {
        size_t bytes = hak_size_class[size_class_of(size)].block_bytes;
        size_t waste = bytes - size;
        ASSERT_GE(bytes, size);
        if (size <= 128) {
            ASSERT_LT(waste, 16u) << size;
        } else if (size <= 8 * KiB) {
            ASSERT_LT(waste * 8, size) << size;
        } else {
            ASSERT_LT(waste * 4, size) << size;
        }
        ASSERT_LE(bytes, size + size / 3 + 4096) << size;
    }
}

TEST(SizeClass, PowersOfTwoTo64KiBAreClasses) {
    for (size_t size = BLOCK_MIN; size <= 64 * KiB; size *= 2) {
        const size_class &sc = hak_size_class[size_class_of(size)];
        EXPECT_EQ(sc.block_bytes, size);
        /* Aligned to their size, as a slab is aligned to 64 KiB. */
        EXPECT_EQ(SLAB_BYTES % size, 0u);
    }
}

TEST(SizeClass, EveryBlockIsAlignedTo16) {
    for (unsigned c = 0; c < CLASSES; c++) EXPECT_EQ(hak_size_class[c].block_bytes % 16, 0u) << c;
}

TEST(SizeClass, IndexIsExactAroundEveryBlockBoundary) {
    for (unsigned c = 0; c < CLASSES; c++) {
        const size_class &sc = hak_size_class[c];
        size_t slab = sc.span * SLAB_BYTES;
        for (size_t at = 0; at < slab; at += sc.block_bytes) {
            ASSERT_EQ(size_class_index(c, at), at / sc.block_bytes) << c << " " << at;
            ASSERT_EQ(size_class_index(c, at + 1), (at + 1) / sc.block_bytes) << c << " " << at;
            if (at == 0) continue;
            ASSERT_EQ(size_class_index(c, at - 1), (at - 1) / sc.block_bytes) << c << " " << at;
        }
        ASSERT_EQ(size_class_index(c, slab - 1), (slab - 1) / sc.block_bytes) << c;
    }
}

TEST(SizeClass, IndexIsExactForEveryOffset) {
    for (unsigned c : {0u, 2u, 4u, 9u, 17u, 31u, 32u, 55u, 57u, 67u, 75u, 83u}) {
        const size_class &sc = hak_size_class[c];
        size_t slab = sc.span * SLAB_BYTES;
        for (size_t at = 0; at < slab; at++) {
            ASSERT_EQ(size_class_index(c, at), at / sc.block_bytes) << c << " " << at;
        }
    }
}

} // namespace
