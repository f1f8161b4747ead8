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
        "source": "//hakmem/slab:remote.c",
        "find": "    doubled = fetch_or_acq_rel(remote_word(slab, w), bits) & bits;",
        "put": """    uint64_t before = load_relaxed(remote_word(slab, w));
    store_relaxed(remote_word(slab, w), before | bits);
    doubled = before & bits;""",
        "scenario": "RemoteFree.IsCollectedOnceWhileTheOwnerHandsOut",
    },
    "remote_bits_taken_in_two_steps": {
        "source": "//hakmem/slab:remote.c",
        "find": "        uint64_t bits = exchange_acq_rel(remote, (uint64_t)0);",
        "put": """        uint64_t bits = load_relaxed(remote);
        store_relaxed(remote, (uint64_t)0);
""",
        "scenario": "RemoteFree.IsCollectedOnceWhileTheOwnerHandsOut",
    },
    "note_pushed_twice": {
        "source": "//hakmem/slab:remote.c",
        "find": """    if (exchange_acq_rel(&slab->pending, 1u) == 0) hak_slab_push_pending(slab);
    return doubled;""",
        "put": """    bool noted = load_relaxed(&slab->pending) != 0;
    store_relaxed(&slab->pending, 1u);
    if (!noted) hak_slab_push_pending(slab);
    return doubled;""",
        "scenario": "RemoteFree.IsCollectedOnceWhileTheOwnerHandsOut",
    },
    "doubled_bits_not_looked_for": {
        "source": "//hakmem/slab:remote.c",
        "find": "        if (HAK_UNLIKELY((here & bits) != 0)) {",
        "put": "        if (false) {",
        "scenario": "RemoteFree.TwiceBy*",
    },
    # ---- Slabs that change hands ----
    "closed_stack_is_dropped": {
        "source": "//hakmem/warm_pool:warm_pool.c",
        "find": """        struct slab *next = slab->pending_next;
        hak_slab_forward_pending(slab);
        slab = next;
    }
}

void hak_warm_pool_give_up""",
        "put": """        slab = slab->pending_next;
    }
}

void hak_warm_pool_give_up""",
        "scenario": "HandOver.OfAThreadThatEndsLosesNoRemoteFree",
    },
    "stack_closed_before_the_slabs_go": {
        "source": "//hakmem/warm_pool:warm_pool.c",
        "find": """void hak_warm_pool_release(struct warm_pool *wp) {
""",
        "put": """void hak_warm_pool_release(struct warm_pool *wp) {
    close_pending(wp);
""",
        "scenario": "HandOver.OfAThreadThatEndsLosesNoRemoteFree",
    },
    "foreign_note_is_dropped": {
        "source": "//hakmem/warm_pool:warm_pool.c",
        "find": """        } else {
            hak_slab_forward_pending(slab);
        }""",
        "put": "        }",
        "scenario": "HandOver.ToTheNextThreadWithTheSameHeapLosesNoNote",
    },
    "note_of_an_earlier_life_clears_a_later_one": {
        "source": "//hakmem/slab:remote.c",
        "find": "    if (any != 0 && exchange_acq_rel(&slab->pending, 1u) == 0) " +
                "hak_slab_push_pending(slab);",
        "put": "    (void)any;",
        "scenario": "HandOver.OfAnEmptiedSlabLeavesItsNoteToTheNextLife",
    },
    "unused_slab_keeps_its_owner": {
        "source": "//hakmem/shared_pool:shared_pool.c",
        "find": "    store_release(&slab->owner, &hak_pool.orphans);",
        "put": "",
        "scenario": "HandOver.OfTheLastSlabLeavesALatePusherAnOpenStack",
    },
    # ---- Shared pool ----
    "partial_stage_without_the_lock": {
        "source": "//hakmem/shared_pool:orphans.c",
        "find": """    hak_pool_acquire();
    struct slab *slab = hak_orphans_take(c, owner);
    hak_pool_release();""",
        "put": "    struct slab *slab = hak_orphans_take(c, owner);",
        "scenario": "SharedPool.AnOrphanIsAdoptedOnceBesideRemoteFrees",
    },
    "purged_run_is_not_marked": {
        "source": "//hakmem/shared_pool:purge.c",
        "find": "    hak_superslabs_set(all, ss, ss->used | units, ss->resident);",
        "put": "",
        "scenario": "SharedPool.ARunThatIsPurgedIsNotTaken",
    },
    "run_on_its_way_out_is_not_told_of": {
        "source": "//hakmem/shared_pool:purge.c",
        "find": "    ss->moving |= units;",
        "put": "",
        "scenario": "SharedPool.CountsAgreeBesideAPurge",
    },
    "purged_orphan_stays_listed": {
        "source": "//hakmem/shared_pool:sparse.c",
        "find": """    hak_orphans_remove(slab);
    hak_slab_set_owner(slab, &hak_pool.purger);""",
        "put": "    list_remove(&slab->owned);",
        "scenario": "SharedPool.ASparseOrphanLosesPagesThatNobodyHolds",
    },
    "slab_of_the_purger_is_not_repaired": {
        "source": "//hakmem/shared_pool:repair.c",
        "find": "    if (hak_pool.purging) hak_shared_pool_orphan_all(&hak_pool.purger);",
        "put": "",
        "scenario": "Fork.BesideAPurgeOfASparseOrphan",
    },
    # ---- Stock ----
    "stock_without_a_count": {
        "source": "//hakmem/shared_pool:stock.c",
        "find": "((word >> COUNT_SHIFT) + 1) << COUNT_SHIFT",
        "put": "(word >> COUNT_SHIFT) << COUNT_SHIFT",
        "scenario": "Stock.ATopThatComesBackIsNotTheSame",
    },
    "stock_popped_in_two_steps": {
        "source": "//hakmem/shared_pool:stock.c",
        "find": """    } while (!cas_acq_rel(&top, &seen, after));
    store_relaxed(&slab->stocked, false);""",
        "put": """    } while (load_relaxed(&top) != seen);
    store_relaxed(&top, after);
    store_relaxed(&slab->stocked, false);""",
        "scenario": "Stock.ASlabIsPoppedOnce",
    },
    # ---- Registry ----
    "leaf_published_over_another": {
        "source": "//hakmem/registry:registry.c",
        "find": "        cas_acq_rel(&hak_registry_top[top], &none, (uintptr_t)leaf - bias(top));",
        "put": """        (void)none;
        store_release(&hak_registry_top[top], (uintptr_t)leaf - bias(top));""",
        "scenario": "Registry.WordsOfTwoThreadsShareALeaf",
    },
    "words_go_after_the_range": {
        "source": "//hakmem/shared_pool:superslab.c",
        "find": """    all->mapped--;
    return true;""",
        "put": """    all->mapped--;
    hak_registry_set(ss->base, SLABS_PER_SUPERSLAB, 0);
    return true;""",
        "scenario": "Registry.AnAddressGoesFromASuperslabToALargeBlock",
    },
    "word_of_a_large_block_goes_after_the_range": {
        "source": "//hakmem/large:cache.c",
        "find": "    hak_os_discard(base, bytes);",
        "put": """    hak_os_discard(base, bytes);
    hak_registry_set(base, 1, 0);""",
        "scenario": "Registry.AnAddressGoesFromALargeBlockToAnother",
    },
    # ---- Large ----
    "record_stack_without_a_count": {
        "source": "//hakmem/large:record.c",
        "find": "((top >> 32) + 1) << 32",
        "put": "(top >> 32) << 32",
        "scenario": "Large.ARecordIsTakenOnce",
    },
    "live_is_tested_and_cleared_in_two_steps": {
        "source": "//hakmem/large:large.c",
        "find": "    if (HAK_UNLIKELY(!large_change(r, LARGE_LIVE, LARGE_NONE))) {",
        "put": """    bool was_live = large_kind(load_relaxed(&r->state)) == LARGE_LIVE;
    large_set(r, LARGE_NONE);
    if (!was_live) {""",
        "scenario": "Large.ADoubleFreeIsSeen",
    },
    "kept_mapping_is_taken_in_two_steps": {
        "source": "//hakmem/large:kept.c",
        "find": "           cas_acq_rel(&r->state, &state, large_state(state, LARGE_LIVE_KEPT));",
        "put": "           (store_release(&r->state, large_state(state, LARGE_LIVE_KEPT)), true);",
        "scenario": "LargeCache.AKeptMapping*",
    },
    "near_mapping_is_taken_in_two_steps": {
        "source": "//hakmem/large:kept.c",
        "find": "    return large_change(nearest, LARGE_KEPT, LARGE_LIVE_KEPT) ? nearest : NULL;",
        "put": "    return large_set(nearest, LARGE_LIVE_KEPT), nearest;",
        "scenario": "LargeCache.AKeptMappingIsResizedOrTakenOrTrimmed",
    },
    "row_is_taken_in_two_steps": {
        "source": "//hakmem/large:kept.c",
        "find": "    if (r == NULL || !large_change(r, LARGE_KEPT, LARGE_NONE)) return NULL;",
        "put": """    if (r == NULL) return NULL;
    large_set(r, LARGE_NONE);""",
        "scenario": "LargeCache.AKeptMappingIsCutOrTakenOrTrimmed",
    },
    "neighbour_is_taken_in_two_steps": {
        "source": "//hakmem/large:kept.c",
        "find": "right == NULL || !large_change(right, LARGE_KEPT, LARGE_NONE)) return false;",
        "put": """right == NULL) return false;
    large_set(right, LARGE_NONE);""",
        "scenario": "LargeCache.NeighboursServeAsOneOrAreTaken",
    },
    "part_lives_on_in_the_same_life": {
        "source": "//hakmem/large:kept.c",
        "find": "    large_begin(r, fits ? LARGE_LIVE_KEPT : LARGE_NONE);",
        "put": "    large_set(r, fits ? LARGE_LIVE_KEPT : LARGE_NONE);",
        "scenario": "LargeCache.AKeptMappingIsCutOrTakenOrTrimmed",
    },
    "room_is_taken_in_two_steps": {
        "source": "//hakmem/large:cache.c",
        "find": """(large_change(r, LARGE_LIVE_KEPT, LARGE_LIVE)) hak_large_kept_remove(r, bytes);
    return 0;""",
        "put": """(large_kind(load_relaxed(&r->state)) == LARGE_LIVE_KEPT) {
        large_set(r, LARGE_LIVE);
        hak_large_kept_remove(r, bytes);
    }
    return 0;""",
        "scenario": "LargeCache.RoomIsTakenBesideAFree",
    },
    "bytes_of_what_lost_its_room_are_read_too_late": {
        "source": "//hakmem/large:kept.c",
        "find": "    store_relaxed(&kept->bytes, kept->bytes - bytes);",
        "put": """    (void)bytes;
    store_relaxed(&kept->bytes, kept->bytes - load_relaxed(&r->bytes));""",
        "scenario": "LargeCache.RoomIsTakenBesideAFreeAside",
    },
    # ---- Transfer ----
    "pop_without_the_lock": {
        "source": "//hakmem/transfer:transfer.c",
        "find": """    lock_acquire(&s->lock);
    uint32_t n = load_relaxed(&s->count);
    if (n > 0) {
        chain = s->chains[n - 1];
        s->bytes -= bytes_of(c, chain);
        store_relaxed(&s->count, n - 1);
        if (s->idle > n - 1) s->idle = n - 1;
    }
    lock_release(&s->lock);
    if (chain.head != NULL) fetch_sub_relaxed(&total, bytes_of(c, chain));
    return chain;
}

struct chain hak_transfer_pop_idle""",
        "put": """    uint32_t n = load_relaxed(&s->count);
    if (n > 0) {
        chain = s->chains[n - 1];
        s->bytes -= bytes_of(c, chain);
        store_relaxed(&s->count, n - 1);
        if (s->idle > n - 1) s->idle = n - 1;
    }
    if (chain.head != NULL) fetch_sub_relaxed(&total, bytes_of(c, chain));
    return chain;
}

struct chain hak_transfer_pop_idle""",
        "scenario": "Transfer.EachChainIsPoppedOnce",
    },
    "bound_looked_at_before_the_lock": {
        "source": "//hakmem/transfer:transfer.c",
        "find": """    lock_acquire(&s->lock);
    uint32_t n = load_relaxed(&s->count);
    bool taken = n == 0 || (n < TRANSFER_CHAINS && s->bytes + bytes <= TRANSFER_CLASS_BYTES);""",
        "put": """    uint32_t n = load_relaxed(&s->count);
    bool taken = n == 0 || (n < TRANSFER_CHAINS && s->bytes + bytes <= TRANSFER_CLASS_BYTES);
    lock_acquire(&s->lock);
    n = load_relaxed(&s->count);""",
        "scenario": "Transfer.AFullStockRefusesAllButOne",
    },
    # ---- Lock ----
    "sleeper_is_not_marked": {
        "source": "//hakmem/base:lock.c",
        "find": "exchange_acq_rel(&lock->state, 2u) != 0",
        "put": "exchange_acq_rel(&lock->state, 1u) != 0",
        "scenario": "Lock.*",
    },
    "lock_taken_in_two_steps": {
        "source": "//hakmem/base:lock.c",
        "find": "load_relaxed(&lock->state) == 0 && lock_try(lock)) return;",
        "put": """load_relaxed(&lock->state) == 0) {
            store_relaxed(&lock->state, 1u);
            return;
        }""",
        "scenario": "Lock.*",
    },
    "woken_thread_forgets_the_other_sleepers": {
        "source": "//hakmem/base:lock.c",
        "find": "    while (exchange_acq_rel(&lock->state, 2u) != 0) futex_wait(&lock->state, 2);",
        "put": """    if (exchange_acq_rel(&lock->state, 2u) != 0) {
        do {
            futex_wait(&lock->state, 2);
        } while (!lock_try(lock));
    }""",
        "scenario": "Lock.LetsOneOfThreeInAndWakesAll",
    },
    # ---- Reclaiming ----
    "giver_is_not_waited_for": {
        "source": "//hakmem/base:reclaim.c",
        "find": "while ((now & GIVING) != 0) {",
        "put": "if (false) {",
        "scenario": "Reclaim.FindsN*",
    },
    "last_giver_wakes_nobody": {
        "source": "//hakmem/base:reclaim.c",
        "find": "    futex_wake(&state);",
        "put": "",
        "scenario": "Reclaim.FindsNothingInAnothersHands",
    },
    "giver_comes_in_beside": {
        "source": "//hakmem/base:reclaim.c",
        "find": "    return (now & RECLAIMING) == 0;",
        "put": "    return true;",
        "scenario": "Reclaim.FindsNothingInAnothersHands",
    },
    "note_is_dropped": {
        "source": "//hakmem/base:reclaim.c",
        "find": "now | LEFT",
        "put": "now",
        "scenario": "Reclaim.FindsNothingInAnothersHands",
    },
    "free_does_not_say_that_it_gives": {
        "source": "//hakmem/shared_pool:purge.c",
        "find": "    if (HAK_UNLIKELY(is_above_bound(now)) && hak_giving_begin()) {",
        "put": "    if (is_above_bound(now) && (hak_giving_begin(), hak_giving_end(), true)) {",
        "scenario": "Reclaim.FindsNoUnitsOnTheirWay",
    },
    "tick_does_not_say_that_it_gives": {
        "source": "//hakmem/shared_pool:purge.c",
        "find": "    if (HAK_LIKELY(hak_options.purge) && hak_giving_begin()) {",
        "put": "    if (hak_options.purge && (hak_giving_begin(), hak_giving_end(), true)) {",
        "scenario": "Reclaim.FindsNoUnitsOnTheirWay",
    },
    # ---- Guests ----
    "guest_does_not_look_again": {
        "source": "//hakmem/base:door.c",
        "find": "if (fenced && load_acquire(&door->busy) == 0) return true;",
        "put": "if (fenced) return true;",
        "scenario": "Door.*",
    },
    "owner_does_not_wait": {
        "source": "//hakmem/base:door.c",
        "find": "while (load_acquire(&door->guest) != 0) futex_wait(&door->guest, 1);",
        "put": "",
        "scenario": "Door.*",
    },
    "guest_beside_a_guest": {
        "source": "//hakmem/base:door.c",
        "find": "!cas_acq_rel(&door->guest, &none, 1u)) return false;",
        "put": "(cas_acq_rel(&door->guest, &none, 1u), false)) return false;",
        "scenario": "Door.LetsTheOwnerOrOneGuestIn",
    },
    "owner_is_not_woken": {
        "source": "//hakmem/base:door.c",
        "find": "    futex_wake(&door->guest);",
        "put": "",
        "scenario": "Door.*",
    },
    # ---- Fork ----
    "slab_in_use_before_its_bits": {
        "source": "//hakmem/slab:slab.c",
        "find": "    store_relaxed(&slab->out, 0);",
        "put": """    store_relaxed(&slab->out, 0);
    store_relaxed(&slab->span, (uint8_t)sc->span);""",
        "scenario": "Fork.BesideASlabThatIsCarvedForAnotherClass",
    },
    "masks_are_not_repaired": {
        "source": "//hakmem/shared_pool:repair.c",
        "find": "    if (used != ss->used) " +
                "hak_superslabs_set(&hak_pool.all, ss, used, ss->resident);",
        "put": "    (void)used;",
        "scenario": "Fork.BesideAPurge",
    },
    "notes_are_not_made_anew": {
        "source": "//hakmem/shared_pool:repair.c",
        "find": """        slab->pending = 1;
        hak_slab_push_pending(slab);
""",
        "put": "",
        "scenario": "Fork.BesideARemoteFree",
    },
}
