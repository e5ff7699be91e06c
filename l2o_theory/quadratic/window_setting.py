r"""Truncation as text: the closed forms of one coordinate, for statements about windows.

N = (M-1) K + r with 1 <= r <= K: M-1 complete windows and a last one of r steps, so K need not divide N. q != 1.
"""

from __future__ import annotations

from l2o_theory.rigor.statement import Parameter

EIGENVALUES = Parameter("l_i", low="0", landmarks=("1",), meaning="eigenvalues")
SQUARES = Parameter("w_i", low="0", landmarks=("1",), meaning="squares of the starting point")
STEP_SIZE = Parameter("eta", low="0", landmarks=("1", "2"), meaning="step size")
POWERS_ADD = "x^a x^b = x^(a+b)"
BERNOULLI = "Bernoulli's inequality"


def ramp(q: str, count: str) -> str:
    """S(q,n) = sum_{r<=n} r q^r as text.

    Example:
        >>> ramp("q", "K")
        'q*(1-((K)+1)*q**(K)+(K)*q**((K)+1))/(1-q)**2'
    """
    return f"{q}*(1-(({count})+1)*{q}**({count})+({count})*{q}**(({count})+1))/(1-{q})**2"


def kept(q: str, window: str, blocks: str, rest: str) -> str:
    """sum_t r_K(t) q^t over `blocks` windows and a last one of `rest` steps, as text."""
    reached = f"{q}**({window}*({blocks}))"
    return f"({ramp(q, window)}*(1-{reached})/(1-{q}**{window}) + {reached}*{ramp(q, rest)})"


def gradient(sum_text: str) -> str:
    """-sum_i l_i^2 w_i/rho_i times a sum over the steps, as text."""
    return f"-sum(l_i**2*w_i/rho_i*{sum_text})"
