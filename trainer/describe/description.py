"""All that is known of a run before its first step."""

from pathlib import Path

from trainer.build import Built
from trainer.data.class_distribution import (
    NUM_LISTED,
    ClassDistribution,
    class_distribution,
    plot_class_distribution,
)
from trainer.data.dataset import num_examples
from trainer.describe.architecture import architecture
from trainer.describe.layer_calls import forward_pass
from trainer.describe.layer_table import as_csv, layer_table
from trainer.describe.memory import memory_table
from trainer.describe.schedule_curve import schedule_section
from trainer.describe.section import Section
from trainer.describe.training_images import training_images
from trainer.disk import write_whole


def describe(built: Built, folder: Path, depth: int | None = None) -> list[Section]:
    """Look at everything that was built, and write pictures and the table of all layers.

    Nothing is trained; what callbacks do before the first step, such as freezing a layer, is done.

    Args:
        built: from a configuration.
        folder: where the files go; made if it is not there.
        depth: of the layer table, at least 1; default: what reads well.

    Raises:
        RunFolderError: if the files cannot be written.
    """
    trainer = built.trainer
    trainer.begin_chunk(0)
    length = trainer.run_length(built.duration)
    found = forward_pass(trainer.model, trainer.data.inputs)
    write_whole(folder / "layers.csv", as_csv(found))
    return [
        layer_table(found, depth),
        architecture(trainer.model, trainer.data.inputs, folder, "architecture.png"),
        memory_table(trainer, built.splits),
        _data(built),
        _classes(built, folder / "class_distribution.png"),
        training_images(trainer.data, folder / "training_images.png"),
        _steps(built),
        schedule_section(trainer, length, folder / "learning_rate.png"),
    ]


def write(sections: list[Section], path: Path, title: str) -> None:
    """Write the sections as Markdown.

    Raises:
        RunFolderError: if it cannot be written.
    """
    text = "\n".join([f"# {title}\n", *(section.markdown() for section in sections)])
    write_whole(path, text.encode())


def _data(built: Built) -> Section:
    rows = [[split, f"{num_examples(arrays):,}"] for split, arrays in built.splits.items()]
    of_each = "; ".join(
        f"{key} {'x'.join(map(str, array.shape[1:]))} {array.dtype}".replace("  ", " ")
        for key, array in built.splits["train"].items()
    )
    lines = [f"An example: {of_each}.", *(f"Note: {note}." for note in built.notes)]
    return Section("Data", ("split", "examples"), rows, lines=lines)


def _classes(built: Built, path: Path) -> Section:
    found = class_distribution(built.splits, built.trainer.data.class_names)
    if found is None:
        return Section("Classes", lines=["None: the labels are values."])
    plot_class_distribution(found, path)
    warning = found.warning()
    lines = [f"Warning: {warning}"] if warning else []
    if len(found.class_names) > NUM_LISTED:
        return Section("Classes", lines=[found.in_words(), *lines], picture=path.name)
    what = "class" if found.exclusive else "label that is yes"
    return Section(
        "Classes", (what, *found.counts), _class_rows(found), lines=lines, picture=path.name
    )


def _class_rows(found: ClassDistribution) -> list[list[str]]:
    def cell(count: int, of_split: int) -> str:
        return f"{count:,} ({count / max(1, of_split):.1%})"

    totals = {split: int(counts.sum()) for split, counts in found.counts.items()}
    return [
        [name, *(cell(int(counts[k]), totals[split]) for split, counts in found.counts.items())]
        for k, name in enumerate(found.class_names)
    ]


def _steps(built: Built) -> Section:
    trainer = built.trainer
    length = trainer.run_length(built.duration)
    feed, num_devices = trainer.data.feed("train"), trainer.strategy.num_replicas_in_sync
    batch_size, steps_per_epoch = length.global_batch_size, feed.steps_per_epoch
    rows = {
        "batch size": f"{batch_size:,}",
        "devices": f"{num_devices}, {batch_size // num_devices:,} examples each",
        "precision": built.precision,
        "steps an epoch": f"{steps_per_epoch:,}",
        "duration": built.duration,
        "steps in all": f"{length.total_steps:,}" if length.total_steps else "by the clock",
    }
    accumulated = trainer.update.accumulate_steps
    if accumulated > 1:
        updates = length.in_updates(accumulated)
        rows["steps that make an update"] = f"{accumulated:,}"
        rows["examples an update"] = f"{updates.global_batch_size:,}"
        if updates.total_steps:
            rows["updates in all"] = f"{updates.total_steps:,}"
    lines = []
    left_out = feed.num_examples - steps_per_epoch * batch_size
    if left_out > 0:
        lines.append(
            f"An epoch leaves out {left_out:,} examples that fill no batch, others each time."
        )
    return Section("Steps", ("", ""), [list(row) for row in rows.items()], lines=lines)
