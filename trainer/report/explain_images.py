"""Grad-CAM of image files, as pictures in a run's `report/explain/` and in TensorBoard."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from trainer.answers import Answer
from trainer.config import ConfigError
from trainer.disk import write_whole
from trainer.event_files import EventFile
from trainer.images_on_disk import pixels_as_they_are, printable
from trainer.predict_images import ImagePredictor
from trainer.report.folder import report_folder
from trainer.report.grad_cam import choose_map, heat_maps
from trainer.report.grad_cam_pictures import IN_GRID, Explanation, grid, overlaid, picture, shown
from trainer.suggestions import nearest
from trainer.trained_model import TrainedModel

_LONGEST_NAME = 100  # of a file, in characters, before `.png`


class Explained(NamedTuple):
    """What was written.

    Attributes:
        layer: that Grad-CAM looked at.
        unread: places in `paths` of files that could not be read.
        as_taken: files that are shown as the model takes them, resized: Pillow does not read them.
        empty: files for which no place of the map speaks for the class.
        folder: of the pictures.
        grid: the picture of them all.
    """

    layer: str
    unread: list[int]
    as_taken: list[str]
    empty: list[str]
    folder: Path
    grid: Path


def explain_images(
    run_dir: Path,
    trained: TrainedModel,
    predictor: ImagePredictor,
    paths: Sequence[str],
    layer: str | None = None,
    class_name: str | None = None,
) -> Explained:
    """Write a picture for each image file, one of them all, and both for TensorBoard.

    Args:
        run_dir: the run folder.
        trained: its model.
        predictor: of the same model.
        paths: of the image files.
        layer: see `grad_cam.choose_map`.
        class_name: for what to look; None: for what is predicted.

    Raises:
        ConfigError: if there is no such layer or class.
        RunFolderError: if something cannot be written.
    """
    layer = choose_map(trained, layer)
    output, column = _asked_for(predictor.answers, class_name)
    answer = predictor.answers[output]
    folder = report_folder(run_dir, "explain")
    for old in folder.glob("events.out.tfevents.*"):
        old.unlink()
    unread, as_taken, empty = set(range(len(paths))), list[str](), list[str]()
    names, in_grid = set[str](), list[Explanation]()
    grid_path = run_dir / "report" / "explain.png"
    with closing(EventFile(folder)) as events:
        for rows, images, predictions in predictor.files(paths):
            best = predictions[output].argmax(axis=1)
            columns = best if column is None else np.full(len(rows), column)
            inputs = trained.transform.evaluation({"image": tf.constant(images)})["image"]
            heats = heat_maps(trained, layer, inputs, output, columns)
            for place, row in enumerate(rows):
                path, values, file = paths[row], predictions[output][place], printable(paths[row])
                try:
                    image = shown(pixels_as_they_are(path, predictor.channels))
                except Exception:  # of many kinds, see decoding.read_header
                    image = shown(images[place])
                    as_taken.append(file)
                title = printable(_title(answer, values, int(best[place]), int(columns[place])))
                overlay = overlaid(image, heats[place])
                explanation = Explanation(file, title, image, overlay)
                content = picture(explanation, layer)
                # TensorFlow lists no folder that has a name in it which is not UTF-8.
                name = _new_name(printable(Path(path).stem), names)
                write_whole(folder / f"{name}.png", content)
                if heats[place].max() <= 0:
                    empty.append(file)
                if len(in_grid) < IN_GRID:
                    in_grid.append(explanation)
                    events.images(f"explain/{name}", trained.step, _pixels(content))
            unread.difference_update(rows.tolist())
        if in_grid:
            content = grid(in_grid, layer)
            write_whole(grid_path, content)
            events.images("explain", trained.step, _pixels(content))
    return Explained(layer, sorted(unread), as_taken, empty, folder, grid_path)


def _asked_for(
    answers: Mapping[str | None, Answer], class_name: str | None
) -> tuple[str | None, int | None]:
    """Return the output and the column of a class; by default the first output, and None."""
    if class_name is None:
        return next(iter(answers)), None
    # Of several outputs each class is also found as OUTPUT/CLASS.
    known = {
        key: (output, column)
        for output, answer in answers.items()
        for column, name in enumerate(answer.names)
        for key in (name, *([f"{output}/{name}"] if output else []))
    }
    if class_name not in known:
        raise ConfigError(f"--class {class_name}: no such class; {nearest(class_name, known)}")
    return known[class_name]


def _title(answer: Answer, values: np.ndarray, best: int, column: int) -> str:
    if answer.kind == "values":
        return f"{answer.names[column]} {values[column]:.4g}"
    predicted = f"{answer.names[best]} {values[best]:.2f}"
    if column == best:
        return predicted
    return f"{predicted}; looking for {answer.names[column]} {values[column]:.2f}"


def _new_name(stem: str, taken: set[str]) -> str:
    """Return a file's name without its ending; of a second one of that name with a number."""
    stem = stem[:_LONGEST_NAME]
    name, number = stem, 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}_{number}"
    taken.add(name.lower())
    return name


def _pixels(content: bytes) -> np.ndarray:
    return tf.io.decode_png(content, channels=3).numpy()[np.newaxis]
