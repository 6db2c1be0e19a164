"""What a folder may look like before the program reads it or writes into it.

Somebody else may have made it. A link among its files would have the program write to where it
points.
"""

from dataclasses import dataclass
from pathlib import Path

from trainer.disk import RunFolderError


@dataclass(frozen=True)
class OwnFiles:
    """The names that the program uses in a folder.

    Patterns end with a star: one without does not find a link to nowhere.

    Args:
        owner: whose folder it is, in words: `a run`.
        folders: names of folders.
        files: patterns of what must be files.
        either: patterns of what may be files or folders.
        otherwise: what to do instead of mending what is in the way.
    """

    owner: str
    folders: tuple[str, ...]
    files: tuple[str, ...]
    either: tuple[str, ...]
    otherwise: str

    def check(self, folder: Path) -> None:
        """Check that what is used in a folder are files and folders of its own, or not there.

        Args:
            folder: need not exist, and may be a link itself, as may the folders in it.

        Raises:
            RunFolderError: naming the first that is something else.
        """
        try:
            for path in (folder / name for name in self.folders):
                if (path.exists() or path.is_symlink()) and not path.is_dir():
                    self._refuse(path, "not a folder, where {} has its own")
            for pattern in (*self.files, *self.either):
                for path in folder.glob(pattern):
                    if path.is_symlink():
                        self._refuse(path, "a link, where {} has a file of its own")
                    if not (path.is_file() or (pattern in self.either and path.is_dir())):
                        self._refuse(path, "not a file, where {} has one of its own")
        except PermissionError as error:
            raise RunFolderError(f"{error.filename}: cannot be read ({error.strerror})") from error

    def _refuse(self, path: Path, why: str) -> None:
        raise RunFolderError(
            f"{path}: {why.format(self.owner)}; put a real one in its place, remove it, or "
            f"{self.otherwise}"
        )
