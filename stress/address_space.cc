// Blocks spread over terabytes of address space, between holes that nobody may touch: every address
// is found, and what hakmem itself needs grows with the address space in use, not with the heap's
// distance. Only the ends of the large blocks are written, so little of it is resident.
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "hakmem/hakmem.h"
#include "stress/harness.h"

namespace hak_stress {
namespace {

constexpr std::size_t kKiB = std::size_t{1} << 10;
constexpr std::size_t kMiB = kKiB << 10;
constexpr std::size_t kGiB = kMiB << 10;
constexpr std::size_t kTiB = kGiB << 10;
// A stretch: large blocks, medium and small ones, then a hole.
constexpr std::size_t kLargeBytes = 8 * kGiB;
constexpr int kLargeBlocks = 16;
constexpr std::size_t kMediumBytes = kMiB; // more than a region of address space holds
constexpr int kMediumBlocks = 96;
constexpr int kSmallBlocks = 2000;
constexpr std::size_t kHoleBytes = 128 * kGiB;
constexpr std::size_t kStretchBytes = kLargeBytes * kLargeBlocks + kHoleBytes;
// The registry has 68 KiB a GiB in use, and superslabs and large blocks have records.
constexpr std::size_t kMostMetadataPerTiB = 80 * kMiB;
// Of the registry, the words at the blocks' beginnings alone are touched.
constexpr std::size_t kMostResidentPerTiB = 16 * kMiB;
// What stays when all is freed: the touched words of addresses that were in use once.
constexpr std::size_t kMostLeftPerTiB = 4 * kMiB;

// --mode=full: so much of each size, and what may come on top.
constexpr std::size_t kHeapBytes = 256 * kMiB;
// Descending: smaller blocks have more bits, and metadata of an earlier heap is used again.
constexpr std::size_t kSizes[] = {4 * kKiB, kKiB, 256, 64, 32, 16};
constexpr double kMostMetadataPerGiB = 24.0 * kMiB;
constexpr double kMostOverPerGiB = 24.0 * kMiB;

struct Piece {
    unsigned char *data;
    std::size_t size;
};

hak_stats Stats() {
    hak_stats stats{};
    stats.size = sizeof(stats);
    if (!hak_stats_get(&stats)) Fail("hak_stats_get fails");
    return stats;
}

// What must be at both ends of a block: it follows from where the block lies.
void Mark(const Piece &piece) {
    const auto mark = reinterpret_cast<std::uintptr_t>(piece.data);
    std::memcpy(piece.data, &mark, sizeof(mark));
    std::memcpy(piece.data + piece.size - sizeof(mark), &mark, sizeof(mark));
}

void Check(const Piece &piece) {
    const auto mark = reinterpret_cast<std::uintptr_t>(piece.data);
    if (std::memcmp(piece.data, &mark, sizeof(mark)) != 0 ||
        std::memcmp(piece.data + piece.size - sizeof(mark), &mark, sizeof(mark)) != 0) {
        Fail("a block of %zu bytes at %p lost what was written to it", piece.size,
             static_cast<void *>(piece.data));
    }
    if (hak_usable_size(piece.data) < piece.size) Fail("a block is smaller than it was");
}

Piece Allocate(std::size_t size) {
    const Piece piece{static_cast<unsigned char *>(hak_malloc(size)), size};
    if (piece.data == nullptr) Fail("no memory for %zu bytes", size);
    Mark(piece);
    return piece;
}

// Address space that nothing is in, so that what comes next lies beyond it.
Piece Hole() {
    void *hole =
        mmap(nullptr, kHoleBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (hole == MAP_FAILED) Fail("no address space for a hole");
    return {static_cast<unsigned char *>(hole), kHoleBytes};
}

void Stretch(Random *random, std::vector<Piece> *pieces, std::vector<Piece> *holes) {
    for (int i = 0; i < kLargeBlocks; ++i) pieces->push_back(Allocate(kLargeBytes));
    for (int i = 0; i < kMediumBlocks; ++i) pieces->push_back(Allocate(kMediumBytes));
    for (int i = 0; i < kSmallBlocks; ++i) pieces->push_back(Allocate(16 + random->Below(1009)));
    holes->push_back(Hole());
}

void Shuffle(Random *random, std::vector<Piece> *pieces) {
    for (std::size_t i = pieces->size(); i > 1; --i) {
        std::swap((*pieces)[i - 1], (*pieces)[random->Below(i)]);
    }
}

// A block that grows to twice its size moves its pages, over the holes.
void Grow(Piece *piece) {
    auto *grown = static_cast<unsigned char *>(hak_realloc(piece->data, 2 * piece->size));
    if (grown == nullptr) Fail("no memory to grow to %zu bytes", 2 * piece->size);
    const auto mark = reinterpret_cast<std::uintptr_t>(piece->data);
    if (std::memcmp(grown, &mark, sizeof(mark)) != 0) Fail("a block that grew lost its beginning");
    *piece = {grown, 2 * piece->size};
    Mark(*piece);
}

// Whether the kernel gives address space that no memory stands behind (vm.overcommit_memory).
bool MayBeSparse() {
    int mode = 0;
    std::FILE *file = std::fopen("/proc/sys/vm/overcommit_memory", "r");
    const bool known = file != nullptr && std::fscanf(file, "%d", &mode) == 1;
    if (file != nullptr) std::fclose(file);
    return !known || mode != 2;
}

void Walk(const Options &options) {
    if (!MayBeSparse()) {
        std::fprintf(stderr, "address space: not walked, vm.overcommit_memory is 2\n");
        return;
    }
    const Baseline baseline;
    const std::size_t resident = ResidentBytes();
    const std::uint64_t metadata = Stats().metadata_bytes;
    const std::size_t all = static_cast<std::size_t>(options.tib) * kTiB;
    Random random(options.seed);
    std::vector<Piece> pieces;
    std::vector<Piece> holes;
    for (std::size_t done = 0; done < all && !Stopped(); done += kStretchBytes) {
        Stretch(&random, &pieces, &holes);
    }
    for (const Piece &piece : pieces) Check(piece);
    std::uintptr_t low = UINTPTR_MAX;
    std::uintptr_t high = 0;
    for (const Piece &piece : pieces) {
        low = std::min(low, reinterpret_cast<std::uintptr_t>(piece.data));
        high = std::max(high, reinterpret_cast<std::uintptr_t>(piece.data + piece.size));
    }
    const std::uint64_t own = Stats().metadata_bytes - metadata;
    const std::size_t here = ResidentBytes() - std::min(resident, ResidentBytes());
    std::fprintf(stderr,
                 "address space: %zu blocks over %.1f TiB; a TiB: %.1f MiB of metadata's address "
                 "space, %.1f MiB resident in all\n",
                 pieces.size(), static_cast<double>(high - low) / kTiB, MiB(own) / options.tib,
                 MiB(here) / options.tib);
    const auto tib = static_cast<std::size_t>(options.tib);
    if (high - low < all / 2) Fail("the blocks lie nearer to each other than they should");
    if (own > tib * kMostMetadataPerTiB) Fail("metadata takes more address space than it may");
    if (ResidentIsMeaningful() && here > tib * kMostResidentPerTiB) {
        Fail("more is resident than may be");
    }
    Shuffle(&random, &pieces);
    for (std::size_t i = 0; i < pieces.size(); i += 3) Grow(&pieces[i]);
    for (const Piece &piece : pieces) {
        Check(piece);
        hak_free(piece.data);
    }
    for (const Piece &hole : holes) munmap(hole.data, hole.size);
    EndOfRun();
    baseline.CheckEnd("address space", kResidentSlack + tib * kMostLeftPerTiB);
}

// How much a heap full of blocks of one size has beside them; `resident` and `metadata`: what there
// was before the first one.
void Fill(std::size_t size, std::size_t resident, std::uint64_t metadata) {
    const Baseline baseline;
    std::vector<void *> blocks(kHeapBytes / size);
    for (void *&block : blocks) {
        block = hak_malloc(size);
        if (block == nullptr) Fail("no memory for %zu bytes", size);
        std::memset(block, 1, size);
    }
    const double gib = static_cast<double>(kHeapBytes) / kGiB;
    const double own = static_cast<double>(Stats().metadata_bytes - metadata) / gib;
    const double asked = static_cast<double>(kHeapBytes + blocks.size() * sizeof(void *));
    const double over = (static_cast<double>(ResidentBytes() - resident) - asked) / gib;
    std::fprintf(stderr, "%zu B: %.1f MiB of metadata's address space a GiB of blocks, ", size,
                 own / kMiB);
    std::fprintf(stderr, "%.1f MiB resident that were not asked for\n", over / kMiB);
    if (own > kMostMetadataPerGiB) Fail("metadata takes more address space than it may");
    if (ResidentIsMeaningful() && over > kMostOverPerGiB) Fail("more is resident than may be");
    for (void *block : blocks) hak_free(block);
    std::vector<void *>().swap(blocks); // the baseline had none
    EndOfRun();
    baseline.CheckEnd("a full heap", kResidentSlack);
}

void FillAll() {
    const std::size_t resident = ResidentBytes();
    const std::uint64_t metadata = Stats().metadata_bytes;
    for (const std::size_t size : kSizes) Fill(size, resident, metadata);
}

} // namespace
} // namespace hak_stress

int main(int argc, char **argv) {
    using namespace hak_stress;
    Options defaults;
    defaults.mode = "sparse";
    const Options options = ParseFlagsOrExit(
        argc, argv,
        "address_space: what hakmem itself needs. --mode=sparse: blocks over --tib terabytes of\n"
        "address space, half of it holes; each block is found, grown and freed. --mode=full: "
        "heaps\n"
        "full of blocks of one size. Fails when metadata grows by more than it may.",
        defaults, {"sparse", "full"}, 1, {"tib"});
    if (options.mode == "sparse") Walk(options);
    if (options.mode == "full") FillAll();
    return 0;
}
