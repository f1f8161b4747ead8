// A program that has operator new and operator delete of its own, and of each form no other: what
// the language makes of the others calls them, as it does without the library.
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace {

constexpr std::size_t kHeader = 32; // before each block: the library knows no block there
long live;
long most;

} // namespace

void *operator new(std::size_t size) {
    if (size > static_cast<std::size_t>(1) << 40) throw std::bad_alloc();
    char *block = static_cast<char *>(std::malloc(kHeader + size));
    if (block == nullptr) throw std::bad_alloc();
    if (++live > most) most = live;
    return block + kHeader;
}

void operator delete(void *block) noexcept {
    if (block == nullptr) return;
    --live;
    std::free(static_cast<char *>(block) - kHeader);
}

int main() {
    const long before = live;
    for (int i = 0; i < 1000; ++i) {
        const std::size_t size = static_cast<std::size_t>(1 + i * 61);
        delete new long(i);
        delete[] new char[size];
        ::operator delete(::operator new(size), size);
        ::operator delete[](::operator new[](size), size);
        ::operator delete(::operator new(size, std::nothrow), std::nothrow);
        ::operator delete[](::operator new[](size, std::nothrow), std::nothrow);
        std::vector<std::string> texts(10, std::string(100 + size, 'x'));
        std::shared_ptr<std::string> shared = std::make_shared<std::string>(texts[3]);
        if (live < before + 12) {
            std::printf("FAIL: the vector's and its strings' blocks are not the program's\n");
            return 1;
        }
    }
    if (live != before) std::printf("FAIL: %ld blocks are left\n", live - before);
    if (::operator new(static_cast<std::size_t>(1) << 41, std::nothrow) != nullptr) {
        std::printf("FAIL: a block of 2 TiB\n");
        return 1;
    }
    return live == before ? 0 : 1;
}
