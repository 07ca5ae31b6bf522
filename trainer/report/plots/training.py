"""Training curves."""

from collections.abc import Mapping, Sequence

import numpy as np

from trainer.report.page import Plot
from trainer.report.style import BLUE, GREEN, ORANGE, Trace, axis, lines, markers, numbers
from trainer.training.fit import EpochLoss


def loss_plot(histories: Mapping[str, tuple[Sequence[EpochLoss], int | None]]) -> Plot | None:
    """Losses by epoch of one training or of several by name, each with the epoch kept; None if none has any."""
    traces: list[Trace] = []
    alone = len(histories) == 1
    width = 2 if alone else 1.3
    for name, (history, best) in histories.items():
        if not history:
            continue
        epochs = list(range(1, len(history) + 1))
        first = not traces
        for kind, color, values in (
            ("training", BLUE, [loss.training for loss in history]),
            ("validation", ORANGE, [loss.validation for loss in history]),
        ):
            hover = "%{y:.4g}" if alone else f"{name}: %{{y:.4g}}"
            traces.append(
                lines(
                    epochs,
                    numbers(np.array(values)),
                    name=kind,
                    color=color,
                    line={"color": color, "width": width},
                    legendgroup=kind,
                    showlegend=first,
                    hovertemplate=f"epoch %{{x}}, {hover}<extra></extra>",
                    opacity=1 if alone else 0.7,
                )
            )
        if best is not None:
            kept = numbers([history[best].validation])
            traces.append(
                markers([best + 1], kept, name="epoch kept", color=GREEN, size=9, legendgroup="kept", showlegend=first)
            )
    if not traces:
        return None
    return Plot(
        id="losses",
        title="Training curves",
        says="Mean loss a window, epoch by epoch. Good: both fall and level off near each other; bad: validation "
        "turns up while training still falls (it learns by heart), or both still fall at the end (train longer).",
        traces=traces,
        layout={"xaxis": axis("epoch", rangemode="tozero"), "yaxis": axis("loss", type="log")},
    )
