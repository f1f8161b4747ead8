"""What is broken in each twin of the layers, and the scenario that must catch it."""

TWINS = {
    # ---- Remote frees ----
    "flag_cleared_after_the_bits": {
        "source": "//hakmem/warm_pool:warm_pool.c",
        "find": """            hak_slab_clear_pending(slab);
            hak_slab_collect(slab);
""",
        "put": """            hak_slab_collect(slab);
            hak_slab_clear_pending(slab);
""",
        "scenario": "RemoteFree.IsCollectedOnceWhileTheOwnerHandsOut",
    },
    "remote_bit_set_in_two_steps": {
        "source": "//hakmem/slab:slab.c",
        "find": "    if (fetch_or_acq_rel(&remote_bits(slab)[index / 64], bit) & bit) return",
        "put": """    uint64_t before = load_relaxed(&remote_bits(slab)[index / 64]);
    store_relaxed(&remote_bits(slab)[index / 64], before | bit);
    if (before & bit) return""",
        "scenario": "RemoteFree.IsCollectedOnceWhileTheOwnerHandsOut",
    },
    "remote_bits_taken_in_two_steps": {
        "source": "//hakmem/slab:slab.c",
        "find": "        uint64_t bits = exchange_acq_rel(&remote[w], (uint64_t)0);",
        "put": """        uint64_t bits = load_relaxed(&remote[w]);
        store_relaxed(&remote[w], (uint64_t)0);
""",
        "scenario": "RemoteFree.IsCollectedOnceWhileTheOwnerHandsOut",
    },
    "note_pushed_twice": {
        "source": "//hakmem/slab:slab.c",
        "find": """    if (exchange_acq_rel(&slab->pending, 1u) == 0) hak_slab_push_pending(slab);
    return SLAB_OK;""",
        "put": """    bool noted = load_relaxed(&slab->pending) != 0;
    store_relaxed(&slab->pending, 1u);
    if (!noted) hak_slab_push_pending(slab);
    return SLAB_OK;""",
        "scenario": "RemoteFree.IsCollectedOnceWhileTheOwnerHandsOut",
    },
    "doubled_bits_not_looked_for": {
        "source": "//hakmem/slab:slab.c",
        "find": "if (HAK_UNLIKELY((here & bits) != 0)) report_doubled(slab, w, here & bits);",
        "put": "(void)report_doubled;",
        "scenario": "RemoteFree.TwiceBy*",
    },
}
