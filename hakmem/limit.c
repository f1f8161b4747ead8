#include "hakmem/limit.h"

#include <unistd.h>

#include "hakmem/base/text.h"
#include "hakmem/config/options.h"
#include "hakmem/hakmem.h"
#include "hakmem/large/large.h"
#include "hakmem/os_backend/budget.h"
#include "hakmem/os_backend/cgroup.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/tls_front/tls_front.h"

static hak_limit_callback callback;
/* This thread's callback runs: what fails in it fails without another. */
static __thread bool asking __attribute__((tls_model("initial-exec")));

hak_limit_callback hak_set_limit_callback(hak_limit_callback next) {
    return exchange_acq_rel(&callback, next);
}

bool hak_limit_ask(size_t bytes) {
    hak_limit_callback ask = load_acquire(&callback);
    /* Not in a signal handler that came in a slow path, nor after the thread's end. */
    if (ask == NULL || asking || hak_front.busy != 0) return false;
    asking = true;
    bool again = ask(bytes);
    asking = false;
    return again;
}

uint64_t hak_limit_memory(const char *root) {
    uint64_t cgroup = hak_cgroup_memory_limit(root), ram = hak_ram_bytes(root);
    return cgroup != 0 && (ram == 0 || cgroup < ram) ? cgroup : ram;
}

uint64_t hak_limit_of_percent(const char *root, uint64_t percent) {
    uint64_t bytes = hak_limit_memory(root);
    if (bytes == 0) {
        struct text t = {.length = 0};
        hak_text_string(&t, "hakmem: option HAKMEM_LIMIT: neither a cgroup's limit nor the size of "
                            "RAM can be read; no limit\n");
        hak_text_write(&t, STDERR_FILENO);
    }
    return bytes / 100 * percent;
}

void hak_limit_recount(void) {
    hak_budget_recount(hak_shared_pool_resident_bytes() + hak_large_mapped_bytes() +
                       hak_os_meta_bytes());
}

void hak_limit_init(void) {
    uint64_t percent = hak_options.limit_percent;
    hak_budget_set_limit(percent != 0 ? hak_limit_of_percent("", percent) : hak_options.limit);
}
