// The explorer of a study's page: two axes and a quantity to choose, the other axes to slide, a run to hover and replay.
// It reads the numbers beside it, asks nobody for anything, and draws with the page's own colours.
"use strict";
(() => {
  const root = document.getElementById("explorer");
  const { statuses, command, note, grids } = JSON.parse(document.getElementById("explorer-data").textContent);
  const RAMP = [[0, 34, 78], [65, 77, 107], [124, 123, 120], [188, 174, 108], [254, 232, 56]]; // cividis
  const CONVERGED = statuses.indexOf("converged");
  let grid, marks = [], chosen = -1, redraw = 0;

  // -- small helpers ---------------------------------------------------------------------------------------------
  const make = (tag, attributes = {}, ...children) => {
    const svg = /^(svg|g|path|rect|circle|text|line)$/.test(tag);
    const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  const short = (value) => {
    if (value === null) return "no number";
    const size = Math.abs(value), digits = Number(value.toPrecision(4));
    if (value === 0 || (size >= 1e-3 && size < 1e6)) return String(Number.isInteger(value) ? value : digits);
    return digits.toExponential().replace("e+", "e");
  };
  const known = (values) => values.filter((v) => v !== null);
  const median = (values) => {
    const sorted = known(values).sort((a, b) => a - b), half = sorted.length >> 1;
    return sorted.length ? (sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2) : null;
  };
  const isSeed = (axis) => axis.name === "seed" || axis.name.startsWith("seed.");
  const label = (axis, place) => (axis.words ? axis.values[place] : short(Number(axis.values[place])));
  const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : "'" + word.replaceAll("'", `'"'"'`) + "'");

  // A scale from numbers to [0, 1]; words stand at equal distances.
  const scale = (values, log) => {
    const f = log ? Math.log10 : (v) => v;
    const seen = known(values).filter((v) => !log || v > 0).map(f);
    let low = Math.min(...seen), high = Math.max(...seen);
    if (!seen.length) [low, high] = [0, 1];
    const same = low === high;
    if (same) [low, high] = [low - 0.5, high + 0.5];
    return { at: (v) => (v === null || (log && v <= 0) ? null : (f(v) - low) / (high - low)), low, high, log, same,
      back: (t) => (log ? 10 ** (low + t * (high - low)) : low + t * (high - low)) };
  };
  const wide = (values, times) => {
    const seen = known(values);
    return seen.length > 1 && Math.min(...seen) > 0 && Math.max(...seen) >= times * Math.min(...seen);
  };
  const axisScale = (axis) => {
    const numbers = axis.values.map((v, i) => (axis.words ? i : Number(v)));
    return { ...scale(numbers, !axis.words && wide(numbers, 10)), numbers };
  };

  // -- controls --------------------------------------------------------------------------------------------------
  const control = (name, node, hint) => {
    node.id = `explorer-${name.replace(/\W+/g, "-")}`;
    return make("div", { class: "control" }, make("label", { for: node.id }, hint || name), node);
  };
  const choice = (options, value) => {
    const node = make("select");
    options.forEach(([text, v]) => node.append(make("option", v === value ? { value: v, selected: "" } : { value: v }, text)));
    return node;
  };
  const chooseGrid = choice(grids.map((g, i) => [g.name, String(i)]), "0");
  const chooseX = make("select"), chooseY = make("select"), chooseQ = make("select");
  const logBox = make("input", { type: "checkbox" });
  const top = make("div", { class: "controls" }), sliders = make("div", { class: "controls" });
  const picture = make("div", { class: "picture" });
  const said = make("p", { class: "reading", "aria-live": "polite" });
  const replay = make("pre", { tabindex: "0", class: "command", "aria-label": "command that replays the chosen run", hidden: "" });
  let places = {};

  const fill = (node, options, value) => {
    node.replaceChildren(...choice(options, value).children);
    node.value = value;
  };
  const several = () => grid.axes.filter((axis) => axis.values.length > 1);
  const setGrid = () => {
    grid = grids[Number(chooseGrid.value)];
    const axes = several(), numeric = axes.filter((a) => !a.words && !isSeed(a)).sort((a, b) => b.values.length - a.values.length);
    const first = (numeric[0] || axes[0] || grid.axes[0]).name; // the finest axis, and something that the study measures
    const across = grid.axes.findIndex((a) => a.name === first);
    const measured = Math.max(0, grid.quantities.findIndex((q) => !["loss", "steps", "time"].includes(q.name) && q.dims.includes(across)));
    fill(chooseX, (axes.length ? axes : grid.axes).map((a) => [a.name, a.name]), first);
    fill(chooseQ, grid.quantities.map((q, i) => [q.name, String(i)]), String(measured));
    places = Object.fromEntries(grid.axes.map((a) => [a.name, isSeed(a) && a.values.length > 1 ? -1 : 0]));
    setX();
  };
  const setX = () => {
    const others = several().filter((a) => a.name !== chooseX.value);
    const kept = others.some((a) => a.name === chooseY.value) ? chooseY.value : "";
    fill(chooseY, [["the quantity (a curve)", ""], ...others.map((a) => [`${a.name} (a map)`, a.name])], kept);
    setSliders();
  };
  const setSliders = () => {
    const free = several().filter((a) => a.name !== chooseX.value && a.name !== chooseY.value);
    sliders.replaceChildren(...free.map((axis) => {
      const all = isSeed(axis), node = axis.words ? choice(axis.values.map((v, i) => [v, String(i)]), String(places[axis.name]))
        : make("input", { type: "range", min: all ? -1 : 0, max: axis.values.length - 1, step: 1, value: places[axis.name] });
      const shown = make("output");
      const tell = () => {
        shown.textContent = axis.words ? "" : places[axis.name] < 0 ? "all" : label(axis, places[axis.name]);
        if (!axis.words) node.setAttribute("aria-valuetext", shown.textContent);
      };
      node.addEventListener("input", () => { places[axis.name] = Number(node.value); tell(); draw(); });
      tell();
      const box = control(`slide ${axis.name}`, node, axis.name);
      box.append(shown);
      return box;
    }));
    setLog();
  };
  const setLog = () => {
    logBox.checked = wide(quantity().values, 100);
    draw();
  };

  // -- runs ------------------------------------------------------------------------------------------------------
  const quantity = () => grid.quantities[Number(chooseQ.value)];
  const flat = (dims, at) => dims.reduce((place, a) => place * grid.axes[a].values.length + at[a], 0);
  const everyAxis = () => grid.axes.map((_, i) => i);
  // The runs of one place: several where all seeds are asked for.
  const runsAt = (fixed) => {
    let found = [grid.axes.map((axis) => (axis.name in fixed ? fixed[axis.name] : places[axis.name]))];
    grid.axes.forEach((axis, i) => {
      found = found.flatMap((at) => (at[i] >= 0 ? [at] : axis.values.map((_, k) => at.with(i, k))));
    });
    return found.map((at) => ({ at, value: quantity().values[flat(quantity().dims, at)], status: Number(grid.status[flat(everyAxis(), at)]) }));
  };
  const told = (run) => grid.axes.map((axis, i) => `${axis.name} = ${label(axis, run.at[i])}`).join(", ");
  const choose = (place, now) => {
    chosen = place;
    const mark = marks[place], run = mark.runs[mark.middle], many = mark.runs.length > 1;
    const ends = statuses.map((s, k) => [mark.runs.filter((r) => r.status === k).length, s]).filter(([n]) => n);
    const spread = many ? ` (median of ${mark.runs.length} from ${short(mark.low)} to ${short(mark.high)}, ${ends.map(([n, s]) => `${n} ${s}`).join(", ")}); nearest to it:` : "";
    said.textContent = `${quantity().name} = ${short(mark.value)}${spread} ${told(run)}; ${statuses[run.status]}`;
    picture.querySelectorAll(".chosen").forEach((node) => node.remove());
    const ring = mark.cell ? make("rect", { ...mark.cell, class: "chosen" }) : make("circle", { cx: mark.x, cy: mark.y, r: 7, class: "chosen" });
    picture.firstChild.append(ring);
    if (!now || !command) return;
    const words = [...command.words, ...grid.axes.map((axis, i) => `${axis.name}=${axis.values[run.at[i]]}`), ...command.more];
    replay.textContent = words.map(quoted).join(" ");
    replay.hidden = false;
    getSelection().selectAllChildren(replay);
  };
  const mark = (x, y, runs, cell) => {
    const values = known(runs.map((r) => r.value)), value = median(runs.map((r) => r.value));
    const off = (r) => (r.value === null ? Infinity : Math.abs(r.value - value));
    const middle = runs.reduce((best, r, i) => (off(r) < off(runs[best]) ? i : best), 0);
    const worst = runs.find((r) => r.status !== CONVERGED) || runs[0];
    return { x, y, runs, cell, value, middle, low: values.length ? Math.min(...values) : null, high: values.length ? Math.max(...values) : null, status: worst.status };
  };

  // -- drawing ---------------------------------------------------------------------------------------------------
  const symbol = (status, x, y, ink) => {
    if (status === CONVERGED) return make("circle", { cx: x, cy: y, r: 2.6, fill: ink });
    if (statuses[status] === "capped") return make("rect", { x: x - 3, y: y - 3, width: 6, height: 6, fill: "none", stroke: ink });
    return make("path", { d: `M${x - 3} ${y - 3}l6 6m0-6l-6 6`, fill: "none", stroke: ink, "stroke-width": 1.5 });
  };
  const colour = (t) => {
    const place = Math.max(0, Math.min(0.9999, t)) * (RAMP.length - 1), k = Math.floor(place);
    return `rgb(${RAMP[k].map((c, i) => Math.round(c + (place - k) * (RAMP[k + 1][i] - c)))})`;
  };
  const text = (x, y, words, anchor) => make("text", { x, y, "text-anchor": anchor }, words);
  const ticks = (s, count) => {
    const found = [];
    if (s.same) return [s.back(0.5)];
    if (s.log) {
      const step = Math.max(1, Math.ceil((s.high - s.low) / count));
      for (let p = Math.ceil(s.low - 1e-9); p <= s.high + 1e-9; p += step) found.push(10 ** p);
      if (found.length > 1) return found;
    }
    return Array.from({ length: count }, (_, i) => s.back(i / (count - 1))).slice(found.length > 1 ? count : 0);
  };
  const named = (axis, s, count) => {
    const every = Math.max(1, Math.ceil(axis.values.length / count));
    return s.numbers.map((v, i) => [v, label(axis, i)]).sort((a, b) => a[0] - b[0]).filter((_, i) => i % every === 0);
  };
  const draw = () => { cancelAnimationFrame(redraw); redraw = requestAnimationFrame(drawNow); };
  const drawNow = () => {
    const width = Math.max(280, picture.clientWidth), height = Math.round(Math.min(420, width * 0.6 + 60));
    const frame = { left: 62, top: 14, right: width - 14, bottom: height - 46 };
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, width, height, tabindex: "0", role: "application",
      "aria-label": `${quantity().name} against ${chooseX.value}${chooseY.value && ` and ${chooseY.value}`}: arrow keys move from run to run, Enter shows how to replay one` });
    const axis = grid.axes.find((a) => a.name === chooseX.value), xs = axisScale(axis);
    const across = (t) => frame.left + (0.03 + 0.94 * t) * (frame.right - frame.left);
    const up = (t) => frame.bottom - (0.04 + 0.92 * t) * (frame.bottom - frame.top);
    marks = [];
    chosen = -1;
    replay.hidden = true;
    svg.append(make("rect", { x: frame.left, y: frame.top, width: frame.right - frame.left, height: frame.bottom - frame.top, class: "frame" }));
    (chooseY.value ? drawMap : drawCurve)(svg, axis, xs, across, up, frame);
    named(axis, xs, Math.floor(width / 70)).forEach(([v, words]) => svg.append(text(across(xs.at(v)), frame.bottom + 17, words, "middle")));
    svg.append(text(frame.left + 0.4 * (frame.right - frame.left), frame.bottom + 38, axis.name, "middle"));
    svg.addEventListener("pointermove", (event) => { const near = nearest(svg, event); if (near >= 0) choose(near, false); });
    svg.addEventListener("click", (event) => { const near = nearest(svg, event); if (near >= 0) choose(near, true); });
    svg.addEventListener("keydown", walk);
    const focused = picture.contains(document.activeElement);
    picture.replaceChildren(svg);
    if (focused) svg.focus();
    const ends = [...new Set(marks.flatMap((m) => m.runs.map((r) => r.status)))].map((s) => statuses[s]);
    said.textContent = `${quantity().about}. Runs shown: ${ends.join(", ")}${ends.some((e) => e !== "converged") ? " (dot: converged, square: capped, cross: other)" : ""}.`;
  };
  const drawCurve = (svg, axis, xs, across, up, frame) => {
    const groups = axis.values.map((_, i) => runsAt({ [axis.name]: i }));
    const ys = scale(groups.flatMap((g) => g.map((r) => r.value)), logBox.checked);
    ticks(ys, 5).forEach((v) => {
      const y = up(ys.at(v));
      svg.append(make("line", { x1: frame.left, x2: frame.right, y1: y, y2: y, class: "grid" }), text(frame.left - 6, y + 4, short(Number(v.toPrecision(3))), "end"));
    });
    const middle = groups.map((runs, i) => [across(xs.at(xs.numbers[i])), ys.at(median(runs.map((r) => r.value)))])
      .filter(([, t]) => t !== null).sort((a, b) => a[0] - b[0]);
    if (middle.length > 1 && !axis.words) svg.append(make("path", { d: "M" + middle.map(([x, t]) => `${x.toFixed(1)} ${up(t).toFixed(1)}`).join("L"), class: "curve" }));
    groups.forEach((runs, i) => runs.forEach((run) => {
      const t = ys.at(run.value), x = across(xs.at(xs.numbers[i])), y = t === null ? frame.top + 6 : up(t);
      marks.push(mark(x, y, [run]));
      svg.append(symbol(t === null ? -1 : run.status, x, y, "currentColor"));
    }));
  };
  const drawMap = (svg, axis, xs, across, up, frame) => {
    const other = grid.axes.find((a) => a.name === chooseY.value), ys = axisScale(other);
    const edges = (s, place) => {
      const sorted = [...new Set(s.numbers.map(s.at))].sort((a, b) => a - b);
      return (t) => {
        const k = sorted.indexOf(t), half = sorted.length > 1 ? 0.5 / (sorted.length - 1) : 0.5;
        const low = k > 0 ? (t + sorted[k - 1]) / 2 : t - Math.min(half, 0.04), high = k < sorted.length - 1 ? (t + sorted[k + 1]) / 2 : t + Math.min(half, 0.04);
        return [place(Math.max(-0.03, low)), place(Math.min(1.03, high))];
      };
    };
    const cols = edges(xs, across), rows = edges(ys, up);
    axis.values.forEach((_, i) => other.values.forEach((__, j) => {
      const [left, right] = cols(xs.at(xs.numbers[i])), [low, high] = rows(ys.at(ys.numbers[j]));
      const cell = { x: left, y: high, width: Math.max(1, right - left), height: Math.max(1, low - high) };
      marks.push(mark((left + right) / 2, (low + high) / 2, runsAt({ [axis.name]: i, [other.name]: j }), cell));
    }));
    const colours = scale(marks.map((m) => m.value), logBox.checked);
    marks.forEach((m) => {
      const t = colours.at(m.value);
      svg.append(make("rect", { ...m.cell, fill: t === null ? "none" : colour(t), class: "cell" }));
      if (t === null || m.status !== CONVERGED) svg.append(symbol(t === null ? -1 : m.status, m.x, m.y, t === null ? "currentColor" : t > 0.5 ? "#000" : "#fff"));
    });
    named(other, ys, 8).forEach(([v, words]) => svg.append(text(frame.left - 6, up(ys.at(v)) + 4, words, "end")));
    svg.append(make("text", { transform: `translate(14 ${(frame.top + frame.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, other.name));
    const bar = 90, from = frame.right - bar - 56, y = frame.bottom + 30;
    for (let k = 0; k < 18; k++) svg.append(make("rect", { x: from + k * 5, y, width: 5.5, height: 9, fill: colour((k + 0.5) / 18) }));
    svg.append(text(from - 5, y + 9, short(Number(colours.back(0).toPrecision(3))), "end"), text(frame.right - 52, y + 9, short(Number(colours.back(1).toPrecision(3))), "start"));
  };

  // -- hover, click, keys ------------------------------------------------------------------------------------------
  const nearest = (svg, event) => {
    const box = svg.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    let best = -1, least = Infinity;
    marks.forEach((m, i) => {
      const off = (m.x - x) ** 2 + (m.y - y) ** 2;
      if (off < least) [best, least] = [i, off];
    });
    return best;
  };
  const walk = (event) => {
    const way = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(Math.max(0, chosen), true); }
    if (!way || !marks.length) return;
    event.preventDefault();
    if (chosen < 0) return choose(0, false);
    const here = marks[chosen];
    let best = -1, least = Infinity;
    marks.forEach((m, i) => {
      const ahead = way[0] * (m.x - here.x) + way[1] * (m.y - here.y), aside = Math.abs(way[1] * (m.x - here.x)) + Math.abs(way[0] * (m.y - here.y));
      if (i !== chosen && ahead > 0.01 && ahead + 2 * aside < least) [best, least] = [i, ahead + 2 * aside];
    });
    if (best >= 0) choose(best, false);
  };

  if (grids.length > 1) top.append(control("grid", chooseGrid));
  top.append(control("across", chooseX), control("up", chooseY), control("quantity", chooseQ), control("log scale", logBox));
  chooseGrid.addEventListener("change", setGrid);
  chooseX.addEventListener("change", setX);
  chooseY.addEventListener("change", setSliders);
  chooseQ.addEventListener("change", setLog);
  logBox.addEventListener("change", draw);
  root.replaceChildren(top, sliders, picture, said, replay, ...(note ? [make("p", { class: "note" }, note)] : []));
  addEventListener("resize", draw);
  setGrid();
})();
