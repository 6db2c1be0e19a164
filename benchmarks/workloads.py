"""What is compared with what."""

from dataclasses import dataclass, field
from typing import Any

_TUTORIAL = "benchmarks.contenders.tutorial_loop:TutorialLoop"
_FIT = "benchmarks.contenders.keras_fit:KerasFit"
_ORBIT = "benchmarks.contenders.orbit_trainer:OrbitTrainer"
_OURS = "benchmarks.contenders.tapeloop:TapeLoop"
_KERAS_FOLDER = "benchmarks.contenders.keras_folder:KerasFolder"
_OUR_FOLDER = "benchmarks.contenders.tapeloop_folder:TapeLoopFolder"

# Without dependencies: `tf-models-official` asks for TensorFlow 2.20 and seventy packages more,
# none of which Orbit imports. This is why there is no extra for it.
INSTALL_ORBIT = "pip install --no-deps tf-models-official==2.20.0 tf-keras==2.21.* gin-config"


@dataclass(frozen=True)
class Contender:
    """One row of a table.

    Attributes:
        key: its name on the command line.
        title: its name in the table.
        target: `module:class`; made with the workload's problem and `arguments`.
        arguments: what the class is given beside the problem.
        precision: as `trainer.precision` knows it; set before the model is built.
        needs: a package, and how to install it; None: only what the project itself needs.
    """

    key: str
    title: str
    target: str
    arguments: dict[str, Any] = field(default_factory=dict)
    precision: str = "float32"
    needs: tuple[str, str] | None = None


@dataclass(frozen=True)
class Workload:
    """One table.

    Attributes:
        name: on the command line.
        title: what the work is.
        unit: what is counted, `steps` or `images`.
        examples_per_unit: 1 for images, the batch size for steps.
        contenders: in the order in which they take turns.
        references: title of a column of ratios to the keys whose fastest it compares with.
    """

    name: str
    title: str
    unit: str
    examples_per_unit: int
    contenders: tuple[Contender, ...]
    references: dict[str, tuple[str, ...]]


def _training_peers(**problem: Any) -> tuple[Contender, ...]:
    return (
        Contender("tutorial", "tutorial loop, tf.summary per batch", _TUTORIAL, problem),
        Contender("fit", "fit", _FIT, problem),
        Contender("fit_jit", "fit(jit_compile=True)", _FIT, problem | {"jit_compile": True}),
        Contender(
            "fit_32", "fit(steps_per_execution=32)", _FIT, problem | {"steps_per_execution": 32}
        ),
        Contender(
            "orbit", "Orbit StandardTrainer", _ORBIT, problem, needs=("orbit", INSTALL_ORBIT)
        ),
    )


_ALL_FITS = ("fit", "fit_jit", "fit_32")

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            "mlp",
            "tiny MLP 64-64-10, batch 32, loss and learning rate of every step recorded by ours "
            "and the tutorial loop",
            "steps",
            32,
            (
                *_training_peers(),
                Contender("ours", "ours, jit=False", _OURS, {"jit": False}),
                Contender("ours_jit", "ours, jit=auto", _OURS, {"jit": "auto"}),
            ),
            {
                "x fit": ("fit",),
                "x fit(steps_per_execution=32)": ("fit_32",),
                "x Orbit": ("orbit",),
            },
        ),
        Workload(
            "inception",
            "MiniInception, batch 128, 32x32x3 images in memory",
            "images",
            1,
            (
                *_training_peers(),
                Contender("fit_bf16", "fit, precision=auto", _FIT, precision="auto"),
                Contender("fit_our_model", "fit, our model", _FIT, {"our_model": True}),
                Contender("ours", "ours", _OURS),
                Contender("ours_bf16", "ours, precision=auto", _OURS, precision="auto"),
            ),
            {"x fit": ("fit",), "x fastest float32 fit": _ALL_FITS},
        ),
        Workload(
            "folder",
            "class folder of JPEG files, decode + augment (flip, shift by up to 4 pixels), batch "
            "128, no model",
            "images",
            1,
            (
                Contender("keras", "image_dataset_from_directory + Keras layers", _KERAS_FOLDER),
                Contender(
                    "keras_bare",
                    "image_dataset_from_directory, nothing augmented",
                    _KERAS_FOLDER,
                    {"augment": False},
                ),
                Contender("ours", "ours", _OUR_FOLDER),
            ),
            {"x Keras": ("keras",)},
        ),
    )
}
