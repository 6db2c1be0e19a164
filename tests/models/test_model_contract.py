"""What every model must do, tried on every file of conf/model."""

import copy
import importlib
import inspect
import json
import pkgutil
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml
from option_size import MODELS as OPTIONS
from option_size import is_large, stated_millions

import models

IMAGES = np.random.default_rng(0).random((4, 32, 32, 3), "float32")
FEATURES = np.random.default_rng(1).random((4, 5), "float32")
NUM_CLASSES = 10


def is_classifier(path):
    """Whether an option is a network by itself, that is told how many classes there are."""
    option = yaml.safe_load(path.read_text())
    is_made_of_others = "defaults" in option or any(isinstance(v, dict) for v in option.values())
    return "num_classes" in option and not is_made_of_others


CLASSIFIERS = [path for path in OPTIONS if is_classifier(path)]


def read_option(path):
    """The class or function that an option names, and the arguments it gives."""
    option = yaml.safe_load(path.read_text())
    module, name = option.pop("_target_").rsplit(".", 1)
    if option.get("num_classes", NUM_CLASSES) is None:
        option["num_classes"] = NUM_CLASSES
    if "weights" in option:
        option["weights"] = None  # nothing is downloaded here
    return getattr(importlib.import_module(module), name), option


def make_model(path):
    target, kwargs = read_option(path)
    model = target(**kwargs)
    model.build(tf.nest.map_structure(lambda x: tf.TensorShape((None, *x.shape[1:])), taken(model)))
    return model


def taken(model):
    """What a model is called with: images, unless its `input_ranks` or its graph say otherwise."""
    if hasattr(model, "input_ranks"):
        return {n: IMAGES if rank == 4 else FEATURES for n, rank in model.input_ranks.items()}
    if getattr(model, "inputs", None):
        return IMAGES[..., : model.inputs[0].shape[-1]]
    return IMAGES


def first(inputs, num_examples):
    return tf.nest.map_structure(lambda x: x[:num_examples], inputs)


def one(outputs):
    """Several outputs side by side."""
    return tf.concat(tf.nest.flatten(outputs), axis=1)


def in_its_suite(path):
    """An option that takes `weights` is a published network, large and slow to build."""
    is_slow = is_large(path) or "weights" in yaml.safe_load(path.read_text())
    return pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if is_slow else [])


@pytest.fixture(scope="module", params=[in_its_suite(path) for path in CLASSIFIERS])
def option(request):
    return request.param


@pytest.fixture(scope="module")
def model(option):
    keras.utils.set_random_seed(0)
    return make_model(option)


@pytest.fixture
def mixed_bfloat16():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(policy)


def values(variables):
    return [variable.numpy() for variable in variables]


def is_frozen(model, variable):
    return any(
        variable is v
        for layer in model._flatten_layers(include_self=False)
        if not layer.trainable
        for v in layer.variables
    )


def test_logits_are_float32(option, model):
    outputs = tf.nest.flatten(model(taken(model)))
    assert read_option(option)[1]["num_classes"] in [logits.shape[1] for logits in outputs]
    for logits in outputs:
        assert logits.shape == (len(IMAGES), logits.shape[1])
        assert logits.dtype == tf.float32
        assert np.isfinite(logits).all()


def test_logits_and_variables_are_float32_under_mixed_precision(option, mixed_bfloat16):
    model = make_model(option)
    for training in (True, False):
        for logits in tf.nest.flatten(model(taken(model), training=training)):
            assert logits.dtype == tf.float32
    assert {v.dtype for v in model.trainable_variables} == {"float32"}


def test_mixed_precision_gives_nearly_the_same_logits(option, model, mixed_bfloat16):
    mixed = make_model(option)
    for target, source in zip(mixed.variables, model.variables, strict=True):
        target.assign(source)
    logits, expected = one(mixed(taken(mixed))).numpy(), one(model(taken(model))).numpy()
    np.testing.assert_allclose(logits, expected, atol=0.05 * np.abs(expected).max())


def test_one_graph_takes_any_batch_size(model):
    inputs = taken(model)
    spec = tf.nest.map_structure(lambda x: tf.TensorSpec((None, *x.shape[1:])), inputs)
    infer = tf.function(lambda x: one(model(x, training=False)), input_signature=[spec])
    for batch_size in (1, 3):
        some = first(inputs, batch_size)
        np.testing.assert_allclose(infer(some), one(model(some)), rtol=1e-4, atol=1e-5)


def test_inference_treats_every_example_alone_and_changes_nothing(model):
    before = values(model.variables)
    inputs = taken(model)
    logits = one(model(inputs, training=False))
    np.testing.assert_allclose(one(model(first(inputs, 1))), logits[:1], rtol=1e-4, atol=1e-5)
    for old, new in zip(before, values(model.variables), strict=True):
        np.testing.assert_array_equal(new, old)


def test_training_reaches_every_layer_it_matters_to(option):
    model = make_model(option)
    variables = [v for v in model.non_trainable_variables if not is_frozen(model, v)]
    if not variables:
        pytest.skip("has no layer that behaves differently in training")
    inputs = taken(model)
    inference = one(model(inputs, training=False))
    before = values(variables)
    assert not np.allclose(one(model(inputs, training=True)), inference)
    for variable, old in zip(variables, before, strict=True):
        assert not np.array_equal(variable, old), f"{variable.path} did not change in training"


def test_every_trainable_variable_gets_a_gradient(model):
    with tf.GradientTape() as tape:
        loss = tf.square(one(model(taken(model), training=True)) - 1.0)
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, f"{variable.path} has no gradient"
        assert gradient.shape == variable.shape
        assert np.isfinite(gradient).all(), f"{variable.path} has a gradient that is not finite"


def test_variable_paths_name_one_variable_and_do_not_depend_on_other_models(option, model):
    paths = [v.path for v in model.variables]
    assert len(set(paths)) == len(paths)
    assert all(re.fullmatch(r"[a-z0-9_]+(/[a-z0-9_]+)+", path) for path in paths)
    # A layer without a name is called dense_8 after seven others: name it.
    again = [v.path.split("/", 1)[1] for v in make_model(option).variables]
    assert again == [path.split("/", 1)[1] for path in paths]


def test_file_gives_an_equal_model(model, tmp_path):
    inputs = taken(model)
    model(inputs, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    np.testing.assert_array_equal(one(loaded(inputs)), one(model(inputs)))


def test_config_makes_the_same_model(option, model):
    target, kwargs = read_option(option)
    config = model.get_config()
    json.dumps(config)
    assert type(model).from_config(copy.deepcopy(config)).get_config() == config
    if inspect.isclass(target):  # and no function that returns a model of Keras' own classes
        assert {key: config[key] for key in kwargs} == kwargs
        assert keras.saving.get_registered_name(target) == f"tapeloop>{target.__name__}"


def test_summary_shows_every_layer_with_its_shape(model, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    lines = []
    model.summary(line_length=160, print_fn=lines.append)
    table = "\n".join(lines)
    assert "?" not in table
    assert "unbuilt" not in table
    for layer in model.layers:
        assert re.search(rf"{layer.name} \({type(layer).__name__}\).*\(None, .*\d", table)
    assert f"Total params: {model.count_params():,}" in table


def test_the_first_comment_states_the_right_number_of_parameters(option, model):
    stated = stated_millions(option)
    if stated is None:
        pytest.skip("states none")
    decimals = len(stated.partition(".")[2])
    assert f"{model.count_params() / 1e6:.{decimals}f}" == stated


def test_every_large_model_has_a_small_option_of_its_class():
    small = {read_option(path)[0] for path in OPTIONS if not is_large(path)}
    assert {read_option(path)[0] for path in OPTIONS if is_large(path)} <= small


def test_every_model_is_an_option():
    modules = [
        importlib.import_module(f"models.{module.name}")
        for module in pkgutil.iter_modules(models.__path__)
        if not module.name.startswith("_")  # such as the template, which is there to be copied
    ]
    found = {
        cls
        for module in modules
        for _, cls in inspect.getmembers(module, inspect.isclass)
        if issubclass(cls, keras.Model) and cls.__module__ == module.__name__
    }
    bases = {base for cls in found for base in cls.__mro__[1:]}
    missing = found - bases - {read_option(path)[0] for path in OPTIONS}
    names = sorted(cls.__name__ for cls in missing)
    assert not names, f"no file in conf/model has {', '.join(names)} as its _target_"
