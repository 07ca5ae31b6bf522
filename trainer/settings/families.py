"""Model families by name: where the function of each is, and what differs from the usual settings."""

from trainer.settings.values import Family, Value

_SEQUENCE: dict[str, Value] = {"window": 15, "patience": 5, "epoch_windows": 8192}
"""15 rows: as long after a restart no alert may open anyway, so a window that must first fill costs none. The rest
keeps a training within minutes: neighbouring windows share all rows but one."""

FAMILIES: dict[str, Family] = {
    "dense": Family("trainer.families.dense:dense"),
    "denoising": Family("trainer.families.denoising:denoising"),
    "sparse": Family("trainer.families.sparse:sparse"),
    "contractive": Family("trainer.families.contractive:contractive"),
    "variational": Family("trainer.families.variational:variational"),
    "conv": Family("trainer.families.conv:conv", _SEQUENCE),
    "lstm": Family("trainer.families.lstm:lstm", _SEQUENCE),
    "lstm-variational": Family("trainer.families.lstm:lstm_variational", _SEQUENCE),
    "pca": Family("trainer.families.pca:pca", learns=False),
}


def family_names() -> str:
    """Every family, for --help."""
    *most, last = FAMILIES
    return f"{', '.join(most)} or {last}"
