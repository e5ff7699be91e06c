r"""The thresholds on the expansion e: Omega(T^a) with four exponents a, L layers and T steps.

    Lemma 5.1: 1/(L-1)     5.2: (3T + 6)/(T L - T - 4 L + 6)     5.3: 4/(L-1)     5.4: 5/(L-1) and a factor L^{1/(L-1)}

With D = T (L - 1) - 4 L + 6 the exponent of 5.2 is (3T + 6)/D. Its denominator must be positive, its limit is 3/(L-1),
and its distance to it (18 L - 24)/((L - 1) D): a power of T, no exponential.
Source of the exponents: Song, Lin, Xu 2025 (arXiv 2501.18092), Lemmas 5.1-5.4, through summaries. Audit: derived here.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.rigor.proof import Proof, Step
from l2o_theory.rigor.statement import Parameter, Statement

PAPER = "Song, Lin, Xu 2025"
LAYERS = Parameter("L", "natural", landmarks=("3", "10"), meaning="layers")
STEPS = Parameter("T", "natural", landmarks=("3", "4", "11", "20", "100"), meaning="inner steps")
DENOMINATOR = "(T*(L - 1) - 4*L + 6)"
MANY = {"deep": "L >= 2", "some": "T >= 1"}

ALWAYS_DEFINED = Claim(
    id="ntk/thresholds/exponent_always_positive",
    title="The exponent of Lemma 5.2 is a positive number for every depth and horizon",
    source=f"{PAPER}, Lemma 5.2 (through summaries)",
    statement=(
        "T (L - 1) - 4 L + 6 > 0 for all L >= 2, T >= 1. False: L = 3, T = 3 divides by zero, L = 3, T = 2 is negative."
    ),
    kind="lower",
    scope="all L >= 2, T >= 1",
    expected=Status.FALSIFIED,
    formal=Statement((LAYERS, STEPS), MANY, f"{DENOMINATOR} > 0"),
    witness={"L": "3", "T": "4"},
    counterexample={"L": "3", "T": "3"},
)

POLYNOMIAL = Claim(
    id="ntk/thresholds/polynomial_in_the_horizon",
    title="Corrected: from T (L - 1) >= 8 L - 12 on it exceeds 3/(L-1) and is at most 18/(L-1)",
    source="derived here",
    statement=(
        "With D = T (L - 1) - 4 L + 6 >= max(1, 4 L - 6): 3 D < (3T + 6)(L - 1) <= 18 D. "
        "So the threshold of Lemma 5.2 is a power of T between 3/(L-1) and 18/(L-1)."
    ),
    kind="upper",
    scope="all L >= 2 and T with T (L - 1) >= 8 L - 12",
    expected=Status.PROVED,
    formal=Statement(
        (LAYERS, STEPS),
        {**MANY, "defined": f"{DENOMINATOR} >= 1", "late": f"{DENOMINATOR} >= 4*L - 6"},
        f"3*{DENOMINATOR} < (3*T + 6)*(L - 1) <= 18*{DENOMINATOR}",
    ),
    witness={"L": "3", "T": "20"},
    proof=Proof(
        steps=(
            Step("above", f"3*{DENOMINATOR} < (3*T + 6)*(L - 1)", using=("deep",)),
            Step("below", f"(3*T + 6)*(L - 1) <= 18*{DENOMINATOR}", using=("deep", "some", "late"), degree=2),
        )
    ),
    mutations=(
        Mutation("5/2 instead of 18", {"conclusion": f"2*(3*T + 6)*(L - 1) <= 5*{DENOMINATOR}"}, {"L": "3", "T": "6"}),
        Mutation("the limit 3 attained", {"conclusion": f"3*{DENOMINATOR} >= (3*T + 6)*(L - 1)"}),
    ),
    corrects="ntk/thresholds/exponent_always_positive",
    notes="A summary that calls this threshold exponential in T is wrong.",
)

LARGEST = Claim(
    id="ntk/thresholds/lemma_5_2_is_the_largest",
    title="Lemma 5.2 asks for the largest expansion",
    source="derived here (a reading of the four lemmas)",
    statement=(
        "(3T + 6)/D >= 5/(L - 1) wherever D >= 1. False: at L = 3 it fails from T = 11 on; the runs have T = 20 to 100."
    ),
    kind="lower",
    scope="all L >= 2 and T with D >= 1",
    expected=Status.FALSIFIED,
    formal=Statement(
        (LAYERS, STEPS), {**MANY, "defined": f"{DENOMINATOR} >= 1"}, f"(3*T + 6)*(L - 1) >= 5*{DENOMINATOR}"
    ),
    witness={"L": "3", "T": "10"},
    counterexample={"L": "3", "T": "11"},
)

IDENTITY = f"(3*T + 6)*(L - 1) - 5*{DENOMINATOR} == 2*(13*L - 18 - T*(L - 1))"

RULES = Claim(
    id="ntk/thresholds/which_rules",
    title="Corrected: Lemma 5.2 asks for no less than Lemma 5.4 while T (L - 1) <= 13 L - 18, and for less afterwards",
    source="derived here",
    statement="(3T + 6)(L - 1) - 5 D = 2 (13 L - 18 - T (L - 1)), so the sign changes where T (L - 1) = 13 L - 18.",
    kind="tight",
    scope="all L >= 2 and T with D >= 1",
    expected=Status.PROVED,
    formal=Statement(
        (LAYERS, STEPS),
        {**MANY, "defined": f"{DENOMINATOR} >= 1"},
        IDENTITY,
    ),
    witness={"L": "3", "T": "10"},
    proof=Proof(steps=(Step("goal", IDENTITY),)),
    mutations=(
        Mutation("17 instead of 18", {"conclusion": IDENTITY.replace("18", "17")}),
        Mutation("Lemma 5.3 instead of 5.4", {"conclusion": IDENTITY.replace("- 5*", "- 4*")}),
    ),
    corrects="ntk/thresholds/lemma_5_2_is_the_largest",
    notes=(
        "With unit constants and L = 3 the four thresholds are 4.5, 335, 400, 3.1e3 at T = 20 and 10, 1.4e3, 1e4, "
        "1.7e5 at T = 100; the published runs use e = 1 to 100, a few 5000."
    ),
)

CLAIMS = [ALWAYS_DEFINED, POLYNOMIAL, LARGEST, RULES]
