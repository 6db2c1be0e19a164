"""What published data sets share: a download by Keras, or class folders in place of it."""

import socket
from dataclasses import replace

import numpy as np

from trainer.data.class_folder import class_folder
from trainer.data.dataset import Arrays, DataSet

DOWNLOAD_TIMEOUT_SECS = 20  # without an answer; a slow download that moves is not cut off

CLASS_FOLDERS = "class folders train/<class>/* and test/<class>/*"


def download(title: str, module: str, files: str, **arguments: str) -> dict[str, Arrays]:
    """Return the splits "train" and "test" of `keras.datasets.MODULE`.

    Keras keeps what it downloads in `~/.keras/datasets`; what is there already needs no network.

    Args:
        title: the data set's name, for messages.
        module: its name in `keras.datasets`.
        files: what else `data.root` may hold, for messages.
        arguments: of its `load_data`.

    Raises:
        ConnectionError: If the download fails.
        ValueError: If Keras' copy is damaged.
    """
    # Here, not at the top: only the download needs Keras, which takes seconds to import.
    import keras

    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_SECS)  # Keras sets none: it would wait for minutes
    try:
        train, test = getattr(keras.datasets, module).load_data(**arguments)
    # Keras raises a bare Exception for a failed fetch, and almost anything for a damaged file.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        instead = f"or give a copy with data.root=DIR, where DIR holds {files} or {CLASS_FOLDERS}."
        if "fetch failure" in reason or isinstance(error, TimeoutError):
            raise ConnectionError(
                f"{title} could not be downloaded ({reason}); connect to the network, {instead}"
            ) from None
        raise ValueError(
            f"{title}: Keras' copy cannot be read ({reason}); delete it from ~/.keras/datasets, "
            f"and it is downloaded again, {instead}"
        ) from None
    finally:
        socket.setdefaulttimeout(timeout)
    return {"train": _arrays(*train), "test": _arrays(*test)}


def folders_instead(title: str, name: str, files: str, root: str) -> DataSet:
    """Return class folders under a published data set's name, whatever their classes and sizes.

    Args:
        title: the data set's name, for messages.
        name: that of the result.
        files: what was looked for in vain, for messages.
        root: see `class_folder`.

    Raises:
        ValueError: If there are no class folders.
    """
    try:
        return replace(class_folder(root), name=name)
    except ValueError as error:
        raise ValueError(f"{title}: no {files}, and no class folders: {error}") from None


def _arrays(image: np.ndarray, label: np.ndarray) -> Arrays:
    if image.ndim == 3:  # grey
        image = image[..., np.newaxis]
    return {"image": np.ascontiguousarray(image), "label": label.reshape(-1).astype(np.int32)}
