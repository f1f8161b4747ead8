"""A fuzz test: libFuzzer under --config=fuzz, everywhere else a replay of its corpus."""

load("@rules_cc//cc:defs.bzl", "cc_test")

def hak_fuzz_test(name, srcs, deps = [], corpus = None, linkopts = [], **kwargs):
    """NAME reads the files of corpus/NAME, each as one input.

    `bazel test //fuzz/...` replays them. This fuzzes and keeps what it finds:
    `bazel run --config=fuzz //fuzz:NAME -- -max_total_time=60 $PWD/fuzz/corpus/NAME`

    Args:
      name: of the test.
      srcs: C or C++ with LLVMFuzzerTestOneInput.
      deps: what it fuzzes.
      corpus: files to replay; those in corpus/NAME when left out.
      linkopts: for the linker, in every build.
      **kwargs: more for the cc_test.
    """
    if corpus == None:
        corpus = native.glob(["corpus/" + name + "/**"], allow_empty = True)
    cc_test(
        name = name,
        size = "small",
        srcs = srcs + select({
            "//:fuzzing": [],
            "//conditions:default": ["//fuzz:replay_main.c"],
        }),
        # libFuzzer gets the folder that it also writes to from whoever runs it.
        args = select({
            "//:fuzzing": [],
            "//conditions:default": ["$(location %s)" % file for file in corpus],
        }),
        data = corpus,
        linkopts = linkopts + select({
            "//:fuzzing": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        # C++, whose library Memory Sanitizer would have to be built into.
        tags = ["no-msan"],
        deps = deps,
        **kwargs
    )
