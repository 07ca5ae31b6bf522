"""Scorers: what can be compared by name: every model family, and the baselines that are no such model."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple, Protocol

from sheetbreak.errors import DataError
from sheetbreak.rows import Schema
from trainer.evaluation.fold_baselines import (
    ECOD,
    ISOLATION_FOREST,
    KINDS,
    LABEL_FREE_POLICY,
    MEAN_ABS_Z,
    PUBLISHED,
    ROWS_SINCE_BREAK,
    TITLES,
    FeatureKind,
)
from trainer.families import FAMILIES
from trainer.settings.values import given_settings
from trainer.training.pipeline import Recipe, check_recipe
from trainer.training.presets import Preset, preset_named

ALL = "all"
BASELINES = (ISOLATION_FOREST, ECOD, *TITLES)
"""The first two see what the models of the preset see; those of TITLES name their input."""


class Outside(Protocol):
    """A score that is brought from outside (trainer/comparison/outside.py); it is pickled and compared by value."""

    @property
    def algorithm(self) -> str:
        """For file names."""

    @property
    def identity(self) -> list[str]:
        """All that decides what it makes of a fold, but for the seed."""


class Baseline(NamedTuple):
    """A score that needs no model of ours: an algorithm of trainer/evaluation/fold_baselines.py and its input."""

    algorithm: str
    kind: FeatureKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """One line of a comparison."""

    name: str
    """As the user names it."""
    title: str
    recipe: Recipe | None = None
    """None: `other` scores."""
    other: Baseline | Outside | None = None
    seeded: bool
    """Whether a seed changes anything; otherwise one run says all."""
    deployable: bool = False
    """A family: it has a threshold and alerts; of all others only the score counts."""

    @property
    def identity(self) -> dict[str, Any]:
        """All that decides what it makes of a fold, but for the seed."""
        if self.recipe is None:
            return {"other": self.other if isinstance(self.other, Baseline | None) else self.other.identity}
        recipe = self.recipe
        return {
            "preset": recipe.preset.name,
            "family": recipe.family,
            "policy": recipe.policy or recipe.preset.threshold,
            "alert": asdict(recipe.alert),
            "settings": recipe.settled.as_json(),
            "deployable": self.deployable,
        }

    @property
    def settings(self) -> dict[str, Any] | None:
        """Every setting of its family."""
        return self.recipe.settled.as_json() if self.recipe else None

    def seeds(self, wanted: int) -> range:
        """Those to run."""
        return range(wanted if self.seeded else 1)


def named_scorers(text: str, *, base: Recipe, texts: Sequence[str], schema: Schema) -> list[Scorer]:
    """The scorers that `--family` names, separated by commas, each once; `all` for every one there is.

    FAMILY:LABEL is the family again under a name of its own, for `--set FAMILY:LABEL.NAME=VALUE`. base: what holds for
    every family. texts: what `--set` was given. Raises DataError for a name or setting that does not exist.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == [ALL]:
        names = [*FAMILIES, *(name for name in BASELINES if schema.lead_rows or name != ROWS_SINCE_BREAK)]
    if not schema.lead_rows and ROWS_SINCE_BREAK in names:
        raise DataError(
            f"--family {ROWS_SINCE_BREAK}: with lead_rows 0 the label itself would be the score; leave it out"
        )
    if not names:
        raise DataError(f"--family names nothing to compare; there are {_listed()}")
    families = {name: FAMILIES[_family(name)] for name in names if _family(name) in FAMILIES}
    if texts and not families:
        raise DataError(f"--set {texts[0]}: none of {', '.join(names)} is a family with settings; leave --set out")
    settings = given_settings(texts, families) if texts else {name: {} for name in families}
    found: list[Scorer] = []
    for name in names:
        if name in families:
            recipe = replace(base, family=_family(name), settings=settings[name])
            check_recipe(recipe, schema)
            scorer = Scorer(name=name, title=name, recipe=recipe, seeded=families[name].learns, deployable=True)
        else:
            scorer = _baseline(name, base.preset)
        # A label is asked for by hand, so its line is shown even where it says the same as another.
        if not any(scorer.name == one.name or _same(scorer, one) for one in found):
            found.append(scorer)
    return found


def with_seed(recipe: Recipe, seed: int) -> Recipe:
    """The recipe with another seed."""
    return replace(recipe, seed=seed)


def _same(one: Scorer, other: Scorer) -> bool:
    """Whether two baselines are the same under two names."""
    return not one.deployable and not other.deployable and one.identity == other.identity


def _family(name: str) -> str:
    return name.partition(":")[0]


def _baseline(name: str, preset: Preset) -> Scorer:
    if name not in BASELINES:
        raise DataError(f'--family "{name}": there are {_listed()}')
    if name == PUBLISHED:
        published = Recipe(preset=preset_named("article"), policy=LABEL_FREE_POLICY)
        return Scorer(name=name, title=TITLES[name], recipe=published, seeded=True)
    kinds: Mapping[str, FeatureKind] = KINDS
    full = name
    if name in (ISOLATION_FOREST, ECOD):
        full = next(f"{name}-{suffix}" for suffix, kind in kinds.items() if kind == preset.features)
    algorithm, _, suffix = full.rpartition("-")
    if algorithm in (ISOLATION_FOREST, ECOD):
        baseline = Baseline(algorithm, kinds[suffix])
    else:
        # |z| is of the streaming z whatever the preset; the other needs no input, but the rows that have one.
        baseline = Baseline(name, "streaming-z" if name == MEAN_ABS_Z else preset.features)
        assert name in (MEAN_ABS_Z, ROWS_SINCE_BREAK)
    return Scorer(name=name, title=TITLES[full], other=baseline, seeded=baseline.algorithm == ISOLATION_FOREST)


def _listed() -> str:
    return f"{ALL}, the families {', '.join(FAMILIES)} and the baselines {', '.join(BASELINES)}"
