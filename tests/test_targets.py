import functools
import sys

import keras
import pytest

from trainer import schedules, targets
from trainer.durations import RunLength


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "subprocess.run",
        "builtins.eval",
        "numpy.load",
        "tensorflow.io.write_file",
        "antigravity.fly",
        "keras.saving.load_model",
        "keras.utils.get_file",
        "keras.layers",
        "keras.layers.Lambda",
        "keras.layers.TFSMLayer",
        "keras.layers.deserialize",
        "keras.callbacks.RemoteMonitor",
        "keras.losses.get",
        "models",
        "models._private.Thing",
        "trainer.__main__.entry",
        "trainer.commands.evaluate.main",
        "keras.Model.from_config",
        "keras.models.load_model",
        "keras.config.enable_unsafe_deserialization",
        "keras.datasets.cifar10.load_data",
        "keras.initializers.deserialize",
        "keras.optimizers.get",
        "keras.src.saving.serialization_lib.deserialize_keras_object",
        "tensorflow.keras.layers.Dense",
        "setuptools._distutils.spawn.spawn",
        "asyncio.create_subprocess_shell",
        "pathlib.Path.write_text",
        "fractions.Fraction",
        "models..x",
        "models.os-system",
        "",
        3,
        None,
    ],
)
def test_other_names_are_refused_before_they_are_imported(name):
    with pytest.raises(ValueError, match=r"^model\._target_=.*: (only names in|may not|not a)"):
        targets.check_name("model", name)
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    "name",
    [
        "models.mini_inception.math.sqrt",
        "models.mini_inception.keras.saving.load_model",
        "trainer.writers.json.loads",
        "trainer.data.image_files.Path",
        "keras.layers.Dense.from_config",
        "keras.callbacks.ModelCheckpoint.on_epoch_end",
        "trainer.data.cifar_files.pickle.loads",
        "trainer.manifest.subprocess.run",
        "trainer.data.cifar10.partial",
    ],
)
def test_what_a_module_has_only_imported_is_refused(name):
    with pytest.raises(ValueError, match=r"has no|not a class|may not"):
        targets.resolve("model", name)


def test_the_real_module_of_an_object_counts(tmp_path, monkeypatch):
    import experiments

    (tmp_path / "leaky.py").write_text("from os import system as run\nfrom fractions import *\n")
    monkeypatch.setattr(experiments, "__path__", [*experiments.__path__, str(tmp_path)])
    for name in ("experiments.leaky.run", "experiments.leaky.Fraction"):
        with pytest.raises(ValueError, match="not a class or a function of that package"):
            targets.resolve("model", name)


@pytest.mark.parametrize(
    "listed", ["statistics", "my_lab, statistics", "statistics.NormalDist x.y"]
)
def test_the_user_may_list_further_packages(listed, monkeypatch):
    monkeypatch.setenv("TAPELOOP_TARGETS", listed)
    node = {"_target_": "statistics.NormalDist", "mu": 0.5}
    targets.check("loss", node)
    assert targets.instantiate(node).mean == 0.5
    for name in ("os.system", "statistics_.mean", "decimal.Decimal", "statistics._sum"):
        with pytest.raises(ValueError, match=r"^model\._target_=.*: (only names in|may not)"):
            targets.check_name("model", name)
    # What such a package has only imported is not of it.
    with pytest.raises(ValueError, match=r"has no|not a class|only names in"):
        targets.resolve("model", "statistics.Decimal")


KERAS_CONFIG = {"module": "antigravity", "class_name": "fly", "config": {}, "registered_name": "x"}


@pytest.mark.parametrize(
    "value", [KERAS_CONFIG, [1, KERAS_CONFIG], {"a": {"b": [KERAS_CONFIG]}}], ids=len
)
def test_no_mapping_is_left_to_keras_to_build(value):
    node = {"_target_": "keras.layers.Dense", "units": 3, "kernel_initializer": value}
    expected = r"class_name=fly: Keras would look this up unchecked; name the class in _target_"
    with pytest.raises(ValueError, match=rf"^model\.layer\.kernel_initializer\.{expected}"):
        targets.check("model.layer", node)
    with pytest.raises(ValueError, match=expected):
        targets.instantiate(node)
    assert "antigravity" not in sys.modules


def test_names_resolve_to_the_objects_themselves():
    assert targets.resolve("optimizer", "keras.optimizers.SGD") is keras.optimizers.SGD
    assert targets.resolve("schedule", "trainer.schedules.constant") is schedules.constant


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("keras.optimizers.SDG", "keras.optimizers has no 'SDG'; did you mean SGD?"),
        ("keras.optimisers.SGD", "did you mean keras.optimizers?"),
        ("models.mini_inceptoin.MiniInception", "did you mean mini_inception?"),
        ("models.mini_inception.MiniIncepton", "did you mean MiniInception?"),
        ("trainer.schedules.linaer", "did you mean linear?"),
        ("experiments.nowhere.Thing", "experiments has no 'nowhere'"),
    ],
)
def test_a_name_that_does_not_exist_gets_the_nearest(name, expected):
    with pytest.raises(ValueError) as raised:
        targets.resolve("thing", name)
    assert str(raised.value).startswith(f"thing._target_={name}: ")
    assert expected in str(raised.value)


def test_a_module_that_fails_to_import_something_keeps_its_own_error(tmp_path, monkeypatch):
    import experiments

    (tmp_path / "broken_idea.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.setattr(experiments, "__path__", [*experiments.__path__, str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="a_package_that_is_not_there"):
        targets.resolve("model", "experiments.broken_idea.Model")


def test_a_package_of_the_same_name_elsewhere_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(targets, "HOME", tmp_path)
    with pytest.raises(ValueError, match=r"the package models is found in .*, not in .*start in"):
        targets.resolve("model", "models.mini_inception.MiniInception")


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({"learning_rat": 0.1}, "thing.learning_rat=0.1: keras.optimizers.SGD has no argument "),
        ({"learning_rat": 0.1}, "'learning_rat'; did you mean learning_rate?"),
        ({"momentum": "abc"}, "thing.momentum=abc: keras.optimizers.SGD takes a number here"),
        ({"nesterov": 1}, "thing.nesterov=1: keras.optimizers.SGD takes true or false here"),
        ({"momentum": None}, "thing.momentum=null: keras.optimizers.SGD takes a number here"),
        ({"name": "x"}, "gets this from the rest of the configuration; leave it out"),
    ],
)
def test_arguments_are_checked_against_the_signature(node, expected):
    with pytest.raises(ValueError) as raised:
        targets.check("thing", {"_target_": "keras.optimizers.SGD", **node}, {"name"})
    assert expected in str(raised.value)


def test_a_missing_argument_is_reported_unless_it_is_supplied_or_the_node_partial():
    node = {"_target_": "keras.layers.Dense"}
    with pytest.raises(ValueError, match=r"thing: keras.layers.Dense needs 'units'; give thing.un"):
        targets.check("thing", node)
    targets.check("thing", node, {"units"})
    targets.check("thing", {**node, "_partial_": True})


def test_nodes_are_found_at_any_depth_with_their_paths():
    inner = {"_target_": "b"}
    config = {"a": {"_target_": "a", "x": [1, {"y": inner}]}, "c": 3}
    assert list(targets.nodes(config)) == [("a", config["a"]), ("a.x[1].y", inner)]


def test_instantiate_builds_nested_nodes_and_prefers_what_is_supplied():
    layer = targets.instantiate(
        {
            "_target_": "keras.layers.Dense",
            "units": 3,
            "kernel_regularizer": {"_target_": "keras.regularizers.L2", "l2": 0.5},
        },
        units=4,
    )
    assert layer.units == 4
    assert isinstance(layer.kernel_regularizer, keras.regularizers.L2)


def test_instantiate_honours_partial():
    node = {"_target_": "trainer.schedules.constant", "_partial_": True, "learning_rate": 0.5}
    schedule = targets.instantiate(node)
    assert isinstance(schedule, functools.partial)
    assert schedule(length=RunLength(10, 32)) == 0.5


def test_instantiate_refuses_what_check_refuses():
    with pytest.raises(ValueError, match="may be built"):
        targets.instantiate({"_target_": "os.system", "command": "true"})
