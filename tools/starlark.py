"""Reads BUILD files without Bazel: enough of Starlark is Python for ours.

A BUILD file is run as Python, with the macros it loads from this repository; the rules only note
that they were called. A name that is neither loaded nor one of Bazel's own is a NameError, as in
Bazel 9, which has no built-in rules for C++ or the shell.
"""

import dataclasses

NATIVE_RULES = [
    "alias",
    "config_setting",
    "constraint_setting",
    "constraint_value",
    "filegroup",
    "genquery",
    "genrule",
    "platform",
    "test_suite",
]


@dataclasses.dataclass
class Target:
    label: str
    rule: str
    tags: list


class _Anything:
    """Stands for what only Bazel can make: a rule's attribute, a provider, a select."""

    def __call__(self, *args, **kwargs):
        return self

    def __getattr__(self, name):
        return self

    def __add__(self, other):
        return other

    def __radd__(self, other):
        return other

    def __or__(self, other):
        return self

    __ror__ = __or__


def _glob(package_folder, include=(), exclude=(), allow_empty=True, **_):
    del exclude, allow_empty
    found = {file for pattern in include for file in package_folder.glob(pattern)}
    return sorted(file.relative_to(package_folder).as_posix() for file in found)


class _Package:
    def __init__(self, root, name):
        self.root = root
        self.name = "" if name == "." else name
        self.targets = []

    def _rule(self, rule):
        def call(name="", tags=(), **_):
            self.targets.append(Target(f"//{self.name}:{name}", rule, list(tags or [])))

        return call

    def _native(self):
        native = type("native", (), {rule: staticmethod(self._rule(rule)) for rule in NATIVE_RULES})
        folder = self.root / self.name
        native.glob = staticmethod(lambda *args, **kwargs: _glob(folder, *args, **kwargs))
        native.package_name = staticmethod(lambda: self.name)
        native.existing_rule = staticmethod(lambda name: None)
        native.exports_files = staticmethod(lambda *args, **kwargs: None)
        return native

    def _loaded(self, label, symbol):
        if label.startswith("@"):
            return self._rule(symbol)
        package, _, file = label.removeprefix("//").partition(":")
        if label.startswith(":"):
            package, file = self.name, label[1:]
        return self.run(self.root / package / file)[symbol]

    def run(self, path):
        native = self._native()
        anything = _Anything()
        names = {rule: self._rule(rule) for rule in NATIVE_RULES}

        def load(label, *symbols, **renamed):
            for symbol in symbols:
                names[symbol] = self._loaded(label, symbol)
            for name, symbol in renamed.items():
                names[name] = self._loaded(label, symbol)

        names.update(
            glob=native.glob,
            load=load,
            native=native,
            select=lambda choices, **_: next(iter(choices.values())),
        )
        for name in ["package", "exports_files", "licenses", "package_group", "Label", "rule",
                     "provider", "attr", "config", "depset", "struct", "repository_rule"]:
            names[name] = anything
        exec(compile(path.read_text(), str(path), "exec"), names)  # pylint: disable=exec-used
        return names


def targets_of(root, package):
    """The targets that PACKAGE/BUILD.bazel makes, also through macros."""
    made = _Package(root, package)
    made.run(root / package / "BUILD.bazel")
    return made.targets
