#include "hakmem/guard/guard.h"

#include <cstring>
#include <vector>

#include "hakmem/config/config.h"
#include "hakmem/config/options.h"
#include "hakmem/guard/places.h"
#include "hakmem/guard/quarantine.h"
#include "hakmem/guard/trailer.h"
#include "gtest/gtest.h"

namespace {

struct alignas(16) Room {
    char bytes[256];
};

TEST(Trailer, KeepsWhatWasAskedFor) {
    Room room;
    for (size_t asked : {0, 1, 100, 239, 240}) {
        hak_trailer_write(room.bytes, sizeof(room), asked, KIND_NEW_ARRAY, nullptr);
        guarded_block g;
        ASSERT_EQ(hak_trailer_read(room.bytes, sizeof(room), &g), TRAILER_LIVE);
        EXPECT_EQ(g.asked, asked);
        EXPECT_EQ(g.kind, KIND_NEW_ARRAY);
        EXPECT_EQ(hak_trailer_overflow(&g), nullptr);
    }
}

TEST(Trailer, FindsAnyByteThatIsWrittenBehindWhatWasAskedFor) {
    Room room;
    for (size_t asked : {0, 5, 16, 100}) {
        for (size_t at = asked; at < sizeof(room) - 16; at++) {
            hak_trailer_write(room.bytes, sizeof(room), asked, KIND_MALLOC, nullptr);
            room.bytes[at]++;
            guarded_block g;
            ASSERT_EQ(hak_trailer_read(room.bytes, sizeof(room), &g), TRAILER_LIVE);
            ASSERT_EQ(hak_trailer_overflow(&g), room.bytes + at);
        }
    }
}

TEST(Trailer, IsDamagedByAnyByteThatIsWrittenToIt) {
    Room room;
    for (size_t at = sizeof(room) - 16; at < sizeof(room); at++) {
        hak_trailer_write(room.bytes, sizeof(room), 100, KIND_MALLOC, nullptr);
        room.bytes[at]++;
        guarded_block g;
        ASSERT_EQ(hak_trailer_read(room.bytes, sizeof(room), &g), TRAILER_DAMAGED) << at;
    }
}

TEST(Trailer, IsFreedOnceOnly) {
    Room room;
    hak_trailer_write(room.bytes, sizeof(room), 100, KIND_MALLOC, nullptr);
    guarded_block g;
    ASSERT_EQ(hak_trailer_read(room.bytes, sizeof(room), &g), TRAILER_LIVE);
    EXPECT_TRUE(hak_trailer_free(&g, true));
    EXPECT_FALSE(hak_trailer_free(&g, true));
    EXPECT_EQ(hak_trailer_read(room.bytes, sizeof(room), &g), TRAILER_WAITING);
    EXPECT_EQ(hak_trailer_late_write(&g), nullptr);
}

TEST(Trailer, FindsAnyByteThatIsWrittenAfterTheFree) {
    Room room;
    for (size_t at = 0; at < sizeof(room) - 16; at++) {
        hak_trailer_write(room.bytes, sizeof(room), 100, KIND_MALLOC, nullptr);
        guarded_block g;
        ASSERT_EQ(hak_trailer_read(room.bytes, sizeof(room), &g), TRAILER_LIVE);
        ASSERT_TRUE(hak_trailer_free(&g, true));
        room.bytes[at] ^= 1;
        ASSERT_EQ(hak_trailer_late_write(&g), room.bytes + at);
    }
}

TEST(Trailer, OfAnotherAddressIsNone) {
    std::vector<Room> rooms(2);
    hak_trailer_write(rooms[0].bytes, sizeof(Room), 100, KIND_MALLOC, nullptr);
    memcpy(&rooms[1], &rooms[0], sizeof(Room));
    guarded_block g;
    EXPECT_EQ(hak_trailer_read(rooms[1].bytes, sizeof(Room), &g), TRAILER_DAMAGED);
}

TEST(Trailer, KeepsPlaces) {
    Room room;
    places here = {{"a", "b", nullptr, nullptr}};
    hak_trailer_write(room.bytes, sizeof(room), 100, KIND_MALLOC, &here);
    guarded_block g;
    ASSERT_EQ(hak_trailer_read(room.bytes, sizeof(room), &g), TRAILER_LIVE);
    ASSERT_NE(g.allocated, nullptr);
    EXPECT_EQ(memcmp(g.allocated, &here, sizeof(here)), 0);
    EXPECT_EQ(g.freed->at[0], nullptr);
    EXPECT_EQ(hak_trailer_overflow(&g), nullptr);
}

TEST(Places, EndWhereFramesCannotBeRead) {
    /* Frames that lead nowhere, downwards, and to what nobody may read. */
    uintptr_t wild[] = {8, uintptr_t{1} << 46, reinterpret_cast<uintptr_t>(wild) - 64, 3};
    for (uintptr_t &frame : wild) {
        places found = {};
        hak_places_find(&found, &found, &frame);
        EXPECT_EQ(found.at[0], &found);
        EXPECT_EQ(found.at[1], nullptr);
    }
}

TEST(Places, FollowFrames) {
    static const char found_there = 0;
    uintptr_t frames[6] = {0, 0, 0, 0, 0, 0};
    frames[0] = reinterpret_cast<uintptr_t>(&frames[2]);
    frames[2] = reinterpret_cast<uintptr_t>(&frames[4]);
    frames[3] = reinterpret_cast<uintptr_t>(&found_there);
    places found = {};
    hak_places_find(&found, &found, frames);
    EXPECT_EQ(found.at[1], static_cast<const void *>(&found_there));
    EXPECT_EQ(found.at[2], nullptr);
}

bool add(void *block, size_t bytes) {
    void *out[QUARANTINE_BATCH];
    unsigned taken;
    return hak_quarantine_add(block, bytes, out, SIZE_MAX, &taken) && taken == 0;
}

TEST(Quarantine, LetsTheOldestOutFirstAndKeepsTheBound) {
    static char blocks[100];
    ASSERT_EQ(hak_quarantine_bytes(), 0u);
    for (char &block : blocks) ASSERT_TRUE(add(&block, 1000));
    EXPECT_EQ(hak_quarantine_bytes(), 100 * 1000u);
    void *out[QUARANTINE_BATCH];
    EXPECT_EQ(hak_quarantine_take(out, 97 * 1000), 3u);
    for (int i = 0; i < 3; i++) EXPECT_EQ(out[i], &blocks[i]);
    EXPECT_EQ(hak_quarantine_take(out, 97 * 1000), 0u);
    EXPECT_EQ(hak_quarantine_take(out, 0), unsigned{QUARANTINE_BATCH});
    EXPECT_EQ(out[0], &blocks[3]);
    while (hak_quarantine_take(out, 0) != 0) continue;
    EXPECT_EQ(hak_quarantine_bytes(), 0u);
}

TEST(Quarantine, RefusesWhatWouldDriveAllOthersOut) {
    EXPECT_TRUE(hak_quarantine_takes(hak_quarantine_bound() / 4));
    EXPECT_FALSE(hak_quarantine_takes(hak_quarantine_bound() / 4 + 1));
}

TEST(Quarantine, MakesRoomInAFullRing) {
    static char block;
    unsigned taken = 0;
    for (size_t added = 0; added < GUARD_WAITING; added++) {
        void *out[QUARANTINE_BATCH];
        ASSERT_TRUE(hak_quarantine_add(&block, 0, out, SIZE_MAX, &taken));
    }
    EXPECT_EQ(taken, 1u);
    void *out[QUARANTINE_BATCH];
    while (hak_quarantine_add(&block, 1, out, 0, &taken) && taken != 1) continue;
    while (hak_quarantine_take(out, 0) != 0) continue;
    EXPECT_EQ(hak_quarantine_bytes(), 0u);
}

} // namespace
