"""What is installed beside the package, and what of it could run: pins, licences, unsafe calls."""

from __future__ import annotations

import ast
import importlib.metadata as metadata
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
CODE = sorted((ROOT / "landscape").rglob("*.py"))
NETWORK = {"socket", "ssl", "http", "ftplib", "smtplib", "requests", "httpx", "aiohttp", "urllib3"}
UNPICKLE = {"pickle.load", "pickle.loads", "joblib.load", "marshal.loads"}
UNPICKLE |= {"pickle.Unpickler", "pickle._Unpickler"}
UNPICKLE |= {"pandas.read_pickle", "cloudpickle.load", "cloudpickle.loads", "shelve.open"}
RUNS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}
ALLOWED = {
    "restricted_pickle": {"pickle._Unpickler"},
    "plain_yaml": {"yaml.load"},
    "on_ray": {"import socket"},  # whether the user's own cluster answers
}
UNSAFE_YAML = {"yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load"}


def pins(path: Path) -> dict[str, str]:
    lines = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
    pairs = [line.split("==") for line in lines if line]
    return {canonicalize_name(name): version for name, version in pairs}


def needed(requirements: Iterable[str], extra: str = "") -> dict[str, str]:
    """All that installing these brings in this environment, by name: the versions here."""
    found: dict[str, str] = {}
    for text in requirements:
        one = Requirement(text)
        name = canonicalize_name(one.name)
        if one.marker is not None and not one.marker.evaluate({"extra": extra}):
            continue
        if name not in found:
            try:
                there = metadata.distribution(name)
            except metadata.PackageNotFoundError:
                pytest.skip(f"{name} is not installed here")
            found[name] = there.version.partition("+")[0]
        for more in ("", *one.extras):
            inner = metadata.distribution(name).requires or []
            found |= {k: v for k, v in needed(inner, more).items() if k not in found}
    return found


@pytest.fixture
def installed() -> dict[str, str]:
    """What README's test command brings, in an environment that it made; else nothing is tested."""
    here = needed([*PROJECT["dependencies"], *EXTRAS["test"]])
    if here["transformers"] != pins(ROOT / "constraints.txt")["transformers"]:
        pytest.skip("the environment is not that of constraints.txt")
    return here


def test_everything_that_the_tests_need_is_pinned(installed: dict[str, str]) -> None:
    pinned = pins(ROOT / "constraints.txt")
    assert installed.keys() <= pinned.keys(), sorted(installed.keys() - pinned.keys())
    assert len(installed) > len(PROJECT["dependencies"]) + len(EXTRAS["test"])


def test_pins_and_lowest_versions_are_within_the_bounds() -> None:
    pinned = pins(ROOT / "constraints.txt")
    lowest = pins(ROOT / "experiments" / "compatibility" / "lowest.txt")
    for text in PROJECT["dependencies"] + EXTRAS["test"]:
        one = Requirement(text)
        (bound,) = one.specifier
        name = canonicalize_name(one.name)
        assert bound.operator == ">="
        assert one.specifier.contains(pinned[name]), text
        assert Version(lowest[name]) == Version(bound.version), text
    for text in (text for extra in EXTRAS.values() for text in extra):
        name = canonicalize_name(Requirement(text).name)
        assert Requirement(text).specifier.contains(pinned[name]), text


def test_readme_installs_the_pinned_versions() -> None:
    commands = re.findall(r"^pip install .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    own = [command for command in commands if re.search(r"(^| )'?\.", command)]
    assert len(own) >= 2
    assert all("-c constraints.txt" in command for command in own), own


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(str(node.module).partition(".")[0])
    return names - sys.stdlib_module_names - {"landscape"}


def test_every_import_is_declared_and_every_dependency_imported() -> None:
    # markupsafe is half of jinja2's interface
    distributions = {"sklearn": "scikit-learn", "yaml": "pyyaml", "markupsafe": "jinja2"}
    names = {distributions.get(name, name) for path in CODE for name in imports(path)}
    imported = {canonicalize_name(name) for name in names}
    declared = {canonicalize_name(Requirement(one).name) for one in PROJECT["dependencies"]}
    assert declared <= imported, declared - imported
    optional = {Requirement(one).name for extra in ("datasets", "ray") for one in EXTRAS[extra]}
    assert imported <= declared | optional, imported - declared


def licences() -> dict[str, str]:
    page = (ROOT / "experiments" / "compatibility" / "LICENCES.md").read_text()
    rows = [re.split(r" *\| *", line.strip("| ")) for line in page.splitlines() if "|" in line]
    return {canonicalize_name(row[0]): row[-1] for row in rows[2:]}


def test_everything_installed_has_its_licence_listed(installed: dict[str, str]) -> None:
    assert installed.keys() <= licences().keys()


def test_licences_allow_any_use() -> None:
    listed = licences()
    assert listed.keys() <= pins(ROOT / "constraints.txt").keys()
    known = {"MIT", "MIT-CMU", "BSD-2-Clause", "BSD-3-Clause", "BSD", "0BSD", "Apache-2.0", "ISC"}
    known |= {"PSF-2.0", "CNRI-Python", "Zlib", "CC0-1.0", "BSL-1.0", "LLVM-exception"}
    known |= {"MPL-2.0"}  # of its own files only: nothing of them is copied or changed here
    for name, licence in listed.items():
        words = set(re.split(r"[ ()]+| AND | OR | WITH ", licence)) - {"AND", "OR", "WITH", ""}
        assert words <= known, (name, licence)


def unsafe(tree: ast.AST) -> Iterator[str]:
    """Whatever could run code that is not the package's own, or reach the network."""
    names: dict[str, str] = {}  # what a name in the file stands for
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {(one.asname or one.name): one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {(one.asname or one.name): f"{node.module}.{one.name}" for one in node.names}
    for module in names.values():
        if module.partition(".")[0] in NETWORK or module.startswith("urllib.request"):
            yield f"import {module}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value == "trust_remote_code":
            yield "trust_remote_code"
        if isinstance(node, ast.Attribute | ast.Name):
            full = _full(node, names)
            if full in RUNS | UNPICKLE | UNSAFE_YAML:
                yield full
        if isinstance(node, ast.Call):
            options = {word.arg: ast.unparse(word.value) for word in node.keywords}
            if _full(node.func, names) == "torch.load" and options.get("weights_only") != "True":
                yield "torch.load without weights_only"
            for option in ("trust_remote_code", "allow_pickle", "shell"):
                if options.get(option, "False") != "False":
                    yield option


def _full(node: ast.expr, names: dict[str, str]) -> str:
    first, _, rest = ast.unparse(node).partition(".")
    return ".".join(part for part in (names.get(first, first), rest) if part)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("eval('1')", "eval"),
        ("import pickle as p\np.load(f)", "pickle.load"),
        ("import torch\ntorch.load(f, weights_only=False)", "torch.load without weights_only"),
        ("np.load(f, allow_pickle=True)", "allow_pickle"),
        ("AutoModel.from_config(c, trust_remote_code=wanted)", "trust_remote_code"),
        ("from urllib.request import urlopen", "import urllib.request.urlopen"),
        ("subprocess.run(c, shell=True)", "shell"),
    ],
)
def test_unsafe_code_is_found(code: str, found: str) -> None:
    assert set(unsafe(ast.parse(code))) == {found}


def test_nothing_here_is_unsafe() -> None:
    """But for the readers of pickles and of YAML, and Ray's address: tests of their own."""
    found = {(path.stem, use) for path in CODE for use in unsafe(ast.parse(path.read_text()))}
    assert found == {(name, use) for name, uses in ALLOWED.items() for use in uses}
