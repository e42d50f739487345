"""The look of a page: one column, the reader's light or dark, paper; verdict colours that hold their contrast in both."""

_DARK = """--paper: #14171a; --ink: #e6e8eb; --quiet: #a3adb7; --line: #3a4047; --link: #82bdf5; --code: #1e2226;
  --good: #84d6a6; --calm: #b9c3cc; --loud: #9b1c1c; --bad: #ff9d94; --row: #361f1e;"""
_LIGHT = """--paper: #fff; --ink: #1b1f24; --quiet: #57606a; --line: #d5d9de; --link: #0b4f8a; --code: #f6f8fa;
  --good: #1a5e36; --calm: #44505c; --loud: #9b1c1c; --bad: #b3261e; --row: #fdf0ef;"""

STYLE = f"""
:root {{ color-scheme: light dark; {_LIGHT}
  --serif: Charter, "Bitstream Charter", "Iowan Old Style", Palatino, Georgia, "Liberation Serif", serif;
  --sans: system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif; }}
@media (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: var(--paper); color: var(--ink); font: 1.0625rem/1.5 var(--serif); overflow-wrap: break-word; }}
main {{ max-width: 64rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }}
h1 {{ font-size: 2rem; line-height: 1.2; margin: 0 0 .5rem; }}
h2 {{ font-size: 1.3rem; margin: 2.5rem 0 .75rem; }}
h3 {{ font-size: 1.1rem; margin: 0; }}
p {{ margin: .4rem 0; }}
math {{ font: 1em "Latin Modern Math", "STIX Two Math", "Cambria Math", "DejaVu Math TeX Gyre", math; font-size-adjust: .47; }}
.statement, .said, .methods, figcaption {{ max-width: 46rem; }}
.summary, .note, .reading, nav, table, dl, pre, details, .controls {{ font-family: var(--sans); font-size: .9rem; line-height: 1.45; }}
.note {{ color: var(--quiet); font-size: .8rem; }}
code, pre {{ font-family: ui-monospace, Menlo, Consolas, "Liberation Mono", monospace; }}
pre {{ margin: .3rem 0; padding: .6rem .8rem; border: 1px solid var(--line); background: var(--code); overflow-x: auto; }}
.command {{ user-select: all; -webkit-user-select: all; white-space: pre-wrap; overflow-wrap: anywhere; }}
a {{ color: var(--link); }}
:is(a, summary, input, select, svg, [tabindex]):focus-visible {{ outline: 3px solid var(--link); outline-offset: 2px; }}
nav ul {{ display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; margin: .3rem 0; padding: 0; list-style: none; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: left; vertical-align: top; padding: .5rem .75rem; border-bottom: 1px solid var(--line); }}
thead th {{ color: var(--quiet); font-size: .8rem; vertical-align: bottom; border-bottom: 2px solid var(--ink); }}
tbody th {{ font-weight: normal; }}
th.n, td.n {{ text-align: right; }}
[aria-label="Verdicts"] th:first-child {{ width: 14rem; }}
[aria-label="Verdicts"] td a {{ font-weight: bold; }}
[aria-label="Verdicts"] td p {{ margin: .1rem 0; font-family: var(--serif); font-size: 1rem; }}
tr:has(.against), .claim:has(.against) {{ background: var(--row); }}
.claim:target {{ outline: 2px solid var(--link); outline-offset: .5rem; }}
.verdict {{ display: inline-block; padding: .1rem .5rem; margin: .1rem 0; border: 1px solid; border-radius: .25rem; }}
.good {{ color: var(--good); }} .calm {{ color: var(--calm); }}
.against {{ color: #fff; background: var(--loud); border-color: var(--loud); font-weight: bold; }}
dl {{ display: grid; grid-template-columns: 8rem 1fr; gap: .4rem 1.25rem; margin: .75rem 0; }}
dt {{ color: var(--quiet); }} dt, dd {{ margin: 0; min-width: 0; overflow-wrap: anywhere; }}
summary {{ cursor: pointer; padding: .3rem 0; color: var(--link); }}
figure {{ margin: 1.5rem 0 2.5rem; }}
figcaption {{ margin: .75rem auto; font-size: 1rem; }}
figure > :is(.note, details) {{ max-width: 46rem; margin: 0 auto; }}
svg {{ display: block; }}
figure svg {{ width: 100%; max-width: var(--printed); height: auto; margin: 0 auto; background: #fff; }}
figure svg * {{ stroke-linejoin: round; stroke-linecap: butt; }}
.claim {{ padding: 1.25rem 0 1rem; border-top: 1px solid var(--line); }}
.claim header {{ display: flex; flex-wrap: wrap; gap: .2rem .8rem; align-items: baseline; font-family: var(--sans); font-size: .9rem; }}
.claim h3 a {{ color: inherit; text-decoration: none; }}
.claim h3 a:is(:hover, :focus-visible) {{ text-decoration: underline; }}
.said {{ font-size: 1.15rem; margin: .3rem 0 .6rem; }}
.evidence {{ display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0 2rem; align-items: start; }}
.evidence dl {{ grid-template-columns: 6rem minmax(0, 1fr); margin: 0; }}
.hypotheses {{ margin: 0; padding-left: 1.1rem; }}
.hypotheses .note {{ margin-left: .6rem; }}
.runs {{ width: 246px; max-width: 100%; }}
.scatter {{ width: 246px; max-width: 100%; height: auto; margin-bottom: .4rem; }}
.scatter text {{ font: 10px var(--sans); fill: var(--quiet); }}
.scatter path {{ fill: none; stroke: var(--quiet); }}
.scatter .tested {{ stroke: var(--link); stroke-width: 3.4; stroke-linecap: round; }}
.scatter .ended-badly {{ stroke: var(--bad); stroke-width: 1.4; }}
.scatter .limit {{ stroke: var(--ink); }}
.scatter .edge {{ stroke: var(--ink); stroke-dasharray: 2 3; }}
.controls {{ display: flex; flex-wrap: wrap; gap: .6rem 1.25rem; margin: .5rem 0; align-items: end; }}
.control label {{ display: block; color: var(--quiet); font-size: .8rem; }}
.control :is(select, input) {{ font: inherit; max-width: 18rem; min-height: 1.9rem; }}
.control select {{ color: var(--ink); background: var(--code); border: 1px solid var(--quiet); border-radius: .25rem; padding: .1rem .3rem; }}
.control input[type=range] {{ width: 10rem; vertical-align: middle; accent-color: var(--link); }}
.control input[type=checkbox] {{ width: 1.3rem; }}
.control output {{ margin-left: .5rem; font-variant-numeric: tabular-nums; }}
.reading {{ min-height: 4.4em; }}
.picture svg {{ max-width: 100%; color: var(--link); cursor: crosshair; }}
.picture text {{ font: 12px var(--sans); fill: var(--ink); }}
.picture .frame {{ fill: none; stroke: var(--line); }} .picture .grid {{ stroke: var(--line); }}
.picture .curve {{ fill: none; stroke: var(--link); opacity: .55; stroke-width: 1.5; }}
.picture .chosen {{ fill: none; stroke: var(--bad); stroke-width: 2.5; }}
.cards {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 28rem), 1fr)); gap: 1rem; }}
.card {{ padding: .9rem 1rem; border: 1px solid var(--line); border-radius: .4rem; }}
.card dl {{ grid-template-columns: 4.5rem 1fr; margin: .5rem 0 0; }}
footer {{ margin-top: 3rem; border-top: 1px solid var(--line); padding-top: .75rem; }}
@media screen and (max-width: 48rem) {{ body {{ font-size: 1rem; }} main {{ padding-top: 1.25rem; }}
  .evidence {{ grid-template-columns: minmax(0, 1fr); gap: .6rem; }} .runs {{ order: -1; }}
  dl, .evidence dl, .card dl {{ grid-template-columns: minmax(0, 1fr); gap: .1rem; }} dd {{ margin-bottom: .5rem; }}
  figure svg {{ min-width: calc(.8 * var(--printed)); }}
  [aria-label="Verdicts"] tr {{ display: block; padding: .5rem 0; border-bottom: 1px solid var(--line); }}
  [aria-label="Verdicts"] thead {{ display: none; }}
  [aria-label="Verdicts"] :is(th, td) {{ display: block; width: auto; border: 0; padding: .1rem 0; }} }}
@media print {{ @page {{ margin: 16mm 14mm; }} html {{ font-size: 8.5pt; }} main {{ padding: 0; max-width: none; }}
  :root {{ color-scheme: light; {_LIGHT} }}
  nav, footer, #explore, details:not([open]) {{ display: none; }}
  .scroll {{ overflow: visible; }} pre {{ white-space: pre-wrap; overflow-wrap: anywhere; }}
  tr, figure, .card, .claim, pre, .scatter {{ break-inside: avoid; }} .claim {{ padding: .6rem 0; }}
  h2, .claim header, .said {{ break-after: avoid; }}
  .against {{ print-color-adjust: exact; -webkit-print-color-adjust: exact; }} }}
"""
