#include "bench/shared_lines_workload.h"

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "bench/workload_parts.h"

namespace hak_bench {

SharedLines::SharedLines(const Params &params)
    : sharing_(static_cast<Sharing>(params.at("sharing"))),
      cycles_(static_cast<std::uint64_t>(params.at("cycles"))),
      size_(static_cast<std::size_t>(params.at("size"))),
      writes_(static_cast<std::uint64_t>(params.at("writes"))),
      lanes_(static_cast<std::size_t>(params.at("threads"))) {}

SharedLines::~SharedLines() {
    for (const Lane &lane : lanes_) {
        if (lane.stand_in != nullptr) munmap(lane.stand_in, kStandInBytes);
    }
}

void SharedLines::Prepare(int thread) {
    cores_.Pin(static_cast<std::size_t>(thread));
    lanes_[static_cast<std::size_t>(thread)].stand_in =
        static_cast<char *>(MapOrDie(kStandInBytes));
}

void SharedLines::WarmUp(int thread) {
    if (sharing_ != Sharing::kScratch || thread != 0) return;
    for (Lane &lane : lanes_) lane.first = RealHeap::Allocate(size_, lane.stand_in);
}

template <class Heap> bool SharedLines::Steps(const Lane &lane) const {
    for (std::uint64_t i = 0; i < cycles_; ++i) {
        char *const block = Heap::Allocate(size_, lane.stand_in);
        if (block == nullptr) return false;
        volatile char *const byte = block;
        for (std::uint64_t k = 0; k < writes_; ++k) byte[0] = static_cast<char>(byte[0] + 1);
        Heap::Free(block);
    }
    return true;
}

bool SharedLines::Run(int thread) {
    Lane &lane = lanes_[static_cast<std::size_t>(thread)];
    RealHeap::Free(lane.first);
    lane.first = nullptr;
    return Steps<RealHeap>(lane);
}

void SharedLines::Release(int thread) { std::free(lanes_[static_cast<std::size_t>(thread)].first); }

void SharedLines::RunEmpty(int thread) {
    cores_.Pin(static_cast<std::size_t>(thread)); // not the thread that Prepare was called on
    Steps<EmptyHeap>(lanes_[static_cast<std::size_t>(thread)]);
}

} // namespace hak_bench
