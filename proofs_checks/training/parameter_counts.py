r"""How many weights the learned optimizers have, as polynomials in their width, and as tensors.

An LSTM with i inputs and h units has 4 gates of h (i + h + 1) numbers. L2O-DM: LSTM 2 -> h, LSTM h -> h, linear h -> 1.
RNNprop: linear 2 -> h, LSTM h -> h twice, linear h -> 1.

Reference: released code and checkpoints of Chen et al., NeurIPS 2020 (arXiv 2010.09089): 5141, 6641, 8349.
"""

from l2o_theory.claims import Claim, Measurement, Mutation, Status
from l2o_theory.rigor.statement import Parameter, Statement

_SOURCE = "released code of Chen et al., NeurIPS 2020 (arXiv 2010.09089); the formula is derived here"
_WIDTH = (Parameter("h", "natural", high="64", landmarks=("20",), meaning="units per LSTM"),)
_LSTMS = {"first": "4*h*(2+h+1)", "middle": "4*h*(h+h+1)", "linear": "h+1"}

TWO_BIASES = Claim(
    id="training/parameter_counts/two_biases",
    title="As a port to torch.nn.LSTM would have it: every gate has two bias vectors",
    source="torch.nn.LSTM, read as the published network; derived here",
    statement=(
        "With biases b_ih and b_hh per LSTM the count is that of the published L2O-DM, 12 h^2 + 17 h + 1. False: 8 h "
        "more, 5301 instead of 5141 at h = 20."
    ),
    kind="identity",
    scope="two LSTMs of any width",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=_WIDTH,
        hypotheses={"width": "h >= 1"},
        definitions={**_LSTMS, "second_biases": "4*h + 4*h"},
        conclusion="first + middle + linear + second_biases == 12*h**2 + 17*h + 1",
    ),
    witness={"h": "20"},
    counterexample={"h": "20"},
)

DM = Claim(
    id="training/parameter_counts/l2o_dm",
    title="Corrected: one bias per gate, L2O-DM with h units per LSTM has 12 h^2 + 17 h + 1 weights",
    source=_SOURCE,
    statement="4h(2+h+1) + 4h(h+h+1) + (h+1) = 12 h^2 + 17 h + 1; 5141 at h = 20.",
    kind="identity",
    scope="all widths",
    expected=Status.PROVED,
    corrects="training/parameter_counts/two_biases",
    formal=Statement(
        parameters=_WIDTH,
        hypotheses={"width": "h >= 1"},
        definitions=_LSTMS,
        conclusion="first + middle + linear == 12*h**2 + 17*h + 1",
    ),
    witness={"h": "20"},
    mutations=(
        Mutation("no bias of the output", {"conclusion": "first + middle + linear == 12*h**2 + 17*h"}),
        Mutation("one input", {"definitions": {"first": "4*h*(1+h+1)"}}),
        Mutation("three gates", {"definitions": {"middle": "3*h*(h+h+1)"}}),
    ),
)

RNNPROP = Claim(
    id="training/parameter_counts/rnnprop",
    title="RNNprop with h units has 16 h^2 + 12 h + 1 weights",
    source=_SOURCE,
    statement="3h + 2 * 4h(h+h+1) + (h+1) = 16 h^2 + 12 h + 1; 6641 at h = 20.",
    kind="identity",
    scope="all widths",
    expected=Status.PROVED,
    formal=Statement(
        parameters=_WIDTH,
        hypotheses={"width": "h >= 1"},
        definitions={**_LSTMS, "entry": "2*h + h"},
        conclusion="entry + 2*middle + linear == 16*h**2 + 12*h + 1",
    ),
    witness={"h": "20"},
    mutations=(
        Mutation("no layer before the LSTMs", {"definitions": {"entry": "0"}}),
        Mutation("one LSTM", {"conclusion": "entry + middle + linear == 16*h**2 + 12*h + 1"}),
    ),
)

COUNTS = {"LSTMRule": 5141, "RNNprop": 6641, "L2OScale": 8349, "MLPOptimizer": 1090}


def _counted(seed: int) -> Measurement:
    """Entries of all tensors of `meta()`, beside the published counts (nothing random but the weights)."""
    from l2o_theory.optimizers import LSTMRule
    from l2o_theory.optimizers.learned import L2OScale, MLPOptimizer, RNNprop
    from l2o_theory.problems.trees import tensors

    def count(rule: LSTMRule | RNNprop | L2OScale | MLPOptimizer) -> int:
        return sum(leaf.numel() for leaf in tensors(rule.meta()))

    rules = (LSTMRule(), RNNprop(), L2OScale(), MLPOptimizer())
    found = {type(rule).__name__: count(rule) for rule in rules}
    rows = [{"optimizer": name, "predicted": COUNTS[name], "observed": found[name]} for name in COUNTS]
    widths = (1, 2, 7)
    formula = all(count(LSTMRule(hidden=h)) == 12 * h * h + 17 * h + 1 for h in widths)
    caught = {
        "19 units": count(LSTMRule(hidden=19)) != COUNTS["LSTMRule"],
        "three LSTMs": count(LSTMRule(layers=3)) != COUNTS["LSTMRule"],
    }
    return Measurement(
        holds=found == COUNTS and formula,
        table=tuple(rows),
        margin=0.0,
        arithmetic="integers",
        refuted_faults=tuple(name for name, seen in caught.items() if seen),
        accepted_faults=tuple(name for name, seen in caught.items() if not seen),
    )


TENSORS = Claim(
    id="training/parameter_counts/tensors",
    title="The optimizers of this library have the published numbers of weights: 5141, 6641, 8349, 1090",
    source="released code and checkpoints of arXiv 2010.09089; Wang, Yuan, Wu, Ge, ICML 2021, section 5, for the last",
    statement="L2O-DM 5141, RNNprop 6641, L2O-Scale 8349, MLP optimizer 1090; L2O-DM also at h = 1, 2, 7.",
    kind="measurement",
    scope="default sizes",
    expected=Status.NOT_FALSIFIED,
    measure=_counted,
)

CLAIMS = [TWO_BIASES, DM, RNNPROP, TENSORS]
