"""The LODO experiment: joined runs are runs alone, baselines the known optimizers, small runs repeat to the byte."""

from __future__ import annotations

import gzip
import math
import shutil
import struct
import tomllib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.errors import InputError
from l2o_theory.figures import ExperimentResult, list_experiments, reproduce
from l2o_theory.figures.expectation import load_expectations
from l2o_theory.optimizers.lodo import LODO, Preconditioner
from l2o_theory.optimizers.lodo.ablations import diagonal, global_scalar
from l2o_theory.optimizers.lodo.stochastic_lbfgs import StochasticLBFGS

SOURCE = list_experiments()["lodo"]
FIGURES = ("bowl_table", "learning_curves", "hessian_error", "ablations", "rosenbrock", "digits", "autoregression")
TINY = """
[quick]
bowl.dimension = 6
bowl.runs = 2
bowl.steps = 300
bowl.timed_steps = 2
tuning.sd = [3.0, 1.0]
tuning.steps = [50, 100]
tuning.draws = 2
lodo.watch = 150
lbfgs.steps = 200
small.depth = 2
small.steps = 100
ablations.steps = 100
ablations.depths = [1, 16]
ablations.block_sizes = [2]
ablations.betas = [0.5]
rosenbrock.runs = 2
rosenbrock.steps = 20
digits.runs = 1
digits.steps = 20
digits.adaptive_scales = [0.01]
digits.plain_scales = [0.1]
autoregression.batch = 1
autoregression.steps = 4
autoregression.device = "cpu"
"""


def part(name: str) -> ModuleType:
    return load_plugin(SOURCE / f"{name}.py")


def gradients(shape: tuple[int, int], steps: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((steps, *shape))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = shutil.copytree(
        SOURCE, tmp_path_factory.mktemp("tiny") / "lodo", ignore=shutil.ignore_patterns("__pycache__")
    )
    config = copy / "config.toml"
    config.write_text(config.read_text().split("[quick]")[0] + TINY)
    (copy / "expected.toml").write_text(
        '[[expected]]\nquantity = "autoregression.weights"\ndescribes = "a count"\nvalue = 94696\ntolerance = 0\n'
        'reason = "a count"\nsource = "official code"\n'
    )
    return copy


@pytest.fixture(scope="module")
def result(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> ExperimentResult:
    return reproduce(str(tiny), out=tmp_path_factory.mktemp("out"), quick=True)


def test_every_figure_comes_as_pdf_png_and_csv(result: ExperimentResult) -> None:
    assert result.outcome == "met"
    assert {path.name for path in result.figures} == {f"{name}.{kind}" for name in FIGURES for kind in ("pdf", "png")}
    assert {path.name for path in result.tables} == {f"{name}.csv" for name in FIGURES}
    assert all(path.stat().st_size > 200 for path in result.figures + result.tables)


def test_a_second_run_gives_the_same_bytes_and_another_seed_does_not(
    result: ExperimentResult, tiny: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(tiny, tmp_path / "lodo")  # the image network left out: it takes seconds to set up
    text = (copy / "config.toml").read_text()
    (copy / "config.toml").write_text(text.replace(', "rosenbrock", "digits", "autoregression"]', "]"))
    expected = (copy / "expected.toml").read_text()
    (copy / "expected.toml").write_text(expected.replace("autoregression.weights", "bowl.bound").replace("94696", "1"))
    again = reproduce(str(copy), out=tmp_path / "out", quick=True)
    assert again.reused == 0
    assert again.outcome == "not met"  # the planted wrong prediction
    assert again.numbers.items() <= result.numbers.items()
    for table in again.tables:
        if table.name != "bowl_table.csv":  # it has wall times, which no run repeats
            assert table.read_bytes() == (result.folder / table.name).read_bytes()
    (copy / "config.toml").write_text(text.replace(', "ablations", "rosenbrock", "digits", "autoregression"]', "]"))
    other = reproduce(str(copy), out=tmp_path / "seed", quick=True, seed=1)
    assert other.numbers["bowl.LODO.loss"] != result.numbers["bowl.LODO.loss"]


def test_a_device_is_passed_on_and_refused_where_there_is_none(tiny: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(InputError, match="no CUDA device"):
        reproduce(str(tiny), out=tmp_path, quick=True, device="cuda")
    with pytest.raises(InputError, match="auto, cpu or cuda"):
        part("autoregression").device("tpu")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_quick_run_meets_every_prediction(tmp_path: Path) -> None:
    found = reproduce("lodo", out=tmp_path, quick=True)
    assert {c.expectation.quantity: c.measured for c in found.comparisons if c.outcome == "not met"} == {}


def test_joined_runs_are_the_runs_alone() -> None:
    """Second route: LODO by itself for every run, on the same blocks, permutations and gradients."""
    shape, options = (4, 5), {"meta_lr": 0.01, "beta": 0.3}
    together = part("joined").Learners(shape, 9, alpha0=0.4, depth=3, block_size=4, **options)
    alone = []
    for run in range(4):
        state = int(np.random.SeedSequence([9, run]).generate_state(1, np.uint64)[0] >> 1)
        made = Preconditioner(5, 3, 4, 0.4, generator=torch.Generator().manual_seed(state))
        x = torch.nn.Parameter(torch.zeros(5, dtype=torch.float64))
        alone.append((x, LODO([x], alpha0=0.4, preconditioner=made, **options), made))
    for g in gradients(shape, 20):
        moved = together(g)
        for run, (x, optimizer, _) in enumerate(alone):
            before = x.detach().clone()
            x.grad = torch.from_numpy(g[run].copy())
            optimizer.step()
            # 1e-12: both are the same sums in another order, twenty learning steps long
            assert np.abs(moved[run] - (x.detach() - before).numpy()).max() < 1e-12
    hessians = np.stack([np.diag(np.arange(1.0, 6)) + 0.1 * run for run in range(4)])
    errors = together.hessian_errors(hessians)
    for run, (_, _, made) in enumerate(alone):
        wanted = np.linalg.norm(np.eye(5) - made.dense().numpy() @ hessians[run]) / math.sqrt(5)
        assert errors[run] == pytest.approx(wanted, rel=1e-12)
    # planted fault: run 0 is not run 1
    assert errors[0] != pytest.approx(errors[1], rel=1e-3)


def test_an_odd_number_of_lines_is_refused() -> None:
    parts = [Preconditioner(3, 1, 3, 0.5)] * 3
    assert parts[0].lines % 2 == 1
    with pytest.raises(InputError, match="even number"):
        part("joined").joined(parts)


def test_lbfgs_is_the_shipped_one() -> None:
    shape = (2, 6)
    bowls = part("moving_bowl").Bowls(2, part("moving_bowl").eigenvalues(6), 4)
    step = part("lbfgs").lbfgs(bowls.hessians, 0.9, 100.0, memory=5)
    ones = [torch.nn.Parameter(torch.zeros(6, dtype=torch.float64)) for _ in range(2)]
    alone = [StochasticLBFGS([x], eta0=0.9, tau=100.0, memory=5, eps=1e-10) for x in ones]
    distance = np.zeros(shape)
    for move in bowls.moves(30):
        distance = distance - move
        g = (bowls.hessians @ distance[:, :, None])[:, :, 0]
        moved = step(g)
        for run, (x, optimizer) in enumerate(zip(ones, alone, strict=True)):
            before, H = x.detach().clone(), torch.from_numpy(bowls.hessians[run])
            origin = before - torch.from_numpy(distance[run])

            def closure(x: torch.nn.Parameter = x, H: torch.Tensor = H, origin: torch.Tensor = origin) -> torch.Tensor:
                away = x.detach() - origin
                x.grad = H @ away
                return away @ x.grad / 2

            optimizer.step(closure)
            found = (x.detach() - before).numpy()
            # 1e-6 of the move: the first pairs, of length 1e-10, carry rounding of the same draw
            assert np.abs(moved[run] - found).max() <= 1e-5 * np.abs(found).max() + 1e-13
        distance = distance + moved


def test_elementwise_rules_are_the_known_ones() -> None:
    rules, shape = part("elementwise"), (2, 4)
    makers = {
        "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.7),
        "adam": lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.7, 0.9), eps=1e-15),
        "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.1, alpha=0.7, momentum=0.9, eps=1e-15),
    }
    constants = {"momentum": (0.1, 0.7), "adam": (0.1, 0.7, 0.9), "rmsprop": (0.1, 0.7, 0.9)}
    for name, make in makers.items():
        x = torch.nn.Parameter(torch.zeros(shape, dtype=torch.float64))
        optimizer, step = make([x]), getattr(rules, name)(*constants[name])
        total = np.zeros(shape)
        for g in gradients(shape, 15):
            x.grad = torch.from_numpy(g)
            optimizer.step()
            total = total + step(g)
        # 1e-4: epsilon 1e-7 stands elsewhere and matters where a squared gradient is near 1e-4
        assert np.abs(total - x.detach().numpy()).max() < 1e-4, name
    one = rules.yogi(0.1, 0.9, 0.99)(np.array([[2.0]]))
    assert one == pytest.approx(-0.1 * math.sqrt(0.01) / 0.1 * 0.2 / (math.sqrt(0.04) + 1e-3))


def test_signed_variants_are_the_shipped_ones() -> None:
    for kind, make in (("diagonal", diagonal), ("global", global_scalar)):
        step = part("ablations").Signed(kind, alpha0=0.5, meta_lr=0.01, beta=0.4)
        x = torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))
        optimizer = make([x], alpha0=0.5, meta_lr=0.01, beta=0.4)
        for g in gradients((1, 3), 20):
            before = x.detach().clone()
            x.grad = torch.from_numpy(g[0].copy())
            optimizer.step()
            assert np.abs(step(g)[0] - (x.detach() - before).numpy()).max() < 1e-12  # the same sums in another order


def test_the_best_of_several_tunings_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """One run may end without momentum, or diverge. Planted: the first is taken whatever it is."""
    bowl = part("bowl")
    config = {"seed": 0, "tuning.sd": [1.0], "tuning.steps": [2000], "tuning.draws": 3, "bowl.dimension": 6}
    ends = [[1e3, 0.0], [1e-3, 0.0], [1.0, 0.3]]
    given = iter(ends + ends[:1])
    monkeypatch.setattr(bowl._tuning, "tune", lambda *_: next(given))
    with np.errstate(all="ignore"):
        assert bowl._tune(config, "Momentum") == ends[2]
        assert bowl._tune({**config, "tuning.draws": 1}, "Momentum") == ends[0]


def test_methods_at_the_settings_of_an_earlier_tuning_lose_what_was_lost_there() -> None:
    """The predictions themselves. Planted: Adam without momentum, at half the rate, and Momentum's rate tuned alone."""
    bowl, moving = part("bowl"), part("moving_bowl")
    tables = tomllib.loads((SOURCE / "config.toml").read_text())["earlier"]
    predicted = {e.quantity: e.range for e in load_expectations(SOURCE / "expected.toml")}

    def as_predicted(name: str, values: list[float], steps: int = 10_000) -> bool:
        bowls = moving.Bowls(8, moving.eigenvalues(100), 0)
        loss = moving.last_tenth(bowls.follow(steps, bowl._rule(name, np.array(values)[None]))).mean()
        low, high = predicted[f"bowl.{bowl._table.earlier(name)}.loss"]
        return bool(low <= loss <= high)

    for name in bowl.TUNED_EARLIER:
        assert as_predicted(name, tables[name.lower()]), name
    rate, first, second = tables["adam"]
    assert not as_predicted("Adam", [rate, 0.0, second], 2000)  # 33 instead of 15.5
    assert not as_predicted("Adam", [rate / 2, first, second], 2000)  # 19
    assert not as_predicted("Momentum", [tables["momentum"][0], 0.0], 2000)


def test_the_table_names_methods_and_settings() -> None:
    table = part("bowl_table")
    again = table.earlier("Adam")
    assert (table.method(again), table.method("Adam")) == ("Adam", "Adam")
    named = [table.label(name) for name in ("Adam", again, "LODO", "L-BFGS")]
    assert named == ["Adam, tuned here", "Adam, tuned in an earlier run", "LODO, published settings", "L-BFGS"]
    wanted = "rate 1.235, beta2 0.999988"  # a decay keeps the digits that count: two of what it lacks to 1
    assert table._named(("rate", "beta2"), (1.23456, 0.9999881)) == wanted


def test_tuning_finds_a_known_optimum() -> None:
    tuning = part("tuning")

    def score(candidates: np.ndarray, steps: int, generation: int) -> np.ndarray:
        rate, mu = candidates.T
        values = (np.log(rate / 0.3)) ** 2 + (np.log((1 - np.minimum(mu, 1 - 1e-9)) / 0.2)) ** 2
        return np.where(rate > 10, np.inf, values)  # the diverged ones

    schedule = [(2.0, 1)] * 8 + [(0.5, 1)] * 8 + [(0.1, 1)] * 6
    rate, mu = tuning.tune((1e-3, 0.0), (False, True), schedule, score, np.random.default_rng(0))
    assert (rate, mu) == (pytest.approx(0.3, rel=0.1), pytest.approx(0.8, abs=0.02))  # sd 0.1 over sqrt 16 a few times
    assert tuning.values(np.array([[0.0, 1.0]]), (False, True)).tolist() == [[1.0, 0.0]]  # a decay is never negative
    failed = tuning.tune(
        (0.5,), (False,), [(1.0, 1)], lambda c, s, g: np.full(len(c), np.inf), np.random.default_rng(0)
    )
    assert failed == [0.5]  # nothing finite: the mean stays


def test_bowls_are_common_to_all_methods_and_the_loss_is_before_the_step() -> None:
    moving = part("moving_bowl")
    h = moving.eigenvalues(5)
    still = moving.Bowls(3, h, 0).follow(700, lambda g: 0 * g)
    bowls = moving.Bowls(3, h, 0)
    place, wanted = np.zeros((3, 5)), []
    for move in bowls.moves(700):
        place = place - move
        wanted.append([d @ H @ d / 2 for d, H in zip(place, bowls.hessians, strict=True)])
    assert still == pytest.approx(np.array(wanted).T, rel=1e-12)
    # the exact Newton step attains the bound, and no less: 3 x 20000 draws of a chi-square sum, 1 percent
    inverse = np.linalg.inv(bowls.hessians)
    newton = moving.Bowls(3, h, 0).follow(20_000, lambda g: -(inverse @ g[:, :, None])[:, :, 0])
    assert newton.mean() == pytest.approx(h.sum() / 2, rel=0.015)


def test_rosenbrock_gradient_by_differences() -> None:
    rosenbrock = part("rosenbrock")
    point = np.array([[-0.5, 2.0], [0.3, 0.1]])
    found = rosenbrock.gradient(point)
    for axis in (0, 1):
        shift = np.zeros(2)
        shift[axis] = 1e-5
        difference = (rosenbrock.loss(point + shift) - rosenbrock.loss(point - shift)) / 2e-5
        assert found[:, axis] == pytest.approx(difference, abs=1e-8)  # third derivatives times 1e-10, rounding 1e-11
    assert rosenbrock.loss(np.array([[1.0, 1.0]])) == 0


def test_the_network_sees_only_pixels_before_the_queried_one() -> None:
    network = part("autoregression")
    pictures = torch.from_numpy(part("images").drawn(8, 28, 0)[0].astype(np.float32))
    inputs, wanted = network.batch(pictures, 8, torch.Generator().manual_seed(1))
    changed = pictures.clone()
    generator = torch.Generator().manual_seed(1)
    chosen = torch.randint(8, (8,), generator=generator)
    asked = torch.randint(784, (8,), generator=generator)
    for picture, place in zip(chosen.tolist(), asked.tolist(), strict=True):
        assert float(wanted[chosen == picture][0]) >= 0
        if (chosen == picture).sum() == 1:
            changed[picture].reshape(-1)[place:] = 7
    again, other = network.batch(changed, 8, torch.Generator().manual_seed(1))
    alone = [k for k in range(8) if (chosen == chosen[k]).sum() == 1]
    assert alone
    assert torch.equal(inputs[alone], again[alone])
    assert (other[alone] == 7).all()
    logits = network.Autoregression(torch.Generator().manual_seed(0))(inputs)
    assert logits.shape == (8, 256)


def test_mnist_files_are_read_and_damaged_ones_refused(tmp_path: Path) -> None:
    images = part("images")
    with pytest.raises(InputError, match="train-images"):
        images.mnist(tmp_path)
    body = struct.pack(">4i", 2051, 2, 3, 3) + bytes(range(18))
    with gzip.open(tmp_path / "train-images-idx3-ubyte.gz", "wb") as stream:
        stream.write(body)
    assert images.mnist(tmp_path).shape == (2, 3, 3)
    assert images.mnist(tmp_path)[1, 2, 2] == 17
    (tmp_path / "train-images-idx3-ubyte").write_bytes(body[:-1])
    with pytest.raises(InputError, match="not an idx file"):
        images.mnist(tmp_path)


def test_drawn_digits_can_be_told_apart() -> None:
    pictures, labels = part("images").drawn(600, 12, 0)
    flat = pictures.reshape(600, -1).astype(np.float64)
    means = np.stack([flat[:400][labels[:400] == digit].mean(axis=0) for digit in range(10)])
    guessed = ((flat[400:, None] - means[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert 0.3 < (guessed == labels[400:]).mean() < 0.99  # not noise, and not solved by ten mean pictures
