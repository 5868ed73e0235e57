"""What a part that is switched on needs beside the minimal install, and whether it is there."""

import importlib.util
from typing import Final

from listener.config import Config, ConfigError

# What the extra of a section's name brings.
EXTRAS: Final = {
    "api": ("fastapi", "uvicorn", "python_multipart", "fastapi_offline"),
    "arrays": ("numpy",),
    "mesh": ("serialx",),
}


def check(wanted: Config) -> None:
    """Raises ConfigError."""
    for section, modules in EXTRAS.items():
        if getattr(wanted, section).enabled and not all(map(importlib.util.find_spec, modules)):
            raise ConfigError(f"[{section}] enabled: needs: pip install 'les02-listener[{section}]'")
    if wanted.rides.signals and not wanted.workbench.enabled:
        raise ConfigError("[rides] signals: needs [workbench] enabled = true, which reads their buses")
