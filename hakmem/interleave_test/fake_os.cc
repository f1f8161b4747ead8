#include "hakmem/interleave_test/fake_os.h"

#include <sys/mman.h>

#include <algorithm>
#include <bitset>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "hakmem/config/config.h"
#include "hakmem/interleave_test/explorer.h"
#include "hakmem/os_backend/numa.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/registry/registry.h"

namespace interleave {
namespace {

constexpr size_t kUnits = kFakeBytes / SLAB_BYTES;
constexpr size_t kMetaBytes = 8 * MiB;
std::bitset<kUnits> mapped;
size_t meta_used; /* bytes */
GoneFn gone;

char *Reserve(size_t bytes, size_t align) {
    void *base = mmap(nullptr, bytes + align, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) abort();
    return reinterpret_cast<char *>(align_up(reinterpret_cast<uintptr_t>(base), align));
}

char *MetaBase() {
    static char *const base = Reserve(kMetaBytes, SLAB_BYTES);
    return base;
}

size_t UnitOf(const void *address) {
    return static_cast<size_t>(static_cast<const char *>(address) - FakeBase()) / SLAB_BYTES;
}

size_t UnitsOf(size_t bytes) { return (bytes + SLAB_BYTES - 1) / SLAB_BYTES; }

void Leaves(void *base, size_t bytes, const char *what) {
    if (!IsMapped(base, bytes)) Fail(std::string(what) + " of a range that is not mapped");
    if (gone != nullptr) gone(static_cast<const char *>(base), bytes);
}

} // namespace

/* In one GiB: one leaf of the registry. */
char *FakeBase() {
    static char *const base = Reserve(kFakeBytes, GiB);
    return base;
}

void ResetFakeOs() {
    hak_registry_top[reinterpret_cast<uintptr_t>(FakeBase()) >> LEAF_SHIFT] = 0;
    memset(MetaBase(), 0, meta_used);
    meta_used = 0;
    mapped.reset();
    gone = nullptr;
}

bool IsMapped(const void *base, size_t bytes) {
    for (size_t i = 0; i < UnitsOf(bytes); i++) {
        if (!mapped[UnitOf(base) + i]) return false;
    }
    return true;
}

void OnGone(GoneFn fn) { gone = fn; }

} // namespace interleave

using interleave::mapped;

size_t hak_os_page_bytes(void) { return 4 * KiB; }

/* The lowest range that is free: what was just unmapped is what comes next. */
void *hak_os_map(size_t bytes, size_t align) {
    interleave::Point("os_map", 0);
    size_t units = interleave::UnitsOf(bytes), step = interleave::UnitsOf(align);
    for (size_t at = 0; at + units <= interleave::kUnits; at += step) {
        size_t n = 0;
        while (n < units && !mapped[at + n]) n++;
        if (n < units) continue;
        for (size_t i = 0; i < units; i++) mapped[at + i] = true;
        return interleave::FakeBase() + at * SLAB_BYTES;
    }
    return nullptr;
}

bool hak_os_unmap(void *base, size_t bytes) {
    interleave::Point("os_unmap", 0);
    interleave::Leaves(base, bytes, "unmap");
    for (size_t i = 0; i < interleave::UnitsOf(bytes); i++) {
        mapped[interleave::UnitOf(base) + i] = false;
    }
    return true;
}

/* The budget has no limit here. */
void *hak_os_reserve(size_t bytes, size_t align) { return hak_os_map(bytes, align); }
bool hak_os_release(void *base, size_t bytes) { return hak_os_unmap(base, bytes); }
void hak_os_discard(void *base, size_t bytes) { hak_os_unmap(base, bytes); }

bool hak_os_purge(void *base, size_t bytes) {
    interleave::Point("os_purge", 0);
    interleave::Leaves(base, bytes, "purge");
    return true;
}

unsigned hak_numa_nodes(void) { return 1; }
unsigned hak_numa_node(void) { return 0; }
void hak_numa_bind(void *, size_t, unsigned) {}

bool hak_os_populate(void *, size_t) { return true; }
size_t hak_os_address_space_limit(void) { return SIZE_MAX; }
bool hak_os_ask_huge(void *, size_t) { return false; }
void hak_os_drop_tables(void *, size_t) {}
void hak_os_refuse_huge(void *, size_t) {}
void hak_os_split_huge(void *, size_t) {}
bool hak_os_has_huge(void) { return false; }
void hak_os_clear(void *base, size_t bytes) { std::memset(base, 0, bytes); }
size_t hak_os_resident_bytes(const void *, size_t bytes) { return bytes; }
bool hak_os_has_middle(const void *, size_t) { return true; }

bool hak_os_resize(void *, size_t, size_t) { return false; }

bool hak_os_move(void *base, size_t from_bytes, void *to, size_t to_bytes) {
    interleave::Point("os_move", 0);
    if (!interleave::IsMapped(to, to_bytes)) interleave::Fail("a move to what is not mapped");
    return hak_os_unmap(base, from_bytes);
}

void *hak_os_meta_alloc(size_t bytes) {
    interleave::Point("os_meta_alloc", 0);
    bytes = align_up(bytes, 64);
    if (interleave::meta_used + bytes > interleave::kMetaBytes) return nullptr;
    void *memory = interleave::MetaBase() + interleave::meta_used;
    interleave::meta_used += bytes;
    return memory;
}
