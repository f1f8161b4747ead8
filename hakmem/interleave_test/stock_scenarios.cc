/* The stock of empty slabs: a lock-free stack. */
#include "hakmem/shared_pool/stock.h"

#include <gtest/gtest.h>

#include "hakmem/interleave_test/explorer.h"
#include "hakmem/interleave_test/world.h"

namespace interleave {
namespace {

Owner first, second, third;
slab *popped[4];

/* Each was popped by one, and what nobody has is still there. */
void EachIsThereOnce(size_t slabs) {
    size_t n = 0;
    slab *seen[8];
    for (slab *s : popped) {
        if (s != nullptr) seen[n++] = s;
    }
    while (slab *s = hak_stock_pop()) {
        REQUIRE(n < slabs);
        seen[n++] = s;
    }
    REQUIRE(n == slabs);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) REQUIRE(seen[i] != seen[j]);
    }
    REQUIRE(hak_stock_count() == 0);
}

/* Slabs of the first superslab, in no use, in stock. */
void BeginWith(size_t slabs) {
    first.SetUp(1);
    for (slab *&s : popped) s = nullptr;
    for (size_t i = 0; i < slabs; i++) REQUIRE(hak_stock_push(first.s + 1 + i));
}

TEST(Stock, ASlabIsPoppedOnce) {
    Explore({
        [] { BeginWith(2); },
        {
            [] { popped[0] = hak_stock_pop(); },
            [] { popped[1] = hak_stock_pop(); },
            [] { popped[2] = hak_stock_pop(); },
        },
        [] { EachIsThereOnce(2); },
        3,
    });
}

/* The top that is popped, and pushed again over another link, looks the same. */
TEST(Stock, ATopThatComesBackIsNotTheSame) {
    Explore({
        [] { BeginWith(3); },
        {
            [] { popped[0] = hak_stock_pop(); },
            [] {
                slab *a = hak_stock_pop();
                popped[1] = hak_stock_pop();
                if (a != nullptr) REQUIRE(hak_stock_push(a));
            },
        },
        [] { EachIsThereOnce(3); },
        3,
    });
}

TEST(Stock, PushesAndPopsLoseNothing) {
    Explore({
        [] { BeginWith(1); },
        {
            [] { REQUIRE(hak_stock_push(first.s + 4)); },
            [] { popped[0] = hak_stock_pop(); },
            [] {
                REQUIRE(hak_stock_push(first.s + 5));
                popped[1] = hak_stock_pop();
            },
        },
        [] { EachIsThereOnce(3); },
        3,
    });
}

/* A slab's way from thread to thread, beside a free that comes late for it and one that trims. */
TEST(Stock, AnEmptiedSlabGoesFromThreadToThread) {
    Explore({
        [] {
            first.SetUp(2);
            second.SetUpEmpty();
            third.SetUpEmpty();
        },
        {
            [] {
                GiveOwn(&first.wp, first.blocks[0]);
                hak_warm_pool_trim(&first.wp);
            },
            [] {
                REQUIRE(GiveRemote(first.blocks[1]) == SLAB_OK);
                TakeOne(&second.wp, kOtherClass);
            },
            [] {
                hak_shared_pool_trim(0);
                TakeOne(&third.wp, kClass);
            },
        },
        [] {
            Settle({&first.wp, &second.wp, &third.wp});
            CheckAtRest();
        },
        2,
    });
}

} // namespace
} // namespace interleave
