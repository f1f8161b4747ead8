/* For tests: a superslab, and one slab of it. */
#ifndef HAKMEM_SLAB_ONE_SLAB_H_
#define HAKMEM_SLAB_ONE_SLAB_H_

#include <gtest/gtest.h>

#include "hakmem/base/expect_report.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/registry/registry.h"
#include "hakmem/slab/slab.h"

constexpr unsigned kClass = 3; /* 64 bytes */
constexpr uint64_t kCookie = COOKIE_OF(0x5eed);

class OneSlab : public testing::Test {
  protected:
    void SetUp() override {
        testing::FLAGS_gtest_death_test_style = "threadsafe";
        char *base = static_cast<char *>(hak_os_map(SUPERSLAB_BYTES, SUPERSLAB_BYTES));
        ASSERT_NE(base, nullptr);
        ASSERT_TRUE(hak_registry_reserve(base, SUPERSLAB_BYTES));
        ss_ = static_cast<superslab *>(hak_os_meta_alloc(sizeof(superslab)));
        ASSERT_NE(ss_, nullptr);
        ss_->base = base;
        hak_registry_set(base, SLABS_PER_SUPERSLAB, WORD_UNUSED);
        hak_registry_set_record(base, ss_);
        owner_.cookie = kCookie;
    }
    void TearDown() override {
        hak_registry_set(ss_->base, SLABS_PER_SUPERSLAB, 0);
        hak_registry_set_record(ss_->base, nullptr);
        EXPECT_TRUE(hak_os_unmap(ss_->base, SUPERSLAB_BYTES));
    }
    slab *carve() {
        hak_slab_carve(&ss_->slabs[0], kClass, &owner_);
        return &ss_->slabs[0];
    }

    superslab *ss_ = nullptr;
    slab_owner owner_ = {};
};

#endif
