"""How the allocator is compiled, and what a layer of it is."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")

_WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Werror=implicit",
    "-Wmissing-prototypes",
]

# What the allocator needs to be right, in every build.
_ALWAYS = [
    # Else the compiler turns malloc and memset of calloc into a call of calloc.
    "-fno-builtin-malloc",
    # The library's own calls are not for others to replace.
    "-fno-semantic-interposition",
    "-fvisibility=hidden",
    # A thread's front is found without a call; a call could allocate.
    "-ftls-model=initial-exec",
    "-fno-math-errno",
]

# Bazel's optimised builds add a stack protector, fortified libc calls and frame pointers: each
# costs instructions in malloc and free.
_FAST = [
    "-O2",
    "-U_FORTIFY_SOURCE",
    "-fcf-protection=none",
    "-fno-stack-protector",
    "-fomit-frame-pointer",
    "-fno-plt",
    "-ffunction-sections",
]

# A sanitizer sets its own optimisation and keeps its frame pointers.
COPTS = _WARNINGS + _ALWAYS + select({
    "//:sanitizer": [],
    "//conditions:default": _FAST,
})

# Page sizes of aarch64 beside 4 KiB.
PAGE_KIBS = [
    16,
    64,
]

def hak_layer(
        name,
        deps = [],
        visibility_to = [],
        test = False,
        test_deps = [],
        test_tags = [],
        **kwargs):
    """A layer: NAME.c and NAME.h, of which either may be missing, and with `test` NAME_test.cc.

    Args:
      name: the layer and its folder.
      deps: the layers below that it uses.
      visibility_to: the packages that may use it, like "//hakmem/slab".
      test: whether NAME_test.cc is there.
      test_deps: what the test needs besides the layer and GoogleTest.
      test_tags: tags of the test.
      **kwargs: more for the cc_library; srcs and hdrs here replace what is found.
    """
    cc_library(
        name = name,
        srcs = kwargs.pop("srcs", native.glob([name + ".c"], allow_empty = True)),
        hdrs = kwargs.pop("hdrs", native.glob([name + ".h"], allow_empty = True)),
        copts = COPTS + kwargs.pop("copts", []),
        linkstatic = True,
        visibility = [package + ":__pkg__" for package in visibility_to] or
                     ["//visibility:private"],
        deps = deps,
        **kwargs
    )

    # The explorer of interleavings compiles the layers once more.
    native.exports_files(
        native.glob(["*.c", "*.h"]),
        visibility = ["//hakmem/interleave_test:__pkg__"],
    )
    if test:
        cc_test(
            name = name + "_test",
            srcs = [name + "_test.cc"],
            # GoogleTest is C++, whose library Memory Sanitizer would have to be built into.
            tags = ["no-msan"] + test_tags,
            deps = [":" + name, "@googletest//:gtest_main"] + test_deps,
        )

def page_size_tests(name, srcs, deps, **kwargs):
    """A test once more with each page size that Linux has, but 4 KiB: NAME_of_16_kib_test ...

    Args:
      name: what is tested, as in os_backend_pages.
      srcs: the test's sources.
      deps: what they need, GoogleTest's main included.
      **kwargs: more for the cc_test.
    """
    for kib in PAGE_KIBS:
        cc_test(
            name = "%s_of_%d_kib_test" % (name, kib),
            srcs = srcs,
            tags = ["no-msan"],
            deps = deps + ["//hakmem/os_backend:page_%d_kib" % kib],
            **kwargs
        )

def hak_layer_benchmark(name, deps = []):
    """Times a layer's operations one by one, from NAME.cc.

    Args:
      name: LAYER_benchmark.
      deps: what the benchmark needs besides the layer and Google Benchmark.
    """
    cc_binary(
        name = name,
        srcs = [name + ".cc"],
        # What is inline in the layer's header is compiled as in the allocator.
        copts = select({
            "//:sanitizer": [],
            "//conditions:default": _FAST,
        }),
        linkstatic = True,
        deps = [
            ":" + name[:-len("_benchmark")],
            "@google_benchmark//:benchmark",
            "@google_benchmark//:benchmark_main",
        ] + deps,
    )
