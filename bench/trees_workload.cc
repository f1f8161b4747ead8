#include "bench/trees_workload.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "bench/workload_parts.h"

namespace hak_bench {
namespace {

std::uint64_t NodesOf(int depth) { return (std::uint64_t{2} << depth) - 1; }

} // namespace

Trees::Trees(const Params &params)
    : depth_(static_cast<int>(params.at("depth"))),
      node_bytes_(std::max(static_cast<std::size_t>(params.at("node_bytes")), sizeof(Node))),
      trees_((static_cast<std::uint64_t>(params.at("cycles")) + NodesOf(depth_) - 1) /
             NodesOf(depth_)),
      threads_(static_cast<std::size_t>(params.at("threads"))) {}

Trees::~Trees() {
    for (const Grove &grove : threads_) {
        if (grove.stand_in != nullptr) munmap(grove.stand_in, kStandInBytes);
    }
}

double Trees::operations() const { return 2 * static_cast<double>(trees_ * NodesOf(depth_)); }

void Trees::Prepare(int thread) {
    threads_[static_cast<std::size_t>(thread)].stand_in =
        static_cast<char *>(MapOrDie(kStandInBytes));
}

// Null where memory ran out; Free and Walk take such trees.
template <class Heap> Trees::Node *Trees::Build(Grove *grove, int depth) const {
    Node *const left = depth == 0 ? nullptr : Build<Heap>(grove, depth - 1);
    Node *const right = depth == 0 ? nullptr : Build<Heap>(grove, depth - 1);
    auto *const node = reinterpret_cast<Node *>(Heap::Allocate(node_bytes_, grove->stand_in));
    if (node == nullptr) {
        grove->failed = true;
        Free<Heap>(left, depth - 1);
        Free<Heap>(right, depth - 1);
        return nullptr;
    }
    node->left = left;
    node->right = right;
    return node;
}

// By depth and not by the links: all nodes of the empty loop are the same.
template <class Heap> void Trees::Free(Node *tree, int depth) {
    if (tree == nullptr) return;
    if (depth > 0) {
        Free<Heap>(tree->left, depth - 1);
        Free<Heap>(tree->right, depth - 1);
    }
    Heap::Free(reinterpret_cast<char *>(tree));
}

std::uint64_t Trees::Walk(const Node *tree, int depth) {
    if (tree == nullptr) return 0;
    if (depth == 0) return 1;
    return 1 + Walk(tree->left, depth - 1) + Walk(tree->right, depth - 1);
}

template <class Heap> void Trees::Steps(Grove *grove, std::uint64_t trees) const {
    for (std::uint64_t i = 0; i < trees && !grove->failed; ++i) {
        Node *const tree = Build<Heap>(grove, depth_);
        const std::uint64_t nodes = Walk(tree, depth_);
        asm volatile("" : : "r"(nodes) : "memory");
        Free<Heap>(tree, depth_);
    }
}

void Trees::WarmUp(int thread) {
    Grove &grove = threads_[static_cast<std::size_t>(thread)];
    grove.stays = Build<RealHeap>(&grove, depth_);
    Steps<RealHeap>(&grove, 1);
}

bool Trees::Run(int thread) {
    Grove &grove = threads_[static_cast<std::size_t>(thread)];
    Steps<RealHeap>(&grove, trees_);
    return !grove.failed;
}

void Trees::Release(int thread) {
    Grove &grove = threads_[static_cast<std::size_t>(thread)];
    Free<RealHeap>(grove.stays, depth_);
    grove.stays = nullptr;
}

void Trees::RunEmpty(int thread) {
    Steps<EmptyHeap>(&threads_[static_cast<std::size_t>(thread)], trees_);
}

} // namespace hak_bench
