"""The arrows between the packages: who may import whom."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ("trainer", "models", "experiments", "benchmarks", "conf", "scripts", "tests")
CONFIG_LIBRARIES = ("hydra", "omegaconf")
MAY_COMPOSE = {
    *(f"trainer/{name}.py" for name in ("__main__", "compose", "config", "build", "run")),
    *(
        f"trainer/sweep/{name}.py"
        for name in ("launcher", "plan", "plugins", "run_seeds", "sweeper")
    ),
    *(f"trainer/sweep/search/{name}.py" for name in ("command", "source", "space")),
}
MAY_IMPORT = {
    "models": {"models"},
    "trainer": {"trainer"},
    "experiments": {"experiments", "trainer", "models"},
    "benchmarks": {"benchmarks", "trainer", "models"},
    "scripts": {"trainer", "benchmarks"},
}


def imports(path):
    """The dotted names that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


FILES = [
    path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))
]  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_go_one_way(path):
    package = path.relative_to(ROOT).parts[0]
    roots = {name.split(".")[0] for name in imports(path)}
    assert roots & set(PROJECT) <= MAY_IMPORT[package]
    if str(path.relative_to(ROOT)) not in MAY_COMPOSE:
        assert not roots & set(CONFIG_LIBRARIES)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "experiments").glob("*.py")), ids=lambda path: path.name
)
def test_an_experiment_imports_no_other(path):
    others = {name for name in imports(path) if name.startswith("experiments")}
    assert not others


@pytest.mark.parametrize(
    "path", sorted((ROOT / "models").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_models_know_keras_and_tensorflow_alone(path):
    standard = {"collections", "difflib", "inspect", "math", "pathlib", "typing"}
    roots = {name.split(".")[0] for name in imports(path)}
    assert roots <= {"keras", "tensorflow", "models"} | standard


CALLS_OF_CODE = {
    *("eval", "exec", "compile", "__import__", "load_model", "unsafe_load", "full_load"),
    *("load_library", "load_op_library", "enable_unsafe_deserialization", "func_load"),
}
MAKERS_OF_CODE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "h5py"}
RESTRICTED_UNPICKLER = "trainer/data/cifar_files.py"
READER_OF_OUR_OWN = "trainer/export/fresh_process.py"  # what `export` has written just now


def calls(path):
    """The calls in a file, as (the last part of the name, the node)."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            is_method = isinstance(node.func, ast.Attribute)
            yield name, is_method, node


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if path.relative_to(ROOT).parts[0] in ("trainer", "models")],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_nothing_that_is_read_can_run(path):
    if str(path.relative_to(ROOT)) != RESTRICTED_UNPICKLER:
        assert not {name.split(".")[0] for name in imports(path)} & MAKERS_OF_CODE
    for name, is_method, node in calls(path):
        where = f"{path.name}:{node.lineno}: {name}"
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        assert "allow_pickle" not in keywords, where
        is_own = name == "load_model" and str(path.relative_to(ROOT)) == READER_OF_OUR_OWN
        assert name not in CALLS_OF_CODE or (name == "compile" and is_method) or is_own, where
        if ast.unparse(node.func) in ("yaml.load", "yaml.parse", "yaml.load_all"):
            assert ast.unparse(keywords["Loader"]) == "yaml.SafeLoader", where


def test_the_unpickler_of_cifar_is_the_restricted_one():
    source = (ROOT / RESTRICTED_UNPICKLER).read_text()
    used = re.findall(r"pickle\.\w+", source)
    assert set(used) == {"pickle.Unpickler", "pickle.UnpicklingError"}
    assert "_ArrayUnpickler(file" in source


def test_the_walk_sees_the_packages():
    assert len(FILES) > 30
    assert "trainer.loop.Chunk" in imports(ROOT / "trainer" / "trainer.py")
