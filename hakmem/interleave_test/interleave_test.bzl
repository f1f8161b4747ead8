"""The layers compiled once more, with steps for the explorer to choose from; broken twins."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_test")
load("@rules_shell//shell:sh_test.bzl", "sh_test")

# What is explored; a fake stands for os_backend, and the explorer for the ends of a process.
_SOURCES = [
    "//hakmem/base:door.c",
    "//hakmem/base:lock.c",
    "//hakmem/base:reclaim.c",
    "//hakmem/base:text.c",
    "//hakmem/base:watch.c",
    "//hakmem/config:options.c",
    "//hakmem/large:cache.c",
    "//hakmem/large:kept.c",
    "//hakmem/large:large.c",
    "//hakmem/large:record.c",
    "//hakmem/os_backend:budget.c",
    "//hakmem/registry:registry.c",
    "//hakmem/shared_pool:huge.c",
    "//hakmem/shared_pool:orphans.c",
    "//hakmem/shared_pool:policy.c",
    "//hakmem/shared_pool:prewarm.c",
    "//hakmem/shared_pool:purge.c",
    "//hakmem/shared_pool:repair.c",
    "//hakmem/shared_pool:shared_pool.c",
    "//hakmem/shared_pool:sparse.c",
    "//hakmem/shared_pool:stock.c",
    "//hakmem/shared_pool:superslab.c",
    "//hakmem/shared_pool:superslab_check.c",
    "//hakmem/size_class:size_class.c",
    "//hakmem/slab:free_list.c",
    "//hakmem/slab:remote.c",
    "//hakmem/slab:slab.c",
    "//hakmem/transfer:transfer.c",
    "//hakmem/warm_pool:swings.c",
    "//hakmem/warm_pool:warm_pool.c",
]

HEADERS = [
    "//hakmem:hakmem.h",
    "//hakmem/base:atomic.h",
    "//hakmem/base:base.h",
    "//hakmem/base:clock.h",
    "//hakmem/base:futex.h",
    "//hakmem/base:door.h",
    "//hakmem/base:file.h",
    "//hakmem/base:interleave.h",
    "//hakmem/base:list.h",
    "//hakmem/base:lock.h",
    "//hakmem/base:memcheck.h",
    "//hakmem/base:misuse.h",
    "//hakmem/base:random.h",
    "//hakmem/base:reclaim.h",
    "//hakmem/base:text.h",
    "//hakmem/base:watch.h",
    "//hakmem/config:config.h",
    "//hakmem/config:options.h",
    "//hakmem/large:cache.h",
    "//hakmem/large:freed.h",
    "//hakmem/large:kept.h",
    "//hakmem/large:large.h",
    "//hakmem/large:record.h",
    "//hakmem/large:sizes.h",
    "//hakmem/os_backend:budget.h",
    "//hakmem/os_backend:numa.h",
    "//hakmem/os_backend:os_backend.h",
    "//hakmem/registry:registry.h",
    "//hakmem/shared_pool:pool.h",
    "//hakmem/shared_pool:shared_pool.h",
    "//hakmem/shared_pool:stock.h",
    "//hakmem/shared_pool:superslab.h",
    "//hakmem/size_class:size_class.h",
    "//hakmem/slab:bits.h",
    "//hakmem/slab:slab.h",
    "//hakmem/transfer:transfer.h",
    "//hakmem/warm_pool:swings.h",
    "//hakmem/warm_pool:warm_pool.h",
]

# Assertions stay, in every build. -fPIC: the layers' state stays in their library, where it is put
# back before each schedule; else the linker moves what the scenarios name into the program.
INTERLEAVE_COPTS = [
    "-O2",
    "-fPIC",
    "-UNDEBUG",
    "-U_FORTIFY_SOURCE",
    "-DHAK_INTERLEAVE",
]

# Logical threads run on stacks of their own, which no sanitizer follows.
_TAGS = [
    "no-msan",
    "no-sanitizer",
]

def _library(name, sources):
    """The layers as a shared library, whose variables can be put back as a whole."""
    library = "libinterleave_" + name + ".so"
    cc_binary(
        name = library,
        testonly = True,
        srcs = sources + HEADERS,
        copts = INTERLEAVE_COPTS + ["-fno-builtin-malloc"],
        # Its symbols are found at the start: calls change no variable.
        linkopts = ["-Wl,-z,now"],
        linkshared = True,
        tags = _TAGS,
    )
    return ":" + library

def interleave_test(name, **kwargs):
    """All scenarios on the layers as they are."""
    cc_test(
        name = name,
        srcs = [_library(name, _SOURCES)],
        tags = _TAGS,
        deps = [":scenarios"],
        **kwargs
    )

def broken_twins_test(name, twins, **kwargs):
    """Passes if each twin, the layers with one thing broken, makes its scenario fail.

    Args:
      name: of the test.
      twins: name -> what is broken:
        source: the file, one of _SOURCES.
        find: text that is there exactly once.
        put: what stands there instead.
        scenario: GoogleTest's filter of the scenarios, each of which must fail.
      **kwargs: more for the sh_test.
    """
    args = []
    for twin, broken in twins.items():
        _twin(twin, broken["source"], broken["find"], broken["put"])
        args += ["$(rootpath :{})".format(twin), broken["scenario"]]
    sh_test(
        name = name,
        srcs = [name + ".sh"],
        args = args,
        data = [":" + twin for twin in twins],
        tags = _TAGS,
        **kwargs
    )

def _twin(name, source, find, put):
    if source not in _SOURCES:
        fail(source + " is not among the sources that are explored")
    broken = name + "_broken/" + source.rpartition(":")[2]
    native.genrule(
        name = name + "_source",
        testonly = True,
        srcs = [source],
        outs = [broken],
        cmd = "python3 $(location replace_once.py) $(location {}) {} {} > $@".format(
            source,
            _quoted(find),
            _quoted(put),
        ),
        tags = _TAGS,
        tools = ["replace_once.py"],
    )
    cc_binary(
        name = name,
        testonly = True,
        srcs = [_library(name, [s for s in _SOURCES if s != source] + [broken])],
        tags = _TAGS,
        deps = [":scenarios"],
    )

def _quoted(text):
    return "'" + text.replace("'", "'\\''").replace("$", "$$") + "'"
