"""What the families add to a loss, checked against closed forms, quadrature and numeric derivatives."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.integrate import quad
from scipy.special import rel_entr
from scipy.stats import norm
from sklearn.preprocessing import MinMaxScaler

from sheetbreak.engine.scores import ScoreParams, Scorer
from tests.trainer.families.test_models import correlated_rows, windows_of
from trainer.data.inputs import fit_scaler
from trainer.families import FAMILIES
from trainer.families.layers import ContractiveDense, MaskingNoise, Sampling, SparsityTarget
from trainer.settings.values import CROSS_ENTROPY, Training
from trainer.training.backend import configure_tensorflow
from trainer.training.fit import LOSSES, batch_for, fit_model

configure_tensorflow()  # before the first layer computes anything

DRAW = np.random.default_rng(3)
Float32s = npt.NDArray[np.float32]


def normal(*shape: int) -> Float32s:
    return DRAW.normal(size=shape).astype(np.float32)


def test_the_kl_term_is_the_divergence_from_a_standard_normal_by_quadrature() -> None:
    mean, log_variance = normal(3, 2), normal(3, 2)

    def divergence(m: float, s: float) -> float:
        ours = norm(m, s)
        inside: float = quad(lambda x: ours.pdf(x) * (ours.logpdf(x) - norm.logpdf(x)), m - 12 * s, m + 12 * s)[0]
        return inside

    pairs = zip(mean.ravel().tolist(), np.exp(log_variance / 2).ravel().tolist(), strict=True)
    expected = sum([divergence(m, s) for m, s in pairs]) / 3
    layer = Sampling(0.7)
    np.testing.assert_array_equal(np.asarray(layer([mean, log_variance])), mean)
    assert float(layer.losses[0]) == pytest.approx(0.7 * expected, rel=1e-5)


def test_the_weight_of_the_kl_term_rises_over_the_warm_up_and_is_whole_in_validation() -> None:
    mean, log_variance = normal(8, 2), normal(8, 2)
    layer, whole = Sampling(2.0, warm_up=32), Sampling(2.0)
    whole([mean, log_variance])
    shares = []
    for _ in range(6):
        layer([mean, log_variance], training=True)
        shares.append(float(layer.losses[0] / whole.losses[0]))
    assert shares == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1])
    fresh = Sampling(2.0, warm_up=32)
    fresh([mean, log_variance])
    assert float(fresh.losses[0]) == pytest.approx(float(whole.losses[0]))


def test_what_is_sampled_has_the_posteriors_mean_and_spread() -> None:
    mean, log_variance = np.full((50_000, 2), (1.0, -2.0), np.float32), np.full((50_000, 2), (0.5, -1.0), np.float32)
    drawn = np.asarray(Sampling(0.0)([mean, log_variance], training=True))
    np.testing.assert_allclose(drawn.mean(axis=0), [1, -2], atol=0.03)
    np.testing.assert_allclose(drawn.std(axis=0), np.exp([0.25, -0.5]), rtol=0.02)


def test_the_sparsity_penalty_is_the_divergence_of_two_bernoullis_summed_over_units() -> None:
    active = DRAW.uniform(0.05, 0.95, size=(40, 6)).astype(np.float32)
    layer = SparsityTarget(0.1, 0.5)
    np.testing.assert_array_equal(np.asarray(layer(active)), active)
    mean = active.mean(axis=0).astype(np.float64)
    assert float(layer.losses[0]) == pytest.approx(
        0.5 * (rel_entr(0.1, mean) + rel_entr(0.9, 1 - mean)).sum(), rel=1e-5
    )


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_the_contractive_penalty_is_the_squared_norm_of_the_numeric_jacobian(activation: str) -> None:
    inputs = normal(5, 4)
    layer = ContractiveDense(3, weight=0.3, activation=activation)
    layer(inputs)
    kernel, bias = (np.asarray(weights, np.float64) for weights in layer.get_weights())

    def encode(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        a = x @ kernel + bias
        return np.tanh(a) if activation == "tanh" else 1 / (1 + np.exp(-a))

    step, norms = 1e-6, []
    for row in inputs.astype(np.float64):
        columns = [(encode(row + step * e) - encode(row - step * e)) / (2 * step) for e in np.eye(4)]
        norms.append((np.array(columns) ** 2).sum())
    assert float(layer.losses[0]) == pytest.approx(0.3 * np.mean(norms), rel=1e-4)


def test_masking_sets_its_share_to_zero_anew_each_time_and_leaves_the_rest() -> None:
    inputs, layer = np.full((200, 50), 3.0, np.float32), MaskingNoise(0.3)
    first, second = (np.asarray(layer(inputs, training=True)) for _ in range(2))
    assert set(np.unique(first)) == {0.0, 3.0}
    assert (first == 0).mean() == pytest.approx(0.3, abs=0.02)
    assert (first != second).any()
    np.testing.assert_array_equal(np.asarray(layer(inputs)), inputs)


def test_the_validation_loss_of_a_variational_family_is_the_elbo_of_its_posterior_and_reconstruction() -> None:
    windows = windows_of(correlated_rows(200), 2)
    family = FAMILIES["variational"].build
    fitted = fit_model(lambda: family(windows, beta=2.0), Training(epochs=1), fit=windows, validation=windows)
    inputs, encoder = windows.gather(), fitted.model.get_layer("encoder")
    hidden = np.asarray(encoder.get_layer("encoder_0")(inputs.reshape(len(inputs), -1)))
    mean, log_variance = (np.asarray(encoder.get_layer(f"latent_{n}")(hidden)) for n in ("mean", "log_variance"))
    kl = (np.exp(log_variance) + mean**2 - 1 - log_variance).sum(axis=1).mean() / 2
    squared = ((inputs - np.asarray(fitted.model(inputs))) ** 2).mean()
    variance = windows.rows.var(axis=0).mean()
    assert fitted.history[0].validation == pytest.approx(squared + 2.0 * variance / 10 * kl, rel=1e-4)


def test_every_loss_is_its_closed_form() -> None:
    target, found = (DRAW.uniform(0.1, 0.9, (7, 2, 3)).astype(np.float32) for _ in range(2))
    off = 3 * np.abs(target - found)
    forms = {
        "mse": (off**2).mean(),
        "mae": off.mean(),
        "huber": np.where(off <= 1, off**2 / 2, off - 0.5).mean(),
    }
    assert LOSSES.keys() == {*forms, CROSS_ENTROPY}
    for name, form in forms.items():
        assert float(LOSSES[name]()(3 * target, 3 * found)) == pytest.approx(form, rel=1e-5)
    entropy = -(target * np.log(found) + (1 - target) * np.log(1 - found)).mean()
    assert float(LOSSES[CROSS_ENTROPY]()(target, found)) == pytest.approx(entropy, rel=1e-4)


def test_min_max_scaling_is_scikit_learns_and_stays_within_0_and_1_on_later_rows() -> None:
    rows = normal(50, 3)
    rows[:, 2] = 4.0
    scaler = Scorer(fit_scaler(rows, scaling="min-max", clip=5.0), ScoreParams("mse"))
    np.testing.assert_allclose(scaler.scale(rows.astype(np.float64)), MinMaxScaler().fit_transform(rows), atol=1e-6)
    later = scaler.scale(10 * normal(20, 3).astype(np.float64))
    assert (later.min(), later.max()) == (0, 1)


def test_training_stops_when_the_validation_loss_no_longer_falls() -> None:
    fit, strange = windows_of(correlated_rows(256), 1), windows_of(correlated_rows(64, seed=9), 1)
    build = FAMILIES["dense"].build
    training = Training(epochs=60, patience=3, learning_rate=3e-2)
    fitted = fit_model(lambda: build(fit, noise=0.0), training, fit=fit, validation=strange)
    losses = [epoch.validation for epoch in fitted.history]
    assert fitted.best_epoch == int(np.argmin(losses)) == len(losses) - 4
    assert len(losses) < 60


def test_an_epoch_takes_no_more_windows_than_it_may_and_others_each_time() -> None:
    windows = windows_of(correlated_rows(500), 1)
    training = Training(epochs=1, batch=50, epoch_windows=100)
    fitted = fit_model(lambda: FAMILIES["dense"].build(windows), training, fit=windows, validation=windows)
    assert int(fitted.model.optimizer.iterations) == 2


def test_a_batch_suits_the_number_of_windows() -> None:
    assert [batch_for(n) for n in (20, 300, 600, 1100, 2048, 10_701, 5_000_000)] == [16, 16, 32, 64, 128, 128, 128]
