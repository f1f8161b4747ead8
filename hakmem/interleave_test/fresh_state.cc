#include "hakmem/interleave_test/fresh_state.h"

#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "hakmem/interleave_test/fake_os.h"
#include "hakmem/registry/registry.h"

namespace interleave {
namespace {

constexpr ptrdiff_t kPieceBytes = 4096;

struct Range {
    char *begin;
    char *end;
};

/* Writable bytes of the layers' library with what they held at the start. Most are zero:
 * those have no contents here, and are put back without a copy. */
struct Image {
    std::vector<Range> ranges;
    std::vector<std::vector<char>> contents;
};

/* Adds [begin, end) without [hole, hole_end). */
void AddWithout(std::vector<Range> *ranges, char *begin, char *end, char *hole, char *hole_end) {
    if (hole_end <= begin || end <= hole) {
        if (begin < end) ranges->push_back(Range{begin, end});
        return;
    }
    if (begin < hole) ranges->push_back(Range{begin, hole});
    if (hole_end < end) ranges->push_back(Range{hole_end, end});
}

int FindRanges(dl_phdr_info *info, size_t, void *out) {
    if (strstr(info->dlpi_name, "libinterleave_") == nullptr) return 0;
    char *base = reinterpret_cast<char *>(info->dlpi_addr);
    char *relro = nullptr, *relro_end = nullptr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) &header = info->dlpi_phdr[i];
        if (header.p_type != PT_GNU_RELRO) continue;
        relro = base + header.p_vaddr;
        relro_end = relro + header.p_memsz;
    }
    /* The registry's first level is large and nearly empty: the fake system clears its part. */
    void *library = dlopen(info->dlpi_name, RTLD_NOW | RTLD_NOLOAD);
    char *top = static_cast<char *>(dlsym(library, "hak_registry_top"));
    std::vector<Range> writable, pieces;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) &header = info->dlpi_phdr[i];
        if (header.p_type != PT_LOAD || (header.p_flags & PF_W) == 0) continue;
        char *begin = base + header.p_vaddr;
        AddWithout(&writable, begin, begin + header.p_memsz, relro, relro_end);
    }
    for (const Range &r : writable) {
        AddWithout(&pieces, r.begin, r.end, top, top + sizeof(hak_registry_top));
    }
    for (const Range &r : pieces) {
        for (char *at = r.begin; at < r.end; at += kPieceBytes) {
            char *end = std::min(at + kPieceBytes, r.end);
            static_cast<std::vector<Range> *>(out)->push_back(Range{at, end});
        }
    }
    return 1;
}

Image TakeImage() {
    Image image;
    dl_iterate_phdr(FindRanges, &image.ranges);
    if (image.ranges.empty()) {
        fprintf(stderr, "the layers' library is not loaded\n");
        abort();
    }
    for (const Range &r : image.ranges) {
        bool zero = std::all_of(r.begin, r.end, [](char c) { return c == 0; });
        image.contents.emplace_back(r.begin, zero ? r.begin : r.end);
    }
    return image;
}

} // namespace

void ResetState() {
    static const Image image = TakeImage();
    for (size_t i = 0; i < image.ranges.size(); i++) {
        const Range &r = image.ranges[i];
        if (image.contents[i].empty()) {
            memset(r.begin, 0, static_cast<size_t>(r.end - r.begin));
        } else {
            memcpy(r.begin, image.contents[i].data(), image.contents[i].size());
        }
    }
    ResetFakeOs();
}

} // namespace interleave
