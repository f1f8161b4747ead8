/* Memory nodes: read from a fake tree, kept apart by the pool. The kernel is not asked: it knows no
 * nodes but its own. */
#include "hakmem/os_backend/numa.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "hakmem/os_backend/os_backend.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/size_class/size_class.h"

namespace {

namespace fs = std::filesystem;

unsigned here;                       /* the node that the thread runs on */
std::map<const char *, unsigned> on; /* superslab's base -> the node it was bound to */

unsigned Here() { return here; }
void Bind(void *base, size_t bytes, unsigned node) {
    EXPECT_EQ(bytes, SUPERSLAB_BYTES);
    on[static_cast<char *>(base)] = node;
}

bool refuse_maps(os_call call) { return call == OS_MAP; }

class Numa : public testing::Test {
  protected:
    void TearDown() override {
        hak_os_set_fault(nullptr);
        for (slab *s : slabs_) hak_shared_pool_give_empty(s);
        EXPECT_TRUE(hak_shared_pool_agrees());
        hak_numa_set_hooks(nullptr, nullptr);
        Nodes("0\n");
    }
    /* The machine has these nodes from now on. */
    void Nodes(const std::string &text) {
        std::string root = testing::TempDir() + "/numa";
        fs::create_directories(root + "/sys/devices/system/node");
        std::ofstream(root + "/sys/devices/system/node/has_memory") << text;
        hak_numa_init(root.c_str());
    }
    slab *Take() {
        slab *s = hak_shared_pool_take(size_class_of(1000), &owner_, false);
        if (s != nullptr) slabs_.push_back(s);
        return s;
    }
    static unsigned NodeOf(const slab *s) { return on.at(slab_superslab(s)->base); }

    std::vector<slab *> slabs_;
    slab_owner owner_ = {};
};

TEST_F(Numa, NodesAreRead) {
    const std::pair<const char *, unsigned> cases[] = {
        {"0\n", 1},    {"0-1\n", 2}, {"0,2\n", 2}, {"0-3,8-9", 6}, {"1-2,63", 3},
        {"62-900", 2}, {"", 1},      {"\n", 1},    {"x", 1},       {"0-", 1},
        {"0,,1", 1},   {"-1", 1},    {"0-1x", 1},  {"5-3\n", 1},   {"4000000000000000000000\n", 1}};
    for (auto [text, nodes] : cases) {
        Nodes(text);
        EXPECT_EQ(hak_numa_nodes(), nodes) << text;
    }
    hak_numa_init("/nowhere");
    EXPECT_EQ(hak_numa_nodes(), 1u);
    hak_numa_init("");
    EXPECT_GE(hak_numa_nodes(), 1u);
}

TEST_F(Numa, AThreadOnANodeWithoutMemoryTakesTheFirst) {
    hak_numa_set_hooks(Here, Bind);
    Nodes("1-2\n");
    for (auto [runs, takes] : {std::pair{1u, 1u}, {2u, 2u}, {0u, 1u}, {3u, 1u}, {1000u, 1u}}) {
        here = runs;
        EXPECT_EQ(hak_numa_node(), takes);
    }
}

TEST_F(Numa, TheMachinesOwnNodeIsFound) {
    hak_numa_init("");
    EXPECT_LT(hak_numa_node(), static_cast<unsigned>(NUMA_NODES_MAX));
    void *base = hak_os_map(SUPERSLAB_BYTES, SUPERSLAB_BYTES);
    ASSERT_NE(base, nullptr);
    hak_numa_bind(base, SUPERSLAB_BYTES, hak_numa_node()); /* as the kernel likes */
    *static_cast<char *>(base) = 1;
    EXPECT_TRUE(hak_os_unmap(base, SUPERSLAB_BYTES));
}

TEST_F(Numa, EachNodeHasItsSuperslabs) {
    hak_numa_set_hooks(Here, Bind);
    Nodes("0-1\n");
    for (int i = 0; i < 200; i++) {
        here = static_cast<unsigned>(i % 2);
        slab *s = Take();
        ASSERT_NE(s, nullptr);
        EXPECT_EQ(NodeOf(s), here) << i;
    }
}

TEST_F(Numa, WhatWasFreedServesItsNodeAgain) {
    hak_numa_set_hooks(Here, Bind);
    Nodes("0-1\n");
    /* As many of node 0, and then of node 1, as fill what there is. */
    size_t before[2];
    for (here = 0; here < 2; here++) {
        before[here] = on.size();
        do {
            ASSERT_NE(Take(), nullptr);
        } while (on.size() < before[here] + 2);
    }
    size_t mapped = on.size(), ones = 0;
    for (slab *s : slabs_) ones += NodeOf(s) == 1;
    for (slab *s : slabs_) hak_shared_pool_give_empty(s);
    slabs_.clear();
    here = 1;
    for (size_t i = 0; i < ones; i++) EXPECT_EQ(NodeOf(Take()), 1u);
    EXPECT_EQ(on.size(), mapped) << "one was mapped anew";
    for (int i = 0; i < SLABS_PER_SUPERSLAB; i++) EXPECT_EQ(NodeOf(Take()), 1u);
    EXPECT_EQ(on.size(), mapped + 1) << "the other node's was taken";
}

TEST_F(Numa, AnotherNodeServesWhereTheOwnHasNoMore) {
    hak_numa_set_hooks(Here, Bind);
    Nodes("0-1\n");
    hak_shared_pool_release_address_space(); /* what is mapped goes, ahead too */
    here = 0;
    ASSERT_NE(Take(), nullptr);
    hak_shared_pool_release_address_space();
    hak_os_set_fault(refuse_maps);
    here = 1;
    for (int i = 0; i < 31; i++) {
        slab *s = Take();
        ASSERT_NE(s, nullptr);
        EXPECT_EQ(NodeOf(s), 0u);
    }
    EXPECT_EQ(Take(), nullptr);
}

/* The last: what one node leaves in the stock has no node. */
TEST_F(Numa, OneNodeBindsNothing) {
    hak_numa_set_hooks(Here, Bind);
    Nodes("0\n");
    size_t before = on.size();
    for (int i = 0; i < 100; i++) ASSERT_NE(Take(), nullptr);
    EXPECT_EQ(on.size(), before);
}

} // namespace
