"""Mathematics between dollars: what a terminal says of it, what a page draws, and what is refused."""

import ast
import math
import random
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import xarray as xr

from implicit_bias._errors import Mistake
from implicit_bias.evidence.tex import formula, signs
from implicit_bias.evidence.claims import Claim, judge
from implicit_bias.evidence.page.markup import join
from implicit_bias.evidence.tex import LONG, plain, typeset

EXPERIMENTS = Path(__file__).parents[2] / "experiments"

SAID = {
    r"$|w'|^2 = |w|^2 + \eta^2 |\nabla_w h|^2$ at every step": "|w'|^2 = |w|^2 + eta^2 |grad_w h|^2 at every step",
    r"$x_* + g_0 w_\perp(0)$": "x* + g0 w_perp(0)",
    r"$g_*^2 \le \sqrt{2 c Q \log n}$": "g*^2 <= sqrt(2 c Q log n)",
    r"$x_\infty \to \infty$": "x_inf -> infinity",
    r"$\langle w, A^\top y \rangle \ne 0$": "<w, A^T y> != 0",
    r"$| |V_k| - 1 |$": "| |V_k| - 1 |",
    r"$||V_k| - 1|$": "| |V_k| - 1 |",
    r"$|v||w| \, |x|_1$": "|v||w| |x|_1",
    r"$\log|w_\perp| + g^2/(2c)$": "log|w_perp| + g^2/(2c)",
    r"$w \cdot q \in [0, 1)$": "w.q in [0, 1)",
    r"$W_{l+1}^\top W_{l+1}$": "W_{l+1}^T W_{l+1}",
    r"$\log(2 (1 - g_0^2/\delta))_+$": "log(2 (1 - g0^2/delta))+",
    r"$\frac{a + b}{c}$": "(a + b)/c",
    r"$\frac{a}{b c}$": "a/(b c)",
    r"$\frac12 |x|^2$": "(1/2) |x|^2",
    r"$\frac{\log n}{n}$": "(log n)/n",
    r"$\log\frac{1}{\varepsilon}$": "log(1/eps)",
    r"$\frac{dL}{dt} = -c$": "dL/dt = -c",
    r"$x / \frac{a}{b}$": "x / (a/b)",
    r"$e^{-t/2}, m^{-1/2}, 10^{-3}$": "e^{-t/2}, m^{-1/2}, 10^-3",
    r"$\alpha\beta x_1y$": "alpha beta x1 y",
    r"$\hat{x}_i, \overline{x y}$": "x_hat_i, bar(x y)",
    r"$\operatorname{rank}(Z) < \mathrm{LM}$": "rank(Z) < LM",
    r"$\mathbb{R}^n \ni \mathbf{x}$": "R^n contains x",
    r"$P(A \mid B) \text{ if } B$": "P(A | B) if B",
    r"$f\colon \mathbb{R} \to \mathbb{R}$": "f: R -> R",
    r"$\left|\frac{a}{b}\right| \sim \lfloor t \rfloor$": "|a/b| ~ floor(t)",
    r"$\max_{i \in I} y_i$": "max_{i in I} y_i",
    "$λ ≤ 1$": "lambda <= 1",
    r"it costs \$5, and $x < 1$": "it costs $5, and x < 1",
}


@pytest.mark.parametrize("text", SAID)
def test_what_a_terminal_says(text):
    assert plain(text) == SAID[text]


# -- the parentheses of a quotient -------------------------------------------------------------------------------------


def expression(rng, depth):
    """(LaTeX, value, whether it is a sum): quotients, powers, roots, sums and products of letters and digits."""
    kinds = ["letter", "digit"] if depth == 0 else ["sum", "product", "quotient", "quotient", "power", "root"]
    kind = rng.choice(kinds)
    if kind == "letter":
        name = rng.choice("abc")
        return name, LETTERS[name], False
    if kind == "digit":
        digit = rng.choice("23")
        return digit, float(digit), False
    (left, x, is_sum), (right, y, is_sum_too) = expression(rng, depth - 1), expression(rng, depth - 1)
    group = lambda text, needed: f"({text})" if needed else text
    if kind == "sum":
        return f"{left} + {right}", x + y, True
    if kind == "product":
        return f"{group(left, is_sum)} {group(right, is_sum_too)}", x * y, False
    if kind == "quotient":
        return rf"\frac{{{left}}}{{{right}}}", x / y, False
    if kind == "power":
        return f"{{{left}}}^2", x**2, False
    return rf"\sqrt{{{left}}}", math.sqrt(x), False


LETTERS = {"a": 1.3, "b": 0.7, "c": 2.9}


def test_a_quotient_in_a_terminal_has_the_value_of_the_fraction():
    """Read by Python's own precedence: a blank is a product, from left to right with the slash."""
    rng = random.Random(0)
    for _ in range(200):
        latex, value, _ = expression(rng, rng.randint(1, 4))
        said = plain(f"${latex}$")
        python = re.sub(r"(?<=[\w)]) (?=[\w(])", "*", said).replace("^", "**")
        assert eval(python, {"sqrt": math.sqrt, **LETTERS}) == pytest.approx(value), (latex, said)


# -- pages -------------------------------------------------------------------------------------------------------------


def drawn(text):
    return ElementTree.fromstring(f"<p>{typeset(text)}</p>")


def test_scripts_fences_and_names_are_those_of_latex():
    (power,) = drawn(r"$|x_0^2|$").iter("msubsup")
    assert [part.text for part in power] == ["x", "0", "2"]
    assert {(mo.text, mo.get("form"), mo.get("stretchy")) for mo in drawn("$|x|$").iter("mo")} == {
        ("|", "prefix", "false"), ("|", "postfix", "false")
    }  # fmt: skip
    assert {mo.get("stretchy") for mo in drawn(r"$\left(x\right)$").iter("mo")} == {"true"}
    assert [mi.text for mi in drawn(r"$\lambda_{\min} \Gamma$").iter("mi")] == ["λ", "min", "Γ"]
    assert [mi.get("mathvariant") for mi in drawn(r"$\gamma \Gamma$").iter("mi")] == [None, "normal"]
    assert [mi.text for mi in drawn(r"$\mathbb{R} \mathbf{x} \mathcal{A}$").iter("mi")] == ["ℝ", "𝐱", "𝒜"]


def test_spaces_are_those_of_tex():
    around = lambda text: [(mo.text, mo.get("lspace"), mo.get("rspace")) for mo in drawn(text).iter("mo")]
    assert around("$a = -b$") == [("=", "0.278em", "0.278em"), ("−", "0", "0")]
    assert around("$a - b$") == [("−", "0.222em", "0.222em")]
    assert around("$a^{i-j}$") == [("−", "0", "0")]
    assert around(r"$\frac{a+b}{2}$") == [("+", "0", "0")]
    assert around("($= y$)") == [("=", "0", "0.278em")] and around("$m <$ degrees") == [("<", "0.278em", "0")]
    thin = lambda text: len([*drawn(text).iter("mspace")])
    texts = (r"$\log x$", r"$a\log(x)_+$", r"$\log|x|$", r"$a\sum x$", r"$\log(x)$")
    assert [thin(text) for text in texts] == [1, 1, 1, 2, 0]


def test_scripts_of_a_fence_are_at_the_height_of_what_closes():
    _, power = drawn("$|w'|^2$").findall("math/mrow/msup")
    assert [part.text for part in power] == ["|", "2"] and power[0].get("form") == "postfix"


def test_no_line_is_broken_between_a_formula_and_its_comma():
    assert [math.tail for math in drawn("$x$, or $y$ or $z$.").iter("math")] == ["\u2060, or ", " or ", "\u2060."]


def test_a_long_formula_may_be_broken_after_its_relations():
    short, long = "$a = b$", "$a_1 + a_2 + a_3 = b_1 + b_2 + b_3$"
    assert len(plain(short)) <= LONG < len(plain(long))
    assert (len([*drawn(short).iter("math")]), len([*drawn(long).iter("math")])) == (1, 6)
    assert "".join(drawn(long).itertext()) == "".join(plain(long).split()).replace("_", "")


def test_what_is_html_is_escaped_inside_and_outside_of_mathematics():
    text = r'a < b & "c" <b> $a < b \& \text{"c" <b>}$'
    assert plain(text) == 'a < b & "c" <b> a < b & "c" <b>'
    page = drawn(text)
    assert {tag.tag for tag in page.iter()} == {"p", "math", "mi", "mo", "mtext"}
    assert page.text == 'a < b & "c" <b> ' and page.find("math/mtext").text == '"c" <b>'


@pytest.mark.parametrize("text", ["", "x^2 <= 2 & {", r"\alpha_0 </b>", "| (", "a\nb", "λ"])
def test_words_without_a_dollar_are_left_alone(text):
    assert plain(text) == text == plain(plain(text)) and typeset(text) == join(text)


# -- slips -------------------------------------------------------------------------------------------------------------

SLIPS = {
    "$": "partner", "$x$ and $y": "partner", "$$": "no mathematics", "$ $": "no mathematics",
    r"$\lamda$": "did you mean 'lambda'", r"$\operatornme{x}$": "did you mean 'operatorname'",
    r"$\zzzzz$": r"\operatorname{zzzzz}", "${x$": "{ is not closed", "$x}$": "} closes", "$(x$": "( is not closed",
    "$x]$": "] closes", "$(x}$": "comes before", "$|x$": r"\mid", r"$\langle x)|$": "| is not closed",
    "$x_1_2$": "two _", "$x^$": "nothing comes after ^", r"$\frac{1}$": r"nothing comes after \frac",
    "$e^(x)$": "write ^{...}",
    r"$\text x$": r"write \text{...}", r"$\mathrm{x$": "{ is not closed", "$a & b$": r"write \&",
    "$a % b$": r"write \%", r"$\left( x$": "not closed", r"$\left x \right)$": "no fence",
    r"$\left( x \right)): $": "closes", r"$\sqrt[3{x}$": "[ is not closed", r"$x \$": "partner",
    "$" + "{" * 200 + "x" + "}" * 200 + "$": "groups within groups", "$" + "(" * 5000 + "$": "groups",
    "$a☃$": "outside the dollars",
}  # fmt: skip


@pytest.mark.parametrize("text", SLIPS)
def test_a_slip_is_one_line_with_its_field_and_a_remedy(text):
    for said in (plain, typeset):
        with pytest.raises(Mistake) as refused:
            said(text, "statement")
        assert refused.value.field == "statement" and "\n" not in str(refused.value)
        assert SLIPS[text] in str(refused.value)


def claim(statement="one", **more):
    shared = dict(id="c", source="s", because="b", residual=lambda d: d.x, tolerance=lambda d: 1.0)
    return Claim(**shared, statement=statement, **more)


def test_a_claim_refuses_a_slip_when_it_is_made_and_a_name_when_it_is_judged():
    with pytest.raises(Mistake, match=r"^statement: claim c: no command is called \\epsilom.*epsilon"):
        claim(r"$\epsilom$")
    with pytest.raises(Mistake, match="^statement: claim c: is 3"):
        formula.read(3, "statement", "claim c: ")
    data = xr.Dataset({"status": ("seed", [1]), "x": ("seed", [0.0])})
    with pytest.raises(Mistake, match=r"^hypotheses: claim c: \| is not closed"):
        judge(claim(hypotheses=lambda d: {"$|x$": d.x}), data)
    assert judge(claim("$|x| < 1$", hypotheses=lambda d: {r"$|x| \ge 0$": d.x}), data).verdict == "supported"


# -- what is shipped ---------------------------------------------------------------------------------------------------


def shipped(path):
    """Words with mathematics in the claims of a study file: names of hypotheses, and every string but those of figures.

    What an f-string leaves open is a 7.
    """
    tree = ast.parse(path.read_text())
    of_figures = {id(inner) for node in ast.walk(tree) if is_figure(node) for inner in ast.walk(node)}
    inside = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for inner in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            said = "".join(str(p.value) if isinstance(p, ast.Constant) else "7" for p in node.values)
        else:
            said = node.value if isinstance(node, ast.Constant) and id(node) not in inside else None
        if isinstance(said, str) and "$" in said and id(node) not in of_figures:
            yield said


def is_figure(node):
    """A call that draws, or a function that serves one."""
    called = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
    return called in ("Figure", "panel", "curves_of")


def is_balanced(text):
    """Of round, square and curly brackets; half-open intervals are."""
    depth = 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if depth < 0:
            return False
    return depth == 0


@pytest.mark.slow
def test_statements_and_names_of_shipped_claims_are_said_in_ascii():
    said = {text: plain(text) for path in EXPERIMENTS.rglob("*.py") for text in shipped(path)}
    assert len(said) > 250
    assert not [s for s in said.values() if "$" in s or "\\" in s or not s.isascii() or not is_balanced(s)]


@pytest.mark.slow
def test_statements_and_names_of_shipped_claims_are_drawn():
    for text in {text for path in EXPERIMENTS.rglob("*.py") for text in shipped(path)}:
        assert [*drawn(text).iter("math")], text


def test_every_command_is_said_and_drawn():
    for name in signs.COMMANDS:
        said = plain(rf"$x \{name} y$")
        assert said.isascii() and signs.COMMANDS[name].word in said
        assert signs.COMMANDS[name].sign in "".join(drawn(rf"$x \{name} y$").itertext())
    assert formula.split(r"a $b$ c \$d") == ["a ", "b", r" c \$d"]


@pytest.mark.parametrize(
    "text, said",
    [
        (r"$2 \cdot 3$", "2 . 3"),
        (r"$3 \cdot 10^{-4}$", "3 . 10^-4"),
        (r"$\frac{a}{b}^2$", "(a/b)^2"),
        (r"$\sqrt[3]{x}^2$", "((x)^(1/3))^2"),
        (r"$\mathbf{10}$", "10"),
    ],
)
def test_what_is_said_has_the_meaning_of_what_is_set(text, said):
    """2.3 is another number, a/b^2 another quotient, x^(1/3)^2 another power."""
    assert plain(text) == said and "<math>" in typeset(text)
