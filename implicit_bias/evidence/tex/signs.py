r"""The commands of the small LaTeX of `tex`: what each one is, how it is drawn, and how it is said in a terminal.

>>> COMMANDS["le"], COMMANDS["lambda"], COMMANDS["log"]
(Sign('relation', '≤', '<='), Sign('letter', 'λ', 'lambda'), Sign('name', 'log', 'log'))
"""

from __future__ import annotations

from typing import NamedTuple


class Sign(NamedTuple):
    """One sign: its sort decides what stands around it, in both maps.

    Sorts: letter, number, mark (another thing that stands for itself), name (log), big (a sum), binary, prefix (a minus
    of one side), relation, point (a comma), slash, tight (a full stop), dot (of a product: tight in a terminal alone).
    """

    sort: str
    sign: str
    word: str

    def __repr__(self) -> str:
        return f"Sign{tuple(self)!r}"


_TABLE = r"""
letter    alpha α beta β gamma γ delta δ zeta ζ eta η theta θ vartheta ϑ iota ι kappa κ lambda λ mu μ nu ν xi ξ pi π
letter    rho ρ sigma σ tau τ upsilon υ chi χ psi ψ omega ω Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Phi Φ
letter    Psi Ψ Omega Ω epsilon:eps ϵ varepsilon:eps ε phi ϕ varphi:phi φ ell:l ℓ hbar ℏ
mark      infty:infinity ∞ perp ⊥ top:T ⊤ dagger:+ † ddagger:++ ‡ partial ∂ nabla:grad ∇
mark      emptyset ∅ varnothing:emptyset ∅
mark      forall:for_all ∀ exists ∃ nexists:no ∄ neg:not ¬ Re ℜ Im ℑ dots:... … ldots:... … cdots:... ⋯ vdots:... ⋮
mark      %:% % #:# # &:& & $:$ $ _:_ _ prime:' ′ star:* ⋆ bullet:* • angle ∠ degree:deg ° square:[] □ cdotp:. ·
relation  le:<= ≤ leq:<= ≤ ge:>= ≥ geq:>= ≥ ne:!= ≠ neq:!= ≠ lt:< < gt:> > leqslant:<= ⩽ geqslant:>= ⩾ ll:<< ≪ gg:>> ≫
relation  to:-> → rightarrow:-> → longrightarrow:-> ⟶ leftarrow:<- ← leftrightarrow:<-> ↔ mapsto:|-> ↦ uparrow:up ↑
relation  downarrow:down ↓ nearrow:up ↗ searrow:down ↘ Rightarrow:=> ⇒ implies:=> ⟹ Leftarrow:<== ⇐ iff ⟺
relation  Leftrightarrow:iff ⇔ in ∈ ni:contains ∋ notin:not_in ∉ subset ⊂ subseteq:subset_of ⊆ supset ⊃
relation  supseteq:contains ⊇
relation  approx:~= ≈ sim:~ ∼ simeq:~ ≃ cong:~= ≅ asymp:~ ≍ propto ∝ equiv:== ≡ mid:| ∣ parallel:|| ∥
relation  preceq:<= ⪯ succeq:>= ⪰ prec:< ≺ succ:> ≻ lesssim:<~ ≲ gtrsim:>~ ≳ coloneqq::= ≔ models:|= ⊨ vdash:|- ⊢
binary    pm:+- ± mp:-+ ∓ times:x × div:/ ÷ cup:or ∪ cap:and ∩ setminus:\ ∖ circ:o ∘ otimes:(x) ⊗ odot:* ⊙ oplus:(+) ⊕
binary    ast:* ∗ land:and ∧ wedge:and ∧ lor:or ∨ vee:or ∨
dot       cdot:. ⋅
point     colon:: :
big       sum ∑ prod ∏ int:int ∫ oint ∮ bigcup:union ⋃ bigcap:intersection ⋂
name      log log ln ln exp exp sin sin cos cos tan tan cot cot sec sec arcsin arcsin arccos arccos arctan arctan
name      sinh sinh cosh cosh tanh tanh max max min min sup sup inf inf lim lim limsup limsup liminf liminf
name      argmax argmax argmin argmin det det dim dim ker ker deg deg gcd gcd arg arg hom hom Pr Pr
"""


def _table() -> dict[str, Sign]:
    found = {}
    for line in filter(None, _TABLE.splitlines()):
        sort, *rest = line.split()
        for said, sign in zip(rest[::2], rest[1::2], strict=True):
            name, colon, word = said.partition(":")
            found[name] = Sign(sort, sign, word.replace("_", " ") or name if name != "_" else "_")
    return found


COMMANDS = _table()

TYPED = {
    "+": Sign("binary", "+", "+"), "-": Sign("binary", "−", "-"), "*": Sign("binary", "∗", "*"),
    "=": Sign("relation", "=", "="), "<": Sign("relation", "<", "<"), ">": Sign("relation", ">", ">"),
    ":": Sign("relation", ":", ":"), ",": Sign("point", ",", ","), ";": Sign("point", ";", ";"),
    "/": Sign("slash", "/", "/"), ".": Sign("tight", ".", "."), "!": Sign("mark", "!", "!"),
    "?": Sign("mark", "?", "?"), '"': Sign("mark", '"', '"'), "@": Sign("mark", "@", "@"), "`": Sign("mark", "‘", "`"),
}  # fmt: skip
"""What is typed without a backslash, but for letters, digits and fences."""

BY_SIGN = {sign.sign: sign for sign in reversed(COMMANDS.values()) if sign.sign not in "%#&$_"}
"""A sign that is typed as itself: `≤` for \\le."""

OPENS = {
    "(": ("(", "("), "[": ("[", "["), r"\{": ("{", "{"), r"\langle": ("⟨", "<"), r"\lvert": ("|", "|"),
    r"\lVert": ("‖", "||"), r"\lfloor": ("⌊", "floor("), r"\lceil": ("⌈", "ceil("), r"\lbrace": ("{", "{"),
}  # fmt: skip
CLOSES = {
    ")": (")", ")"), "]": ("]", "]"), r"\}": ("}", "}"), r"\rangle": ("⟩", ">"), r"\rvert": ("|", "|"),
    r"\rVert": ("‖", "||"), r"\rfloor": ("⌋", ")"), r"\rceil": ("⌉", ")"), r"\rbrace": ("}", "}"),
}  # fmt: skip
BARS = {"|": ("|", "|"), r"\vert": ("|", "|"), r"\|": ("‖", "||"), r"\Vert": ("‖", "||")}
"""Fences that open and close: which of the two is told by what stands before."""

SPACES = {",": 1 / 6, ":": 2 / 9, ";": 5 / 18, "!": -1 / 6, " ": 1 / 4, "quad": 1.0, "qquad": 2.0, "thinspace": 1 / 6}
"""In em."""

ACCENTS = {
    "hat": ("^", "hat"), "widehat": ("^", "hat"), "bar": ("‾", "bar"), "overline": ("‾", "bar"),
    "tilde": ("~", "tilde"), "widetilde": ("~", "tilde"), "dot": ("˙", "dot"), "ddot": ("¨", "ddot"),
    "vec": ("→", "vec"), "check": ("ˇ", "check"),
}  # fmt: skip
SIZES = frozenset("big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr bigm displaystyle textstyle limits "
                  "nolimits mathopen mathclose".split())  # fmt: skip
"""What changes nothing here: fences are of one size, but for those of \\left and \\right."""

WORDS = ("text", "textrm", "textbf", "textit", "mbox")
UPRIGHT = ("mathrm", "mathsf", "mathtt", "mathit")
_EXCEPTIONS = {
    "mathbb": dict(zip("CHNPQRZ", "ℂℍℕℙℚℝℤ")),
    "mathcal": dict(zip("BEFHILMRego", "ℬℰℱℋℐℒℳℛℯℊℴ")),
    "mathbf": {},
    "boldsymbol": {},
    "mathfrak": dict(zip("CHIRZ", "ℭℌℑℜℨ")),
}
_FIRST = {
    "mathbb": (0x1D538, 0x1D552, 0x1D7D8),
    "mathcal": (0x1D49C, 0x1D4B6, None),
    "mathbf": (0x1D400, 0x1D41A, 0x1D7CE),
    "boldsymbol": (0x1D468, 0x1D482, 0x1D7CE),
    "mathfrak": (0x1D504, 0x1D51E, None),
}
ALPHABETS = tuple(_FIRST)
_BOLD_GREEK = {chr(first + k): chr(bold + k) for first, bold in ((0x3B1, 0x1D6C2), (0x391, 0x1D6A8)) for k in range(25)}


def styled(letter: str, alphabet: str) -> str:
    """A letter or digit of another alphabet, which browsers know as a character of its own.

    >>> styled("R", "mathbb"), styled("x", "mathbf"), styled("L", "mathcal"), styled("+", "mathbf")
    ('ℝ', '𝐱', 'ℒ', '+')
    """
    upper, lower, digit = _FIRST[alphabet]
    if letter in _EXCEPTIONS[alphabet]:
        return _EXCEPTIONS[alphabet][letter]
    if alphabet in ("mathbf", "boldsymbol") and letter in _BOLD_GREEK:
        return _BOLD_GREEK[letter]
    for first, start in (("A", upper), ("a", lower), ("0", digit)):
        offset = ord(letter) - ord(first)
        if start is not None and 0 <= offset < (10 if first == "0" else 26):
            return chr(start + offset)
    return letter
