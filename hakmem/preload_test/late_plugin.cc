// A shared object that brings the C++ runtime with it, and asks for more than there is.
#include <cstddef>
#include <new>

namespace {
int handled;

void Handle() {
    if (++handled == 2) throw std::bad_alloc();
}
} // namespace

extern "C" bool plugin_throws(std::size_t size) {
    try {
        ::operator delete(::operator new(size));
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

extern "C" bool plugin_handles(std::size_t size) {
    std::set_new_handler(Handle);
    const bool threw = plugin_throws(size);
    std::set_new_handler(nullptr);
    return threw && handled == 2;
}

extern "C" bool plugin_returns_null(std::size_t size) {
    return ::operator new(size, std::nothrow) == nullptr;
}
