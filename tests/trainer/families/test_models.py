"""Promises of every model family, by enumeration: one tensor shape, one seed one model, ONNX as Keras."""

import resource
from functools import partial
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import tensorflow as tf
from sklearn.decomposition import PCA

from sheetbreak.errors import DataError
from trainer.data.windows import Windows
from trainer.families import FAMILIES
from trainer.families.dense import dense
from trainer.families.layers import Sampling
from trainer.settings.values import Training, settings_of
from trainer.training.backend import configure_tensorflow
from trainer.training.export import export_model
from trainer.training.fit import Fitted, fit_model

configure_tensorflow()  # before the first model is built

Float32s = npt.NDArray[np.float32]


def correlated_rows(count: int, *, sensors: int = 5, seed: int = 1, noise_seed: int | None = None) -> Float32s:
    """Rows that two hidden causes move, and a little noise; noise_seed: other rows of the same machine."""
    draw = np.random.default_rng(seed)
    moved, causes = draw.normal(size=(count, 2)), draw.normal(size=(2, sensors))
    if noise_seed is not None:
        draw = np.random.default_rng(noise_seed)
        moved = draw.normal(size=(count, 2))
    causes = moved @ causes
    return (causes + 0.1 * draw.normal(size=(count, sensors))).astype(np.float32)


def windows_of(rows: Float32s, window: int) -> Windows:
    last = np.arange(window - 1, len(rows))
    return Windows(rows, last[:, None] + np.arange(1 - window, 1)[None, :])


def train(family: str, windows: Windows, *, epochs: int = 2, seed: int = 0) -> Fitted:
    build = partial(FAMILIES[family].build, windows)
    return fit_model(build, Training(epochs=epochs, seed=seed), fit=windows, validation=windows)


def onnx_session(folder: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])


every_family = pytest.mark.parametrize("family", FAMILIES)


def ends_of_fractions() -> list[tuple[str, str, float]]:
    """(family, setting, value) for both ends of every setting of its own that is no whole number."""
    return [
        (family, setting.name, end)
        for family in FAMILIES
        for setting in settings_of(FAMILIES[family]).values()
        if setting.own and setting.kind is float
        for end in (setting.meta.ge, setting.meta.le)
    ]


@pytest.mark.parametrize(("family", "setting", "value"), ends_of_fractions())
def test_what_a_setting_allows_is_what_the_family_takes(family: str, setting: str, value: float) -> None:
    """Else `tune`, or a user, meets an error of Keras in the middle of a training."""
    model = FAMILIES[family].build(LEARNT_WINDOWS, **{setting: value})
    assert model(LEARNT_WINDOWS.gather(slice(2)), training=True).shape == (2, 4, 5)


LEARNT_WINDOWS = windows_of(correlated_rows(400), 4)


class Learnt(NamedTuple):
    """A family after some epochs, saved."""

    family: str
    fitted: Fitted
    folder: Path


@pytest.fixture(scope="module", params=FAMILIES)
def learnt(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Learnt:
    folder = tmp_path_factory.mktemp(request.param)
    fitted = train(request.param, LEARNT_WINDOWS, epochs=6)
    export_model(fitted.model, folder)
    return Learnt(request.param, fitted, folder)


def test_the_exported_graph_computes_what_keras_does_for_any_number_of_windows(learnt: Learnt) -> None:
    session = onnx_session(learnt.folder)
    assert [i.name for i in session.get_inputs()] == ["windows"]
    for count in (1, 7, 200):
        inputs = LEARNT_WINDOWS.gather(slice(count))
        (rebuilt,) = session.run(None, {"windows": inputs})
        assert rebuilt.shape == inputs.shape
        assert rebuilt.dtype == np.float32
        np.testing.assert_allclose(rebuilt, np.asarray(learnt.fitted.model(inputs, training=False)), atol=1e-5)


def test_a_family_that_learns_gets_better_on_rows_it_was_not_trained_on_and_rebuilds_some_of_them(
    learnt: Learnt,
) -> None:
    windows = windows_of(correlated_rows(400, noise_seed=7), 4).gather()
    residual = windows - np.asarray(learnt.fitted.model(windows, training=False))
    assert (residual**2).mean() < 0.95 * windows.var()
    losses = [epoch.validation for epoch in learnt.fitted.history]
    assert bool(losses) == FAMILIES[learnt.family].learns
    if losses:
        assert losses[learnt.fitted.best_epoch or 0] < 0.95 * losses[0]


def test_one_seed_gives_one_graph_to_the_byte_however_often_it_is_trained(learnt: Learnt, tmp_path: Path) -> None:
    export_model(train(learnt.family, LEARNT_WINDOWS, epochs=6).model, tmp_path)
    assert (tmp_path / "model.onnx").read_bytes() == (learnt.folder / "model.onnx").read_bytes()


def test_a_saved_model_comes_back_whole_with_the_encoder_and_decoder_that_it_is_made_of(learnt: Learnt) -> None:
    model = keras.models.load_model(learnt.folder / "model.keras")  # safe mode: no code is run
    windows = LEARNT_WINDOWS.gather(slice(50))
    expected = np.asarray(learnt.fitted.model(windows, training=False))
    np.testing.assert_array_equal(np.asarray(model(windows, training=False)), expected)
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    codes = encoder(windows, training=False)
    assert codes.shape == (50, encoder.get_layer("latent").output.shape[1])
    np.testing.assert_allclose(np.asarray(decoder(codes, training=False)), expected, atol=1e-6)
    drawn = np.random.default_rng(0).normal(size=(3, codes.shape[1])).astype(np.float32)
    assert np.isfinite(np.asarray(decoder(drawn))).all()
    assert ("variational" in learnt.family) == isinstance(encoder.get_layer("latent"), Sampling)


def test_scoring_row_after_row_needs_no_more_memory_as_it_goes_on(learnt: Learnt) -> None:
    session, window = onnx_session(learnt.folder), LEARNT_WINDOWS.gather(slice(1))

    def held_mb() -> float:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6

    def score(times: int) -> None:
        for _ in range(times):
            session.run(None, {"windows": window})

    score(500)
    before = held_mb()
    score(3000)
    assert held_mb() - before < 2


def test_a_penalty_on_activations_is_kept_for_training_and_left_out_of_scoring(tmp_path: Path) -> None:
    windows = windows_of(correlated_rows(50), 1)
    build = partial(dense, windows, activity_l1=1e-2)
    model = fit_model(build, Training(epochs=1), fit=windows, validation=windows).model
    export_model(model, tmp_path)
    (rebuilt,) = onnx_session(tmp_path).run(None, {"windows": windows.gather()})
    np.testing.assert_allclose(rebuilt, np.asarray(model(windows.gather())), atol=1e-5)
    for kept in (model, keras.models.load_model(tmp_path / "model.keras")):
        assert kept.get_layer("encoder").get_layer("encoder_0").activity_regularizer is not None


@every_family
def test_a_family_works_on_fewer_rows_than_a_batch_and_on_a_single_sensor(family: str) -> None:
    few = windows_of(correlated_rows(20, sensors=1), 1)
    assert np.isfinite(np.asarray(train(family, few).model(few.gather()))).all()


def test_another_seed_gives_other_weights() -> None:
    windows = windows_of(correlated_rows(300), 1)
    first, second = (train("dense", windows, seed=seed).model.get_weights()[0] for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_pca_is_scikit_learns() -> None:
    rows = correlated_rows(400)
    model = FAMILIES["pca"].build(windows_of(rows, 1), latent=2)
    reference = PCA(n_components=2).fit(rows)
    expected = reference.inverse_transform(reference.transform(rows))
    np.testing.assert_allclose(np.asarray(model(rows[:, None]))[:, 0], expected, atol=1e-4)
    assert not model.trainable_weights


def test_noise_disturbs_training_alone() -> None:
    windows = windows_of(correlated_rows(50), 1)
    model = dense(windows, noise=1.0)
    inputs = windows.gather()
    quiet = np.asarray(model(inputs, training=False))
    np.testing.assert_array_equal(quiet, np.asarray(model(inputs, training=False)))
    assert not np.allclose(quiet, np.asarray(model(inputs, training=True)))


def test_training_learns_what_moves_together() -> None:
    windows = windows_of(correlated_rows(1000), 1)
    build = partial(dense, windows, noise=0.0)
    fitted = fit_model(build, Training(epochs=40, patience=40, learning_rate=1e-2), fit=windows, validation=windows)
    residual = windows.gather() - np.asarray(fitted.model(windows.gather()))
    assert (residual**2).mean() < 0.1 * windows.gather().var()
    assert len(fitted.history) == 40
    assert fitted.history[-1].training < fitted.history[0].training


def test_the_epoch_with_the_best_validation_loss_is_the_one_that_is_kept() -> None:
    fit, strange = windows_of(correlated_rows(256), 1), windows_of(correlated_rows(64, seed=9), 1)
    fitted = fit_model(
        partial(dense, fit, noise=0.1), Training(epochs=25, learning_rate=3e-2), fit=fit, validation=strange
    )
    losses = [epoch.validation for epoch in fitted.history]
    assert fitted.best_epoch == int(np.argmin(losses)) < len(losses) - 1, "the example must get worse in the end"
    residual = strange.gather() - np.asarray(fitted.model(strange.gather()))
    assert (residual**2).mean() == pytest.approx(min(losses), rel=1e-5)


def test_an_activity_penalty_counts_in_the_loss_once_per_window() -> None:
    """Keras's own evaluate is the reference: same weights, same windows, penalty included."""
    windows = windows_of(correlated_rows(300), 1)
    fitted = fit_model(
        partial(dense, windows, activity_l1=0.1, noise=0.0),
        Training(epochs=1),
        fit=windows,
        validation=windows,
    )
    inputs = windows.gather()
    expected = fitted.model.evaluate(inputs, inputs, batch_size=128, verbose=0)
    assert fitted.history[0].validation == pytest.approx(expected, rel=1e-4)
    plain = ((inputs - np.asarray(fitted.model(inputs))) ** 2).mean()
    assert fitted.history[0].validation > 1.02 * plain


def test_nothing_to_learn_from_is_an_error_with_a_remedy() -> None:
    nothing = windows_of(correlated_rows(5), 1).take(np.empty(0, np.int64))
    with pytest.raises(DataError, match="--split"):
        fit_model(partial(dense, nothing), Training(epochs=1), fit=nothing, validation=nothing)


def test_a_diverging_training_says_so() -> None:
    rows = correlated_rows(64)
    rows[3, 2] = np.inf
    windows = windows_of(rows, 1)
    with pytest.raises(DataError, match="diverged in epoch 1"):
        fit_model(partial(dense, windows), Training(epochs=3), fit=windows, validation=windows)


def test_event_files_for_tensorboard_hold_both_losses_of_every_epoch(tmp_path: Path) -> None:
    windows = windows_of(correlated_rows(64), 1)
    fitted = fit_model(partial(dense, windows), Training(epochs=3), fit=windows, validation=windows, log_dir=tmp_path)
    for name, losses in zip(("train", "validation"), zip(*fitted.history, strict=True), strict=True):
        (file,) = (tmp_path / name).iterdir()
        events = [tf.compat.v1.Event.FromString(r.numpy()) for r in tf.data.TFRecordDataset(str(file))]
        values = [(e.step, v) for e in events for v in e.summary.value if v.tag == "epoch_loss"]
        assert [step for step, _ in values] == [0, 1, 2]
        logged = [float(tf.make_ndarray(value.tensor)) for _, value in values]
        assert logged == pytest.approx(losses, rel=1e-6)
