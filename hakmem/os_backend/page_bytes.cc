/* Linked into a test, this gives it pages of PAGE_KIB KiB, from before the library's start. */
#include "hakmem/os_backend/os_backend.h"

namespace {

__attribute__((constructor(101))) void SetPageBytes() {
    hak_os_set_page_bytes(static_cast<size_t>(PAGE_KIB) * 1024);
}

} // namespace
