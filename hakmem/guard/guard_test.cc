#include "hakmem/guard/guard.h"

#include <cstring>
#include <thread>
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
        trailer_write(room.bytes, sizeof(room), asked, KIND_NEW_ARRAY, nullptr);
        guarded_block g;
        ASSERT_EQ(trailer_read(room.bytes, sizeof(room), &g), TRAILER_LIVE);
        EXPECT_EQ(g.asked, asked);
        EXPECT_EQ(g.kind, KIND_NEW_ARRAY);
        EXPECT_TRUE(trailer_is_whole(&g));
        EXPECT_EQ(hak_trailer_overflow(&g), nullptr);
    }
}

TEST(Trailer, FindsAnyByteThatIsWrittenBehindWhatWasAskedFor) {
    Room room;
    for (size_t asked : {0, 5, 16, 100}) {
        for (size_t at = asked; at < sizeof(room) - 16; at++) {
            trailer_write(room.bytes, sizeof(room), asked, KIND_MALLOC, nullptr);
            room.bytes[at]++;
            guarded_block g;
            ASSERT_EQ(trailer_read(room.bytes, sizeof(room), &g), TRAILER_LIVE);
            ASSERT_FALSE(trailer_is_whole(&g));
            ASSERT_EQ(hak_trailer_overflow(&g), room.bytes + at);
        }
    }
}

TEST(Trailer, IsDamagedByAnyByteThatIsWrittenToIt) {
    Room room;
    for (size_t at = sizeof(room) - 16; at < sizeof(room); at++) {
        trailer_write(room.bytes, sizeof(room), 100, KIND_MALLOC, nullptr);
        room.bytes[at]++;
        guarded_block g;
        ASSERT_EQ(trailer_read(room.bytes, sizeof(room), &g), TRAILER_DAMAGED) << at;
    }
}

TEST(Trailer, GoesFromStateToStateOnce) {
    Room room;
    trailer_write(room.bytes, sizeof(room), 100, KIND_MALLOC, nullptr);
    guarded_block g;
    EXPECT_FALSE(trailer_turn(room.bytes, sizeof(room), SEAL_WAITING, SEAL_LEFT));
    EXPECT_TRUE(trailer_turn(room.bytes, sizeof(room), 0, SEAL_WAITING));
    EXPECT_EQ(trailer_read(room.bytes, sizeof(room), &g), TRAILER_WAITING);
    EXPECT_FALSE(trailer_turn(room.bytes, sizeof(room), 0, SEAL_WAITING));
    EXPECT_TRUE(trailer_turn(room.bytes, sizeof(room), SEAL_WAITING, SEAL_LEFT));
    EXPECT_EQ(trailer_read(room.bytes, sizeof(room), &g), TRAILER_LEFT);
    EXPECT_FALSE(trailer_turn(room.bytes, sizeof(room), SEAL_WAITING, SEAL_LEFT));
}

/* By the class: the slack is known to end a block of so many bytes. */
TEST(Trailer, OfAKnownWindowFindsTheSameBytes) {
    Room room;
    for (size_t window = 16; window <= GUARD_WINDOW_BYTES; window += 16) {
        size_t room_bytes = sizeof(room) - sizeof(trailer);
        for (size_t asked = room_bytes - window; asked <= room_bytes; asked++) {
            trailer_write_in(room.bytes, sizeof(room), asked, KIND_MALLOC, nullptr, window);
            guarded_block g;
            ASSERT_EQ(trailer_read(room.bytes, sizeof(room), &g), TRAILER_LIVE);
            g.window = window;
            memset(room.bytes, 0, asked);
            ASSERT_TRUE(trailer_is_whole(&g)) << window << " " << asked;
            for (size_t at = asked; at < room_bytes; at++) {
                room.bytes[at] ^= 1;
                ASSERT_FALSE(trailer_is_whole(&g)) << window << " " << asked << " " << at;
                ASSERT_EQ(hak_trailer_overflow(&g), room.bytes + at);
                room.bytes[at] ^= 1;
            }
        }
    }
}

TEST(Trailer, LeavesWhatIsBelowTheSlackAsItWas) {
    Room room;
    memset(room.bytes, 7, sizeof(room));
    trailer_write(room.bytes, sizeof(room), 101, KIND_MALLOC, nullptr);
    for (int i = 0; i < 101; i++) ASSERT_EQ(room.bytes[i], 7) << i;
}

TEST(Trailer, FindsAnyByteThatIsWrittenAfterTheFree) {
    Room room;
    for (unsigned char fill : {0, GUARD_FREED}) {
        for (size_t bytes = 16; bytes <= sizeof(room); bytes += 16) {
            trailer_write(room.bytes, bytes, 0, KIND_MALLOC, nullptr);
            guarded_block g;
            ASSERT_EQ(trailer_read(room.bytes, bytes, &g), TRAILER_LIVE);
            trailer_fill(room.bytes, trailer_room(&g), fill);
            ASSERT_TRUE(trailer_is_filled(room.bytes, bytes, fill));
            ASSERT_EQ(hak_trailer_late_write(&g, fill), nullptr);
            for (size_t at = 0; at < bytes - 16; at++) {
                room.bytes[at] ^= 1;
                ASSERT_FALSE(trailer_is_filled(room.bytes, bytes, fill)) << bytes << " " << at;
                ASSERT_EQ(hak_trailer_late_write(&g, fill), room.bytes + at);
                room.bytes[at] ^= 1;
            }
        }
    }
}

TEST(Trailer, FindsAWriteOfZerosToTheFirstBytes) {
    Room room;
    trailer_write(room.bytes, sizeof(room), 100, KIND_MALLOC, nullptr);
    trailer_fill(room.bytes, sizeof(room) - sizeof(trailer), 0);
    memset(room.bytes, 0, 8);
    EXPECT_FALSE(trailer_is_filled(room.bytes, sizeof(room), 0));
}

TEST(Trailer, OfAnotherAddressIsNone) {
    std::vector<Room> rooms(2);
    trailer_write(rooms[0].bytes, sizeof(Room), 100, KIND_MALLOC, nullptr);
    memcpy(&rooms[1], &rooms[0], sizeof(Room));
    guarded_block g;
    EXPECT_EQ(trailer_read(rooms[1].bytes, sizeof(Room), &g), TRAILER_DAMAGED);
}

TEST(Trailer, KeepsPlaces) {
    Room room;
    places here = {{"a", "b", nullptr, nullptr}};
    trailer_write(room.bytes, sizeof(room), 100, KIND_MALLOC, &here);
    guarded_block g;
    ASSERT_EQ(trailer_read(room.bytes, sizeof(room), &g), TRAILER_LIVE);
    ASSERT_NE(g.allocated, nullptr);
    EXPECT_EQ(memcmp(g.allocated, &here, sizeof(here)), 0);
    EXPECT_EQ(g.freed->at[0], nullptr);
    EXPECT_TRUE(trailer_is_whole(&g));
    trailer_fill(room.bytes, trailer_room(&g), GUARD_FREED);
    EXPECT_TRUE(trailer_is_filled(room.bytes, sizeof(room), GUARD_FREED));
    EXPECT_EQ(memcmp(g.allocated, &here, sizeof(here)), 0);
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

/* Everything leaves; returns how many did. */
unsigned empty() {
    quarantine_turn turn;
    unsigned outs = 0;
    do {
        EXPECT_TRUE(hak_quarantine_turn(&turn, nullptr, 0));
        outs += turn.outs;
    } while (turn.outs != 0);
    EXPECT_EQ(hak_quarantine_bytes(), 0u);
    return outs;
}

TEST(Quarantine, KeepsABatchApartUntilItIsFull) {
    static char blocks[2 * QUARANTINE_BATCH];
    hak_quarantine_start();
    unsigned added = 0;
    while (quarantine_add(&blocks[added], 16)) added++;
    EXPECT_EQ(added, unsigned{QUARANTINE_BATCH});
    EXPECT_EQ(hak_quarantine_bytes(), added * size_t{16});
    quarantine_turn turn;
    waiting one = {&blocks[added], 16};
    ASSERT_TRUE(hak_quarantine_turn(&turn, &one, SIZE_MAX));
    EXPECT_EQ(turn.outs, 0u);
    EXPECT_EQ(hak_quarantine_bytes(), (added + 1) * size_t{16});
    EXPECT_TRUE(quarantine_add(&blocks[added + 1], 16));
    EXPECT_EQ(empty(), added + 2);
}

TEST(Quarantine, KeepsNoMoreBytesApartThanItsBound) {
    static char blocks[2];
    EXPECT_TRUE(quarantine_add(&blocks[0], GUARD_BATCH_BYTES));
    EXPECT_FALSE(quarantine_add(&blocks[1], 16));
    EXPECT_EQ(empty(), 1u);
}

TEST(Quarantine, LetsTheOldestOutFirstAndEachOnce) {
    static char blocks[1000];
    std::vector<int> out(1000);
    quarantine_turn turn;
    for (char &block : blocks) {
        waiting one = {&block, 100};
        ASSERT_TRUE(hak_quarantine_turn(&turn, &one, SIZE_MAX));
        ASSERT_EQ(turn.outs, 0u);
    }
    bool shuffled = false;
    for (unsigned from = 0; from < 1000; from += turn.outs) {
        ASSERT_TRUE(hak_quarantine_turn(&turn, nullptr, 0));
        ASSERT_GT(turn.outs, 0u);
        for (unsigned i = 0; i < turn.outs; i++) {
            auto n = static_cast<unsigned>(static_cast<char *>(turn.out[i].block) - blocks);
            out[n]++;
            EXPECT_GE(n, from);
            EXPECT_LT(n, from + QUARANTINE_OUTS);
            shuffled |= n != from + i;
        }
    }
    for (int times : out) EXPECT_EQ(times, 1);
    EXPECT_TRUE(shuffled);
    EXPECT_EQ(hak_quarantine_bytes(), 0u);
}

TEST(Quarantine, KeepsItsBound) {
    static char blocks[100];
    quarantine_turn turn;
    for (char &block : blocks) {
        waiting one = {&block, 1000};
        ASSERT_TRUE(hak_quarantine_turn(&turn, &one, 50 * 1000));
        EXPECT_LE(hak_quarantine_bytes(), 50 * 1000u);
    }
    EXPECT_EQ(empty(), 50u);
}

TEST(Quarantine, RefusesWhatWouldDriveAllOthersOut) {
    EXPECT_TRUE(hak_quarantine_takes(hak_quarantine_bound() / 4));
    EXPECT_FALSE(hak_quarantine_takes(hak_quarantine_bound() / 4 + 1));
}

TEST(Quarantine, MakesRoomInAFullRing) {
    static char blocks[QUARANTINE_BATCH];
    quarantine_turn turn;
    size_t added = 0, outs = 0;
    while (added < 2 * GUARD_WAITING) {
        for (char &block : blocks) added += quarantine_add(&block, 1) ? 1 : 0;
        waiting one = {&blocks[0], 1};
        ASSERT_TRUE(hak_quarantine_turn(&turn, &one, SIZE_MAX));
        added++;
        outs += turn.outs;
        ASSERT_LE(added - outs, GUARD_WAITING);
    }
    EXPECT_GT(outs, 0u);
    EXPECT_EQ(empty(), added - outs);
}

TEST(Quarantine, OfAThreadThatEndedLeavesItsBatchToTheNext) {
    quarantine_batch *first = nullptr, *second = nullptr;
    for (quarantine_batch **batch : {&first, &second}) {
        std::thread([batch] {
            hak_quarantine_start();
            *batch = hak_quarantine_mine;
            hak_quarantine_end();
            char block;
            EXPECT_FALSE(quarantine_add(&block, 16));
            hak_quarantine_start();
            EXPECT_FALSE(quarantine_add(&block, 16));
        }).join();
    }
    EXPECT_NE(first, nullptr);
    EXPECT_EQ(first, second);
}

} // namespace
