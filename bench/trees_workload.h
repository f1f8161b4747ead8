// Trees: binary trees of small nodes are built from the leaves, walked and freed, beside one tree
// that stays.
#ifndef HAKMEM_BENCH_TREES_WORKLOAD_H_
#define HAKMEM_BENCH_TREES_WORKLOAD_H_

#include <cstdint>
#include <vector>

#include "bench/harness/bench.h"

namespace hak_bench {

// Params: cycles (nodes a thread allocates, and frees), depth (of the trees; a tree has
// 2^(depth + 1) - 1 nodes), node_bytes (at least 16), threads.
class Trees : public Workload {
  public:
    explicit Trees(const Params &params);
    ~Trees() override;

    void Prepare(int thread) override;
    void WarmUp(int thread) override;
    bool Run(int thread) override;
    void Release(int thread) override;
    void RunEmpty(int thread) override;
    // Whole trees: a little above two a cycle.
    double operations() const override;

  private:
    struct Node {
        Node *left;
        Node *right;
    };

    // A thread's own; whole cache lines, so that threads share none.
    struct alignas(64) Grove {
        Node *stays = nullptr;
        char *stand_in = nullptr; // what the empty loop gets for every node
        bool failed = false;
    };

    template <class Heap> Node *Build(Grove *grove, int depth) const;
    template <class Heap> static void Free(Node *tree, int depth);
    template <class Heap> void Steps(Grove *grove, std::uint64_t trees) const;
    static std::uint64_t Walk(const Node *tree, int depth);

    const int depth_;
    const std::size_t node_bytes_;
    const std::uint64_t trees_;
    std::vector<Grove> threads_;
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_TREES_WORKLOAD_H_
