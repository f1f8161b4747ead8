/* A mix over the public API for tests that make memory scarce: every call must give a valid block,
 * or NULL and ENOMEM, and never touch what it gave before. */
#ifndef HAKMEM_API_WORKLOAD_H_
#define HAKMEM_API_WORKLOAD_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace hakmem_test {

struct Mix {
    uint64_t seed = 1;
    int steps = 400;    /* calls a thread */
    int threads = 2;    /* besides the caller's; their last blocks are freed by the caller */
    bool forks = true;  /* a child frees its copies, and allocates */
    int slots = 48;     /* blocks that a thread holds, at most */
    size_t largest = 0; /* bytes of the largest request; 0: 4 MiB */
};

struct Outcome {
    int refused = 0;   /* calls that gave NULL and ENOMEM */
    std::string wrong; /* the first thing that was wrong; empty: nothing */
};

/* Runs the mix and frees all of it. */
Outcome RunMix(const Mix &mix);

/* What must hold when all is freed and every other thread has ended: counts agree, no byte is
 * live, and after a trim no empty slab and no cached mapping is left. Empty: it all does. */
std::string WhatIsLost();

/* Resident bytes of the process. */
size_t ResidentBytes();

} // namespace hakmem_test

#endif
