"""The targets of a bench: its program, its workload, its report, each with its test."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")

# gcc knows what malloc and free do and leaves out pairs whose block it sees no use of.
HEAP_COPTS = [
    "-fno-builtin-aligned_alloc",
    "-fno-builtin-calloc",
    "-fno-builtin-free",
    "-fno-builtin-malloc",
    "-fno-builtin-realloc",
]

_GTEST = "@googletest//:gtest_main"

def bench_program(name, deps, test_tags = []):
    """A bench, NAME.cc, and NAME_test, which runs it as a user does.

    Args:
      name: the program.
      deps: its workload and what else it is linked with.
      test_tags: the test's.
    """
    cc_binary(
        name = name,
        srcs = [name + ".cc"],
        data = ["//hakmem:libhakmem.so"],
        deps = deps + [
            "//bench/harness:bench",
            "//bench/harness:flags",
            "//bench/harness:main",
            "@abseil-cpp//absl/flags:flag",
            "@abseil-cpp//absl/strings:str_format",
        ],
    )
    cc_test(
        name = name + "_test",
        size = "small",
        srcs = [name + "_test.cc"],
        data = [":" + name],
        linkstatic = True,
        tags = test_tags,
        deps = [
            ":run_bench",
            "//bench/harness:json_check",
            _GTEST,
        ],
    )

def bench_workload(name, deps = []):
    """A workload, NAME.cc and NAME.h, and NAME_test, which calls its steps.

    Args:
      name: the library.
      deps: what it uses besides workload_parts and the harness's interface.
    """
    cc_library(
        name = name,
        srcs = [name + ".cc"],
        hdrs = [name + ".h"],
        copts = HEAP_COPTS,
        linkopts = ["-pthread"],
        deps = deps + [
            ":workload_parts",
            "//bench/harness:bench",
        ],
    )
    cc_test(
        name = name + "_test",
        size = "small",
        srcs = [name + "_test.cc"],
        linkstatic = True,
        deps = [
            ":" + name,
            ":run_steps",
            "//bench/harness:bench",
            _GTEST,
        ],
    )

def bench_report(name, deps):
    """What a bench says itself, NAME.cc and NAME.h, and NAME_test.

    Args:
      name: the library.
      deps: what it reads besides summaries, and what the test reads of them.
    """
    cc_library(
        name = name,
        srcs = [name + ".cc"],
        hdrs = [name + ".h"],
        deps = deps + [
            "//bench/harness:allocators",
            "//bench/harness:summary",
            "//bench/harness:table",
            "@abseil-cpp//absl/strings",
            "@abseil-cpp//absl/strings:str_format",
        ],
    )
    cc_test(
        name = name + "_test",
        size = "small",
        srcs = [name + "_test.cc"],
        linkstatic = True,
        deps = deps + [
            ":" + name,
            "//bench/harness:json_check",
            _GTEST,
        ],
    )
