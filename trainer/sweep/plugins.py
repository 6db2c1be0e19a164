"""Makes our launchers and sweeper known to Hydra, which takes plugins of `hydra_plugins` alone."""

import importlib
import sys
import types

from hydra.core.plugins import Plugins

from trainer.sweep.cluster_launchers import RayLauncher, SlurmLauncher
from trainer.sweep.launcher import IsolatedLauncher
from trainer.sweep.sweeper import TapeLoopSweeper

_PACKAGE, _MODULE = "hydra_plugins", "tapeloop"
_PLUGINS = (IsolatedLauncher, RayLauncher, SlurmLauncher, TapeLoopSweeper)


def register() -> None:
    """Register the plugins, under the names that `conf/hydra/` gives them."""
    # Made here: a folder of that name would be shared with every installed plugin, and which of
    # them is found first depends on how each was installed.
    try:
        package = importlib.import_module(_PACKAGE)
    except ModuleNotFoundError:
        package = sys.modules[_PACKAGE] = types.ModuleType(_PACKAGE)
        package.__path__ = []
    name = f"{_PACKAGE}.{_MODULE}"
    module = sys.modules.setdefault(name, types.ModuleType(name))
    setattr(package, _MODULE, module)
    for plugin in _PLUGINS:
        plugin.__module__ = name
        setattr(module, plugin.__name__, plugin)
        Plugins.instance().register(plugin)
