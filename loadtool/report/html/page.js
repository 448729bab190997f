"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const by = (id) => document.getElementById(id);
  const MARGIN = { left: 66, right: 14, bottom: 34, lane: 19 };
  const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
  const coarse = matchMedia("(pointer: coarse)").matches;
  const night = matchMedia("(prefers-color-scheme: dark)");
  const plots = new Map(); // key -> {at: element, chart}
  let range = [0, data.end];
  let printing = false;

  // Colours: `@name` in the data is `--name` of the style sheet, resolved for the theme that is on.
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const colour = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const COLOURED = new Set(["color", "fillcolor", "fgcolor", "bgcolor", "bordercolor"]);
  const painted = (value, key) => {
    if (Array.isArray(value)) {
      if (key === "colorscale") return value.map(([at, name]) => [at, colour(name.slice(1))]);
      return value;
    }
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, painted(v, k)]));
    }
    if (typeof value === "string" && COLOURED.has(key) && value.startsWith("@")) return colour(value.slice(1));
    return value;
  };

  // Plotly reads its texts as a kind of HTML.
  const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

  const unescaped = (text) => text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

  // Counts of a heat map: coloured by their logarithm, told in words.
  const heated = (trace) => ({
    ...trace,
    z: trace.customdata.map((row) => row.map((n) => (n ? Math.log10(n) : null))),
    text: trace.customdata.map((row, i) => row.map((n, j) =>
      n ? `${trace.meta.columns[j]}<br>${trace.meta.rows[i]}: <b>${n.toLocaleString("en")}</b>` : "")),
    hovertemplate: "%{text}<extra></extra>",
    colorbar: { ...trace.colorbar, thickness: 8, len: 0.36, x: 1, xanchor: "right", y: -0.13, yanchor: "top",
      outlinewidth: 0, ypad: 0, xpad: 0, tickfont: { size: 11 }, title: { ...trace.colorbar.title, font: { size: 11 } } },
  });

  // What was going on: the first row of every label on the time axis, drawn nowhere.
  const around = {
    type: "scatter", mode: "lines", x: data.around.x, y: data.around.x.map(() => 0.5), yaxis: "y2",
    customdata: data.around.text, hovertemplate: "%{customdata}<extra></extra>", showlegend: false,
    line: { color: "rgba(0,0,0,0)", width: 0 },
  };

  // Phases and faults as bands, with names in lanes above the plot.
  const lanes = Math.max(0, ...data.faults.map((f) => (f.lane === null ? 0 : f.lane + 1)));
  const top = 8 + MARGIN.lane * (1 + lanes);
  const pen = document.createElement("canvas").getContext("2d");
  const fitted = (text, room) => {
    pen.font = `12px ${FONT}`;
    if (pen.measureText(text).width <= room) return text;
    let n = Math.floor(text.length * room / pen.measureText(text).width);
    while (n > 1 && pen.measureText(`${text.slice(0, n)}…`).width > room) n -= 1;
    return n > 1 ? `${text.slice(0, n)}…` : "";
  };
  const shapes = () => {
    const made = [];
    const band = (from, to, more) =>
      made.push({ type: "rect", layer: "below", xref: "x", yref: "paper", x0: from, x1: to, y0: 0, y1: 1, ...more });
    for (const p of data.phases) {
      if (p.spike) band(p.from, p.to, { fillcolor: colour("spike-fill"), line: { width: 0 } });
      if (p.from > 0) {
        made.push({ type: "line", layer: "below", xref: "x", yref: "paper", x0: p.from, x1: p.from, y0: 0, y1: 1,
          line: { color: colour("edge"), width: 1, dash: "dot" } });
      }
    }
    for (const f of data.faults) {
      band(f.from, f.to, { fillcolor: colour("fault-fill"), line: { width: 0 } });
      band(f.from, f.to, { layer: "above", line: { color: colour("fault"), width: 1, dash: "5px,4px" } });
    }
    return made;
  };
  const names = (width) => {
    const perSecond = (width - MARGIN.left - MARGIN.right) / Math.max(range[1] - range[0], 1e-9);
    const made = [];
    const name = (text, from, until, lane, tint) => {
      const start = Math.max(from, range[0]);
      const shown = fitted(text, (Math.min(until, range[1]) - start) * perSecond - 6);
      if (!shown || start >= range[1]) return;
      made.push({ text: plain(shown), x: start, xref: "x", xanchor: "left", y: 1, yref: "paper", yanchor: "bottom",
        yshift: 1 + lane * MARGIN.lane, showarrow: false, borderpad: 1, font: { size: 12, color: colour(tint) } });
    };
    for (const f of data.faults) if (f.lane !== null) name(f.name, f.from, f.room, f.lane, "fault");
    for (const p of data.phases) name(p.name, p.from, p.to, lanes, "muted");
    return made;
  };

  // Round instants, as many as there is room for; of a run of more than ten minutes in minutes and hours.
  const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
  const two = (n) => String(n).padStart(2, "0");
  const clock = (t, step) => {
    if (data.end <= 600) return `${t.toLocaleString("en", { maximumFractionDigits: 1 })} s`;
    const whole = Math.round(t), h = Math.floor(whole / 3600), m = Math.floor(whole / 60) % 60, s = whole % 60;
    if (step < 1) return `${t.toFixed(1)} s`;
    if (h) return step % 60 ? `${h}h${two(m)}m${two(s)}s` : `${h}h${two(m)}m`;
    return step % 60 ? `${m}m${two(s)}s` : `${m} min`;
  };
  const instants = (width) => {
    const most = Math.max(3, Math.floor((width - MARGIN.left) / 85)), span = range[1] - range[0];
    const step = STEPS.find((v) => span / v <= most) ?? Math.ceil(span / most / 86400) * 86400;
    const tickvals = [];
    for (let i = Math.max(0, Math.ceil(range[0] / step - 1e-9)); i * step <= range[1] + 1e-9; i += 1) tickvals.push(i * step);
    return { tickvals, ticktext: tickvals.map((t) => clock(t, step)) };
  };

  // How far from a point its label shows, in px: half way to the next one. Farther, and a slice without a value
  // would show its neighbour's.
  const reach = (chart, width) => {
    const gaps = chart.traces.filter((t) => t.type === "scatter" && t.hovertemplate !== null).map((t) => {
      const x = chart.onTime ? t.x : t.x.map(Math.log10);
      const found = x.slice(1).map((v, i) => v - x[i]).sort((a, b) => a - b);
      return found.length ? found[Math.floor(found.length / 2)] : Infinity;
    });
    const axis = chart.onTime ? range : chart.layout.xaxis.range;
    const perUnit = (width - MARGIN.left - MARGIN.right) / Math.max(axis[1] - axis[0], 1e-9);
    return Math.ceil(Math.min(Math.max(Math.max(0, ...gaps) * perUnit * 0.52, 2), width)); // Plotly wants a whole number
  };

  // Labels of a log axis, but for those that would touch the one before.
  const apart = (axis, room) => {
    let last = -Infinity;
    return axis.ticktext.map((text, i) => {
      const place = (Math.log10(axis.tickvals[i]) - axis.range[0]) / (axis.range[1] - axis.range[0]) * room;
      if (place - last < 7 * text.length) return "";
      last = place;
      return text;
    });
  };

  const layout = (chart, width) => {
    const ink = colour("ink"), muted = colour("muted"), line = colour("line");
    const axis = { gridcolor: colour("grid"), linecolor: line, zeroline: false, fixedrange: true, color: muted,
      tickfont: { size: 12 }, automargin: false };
    const below = chart.hover === "closest" ? 30 : 0; // the bar of colours
    const made = painted(chart.layout);
    const time = { ...axis, range: [...range], ...instants(width), fixedrange: false, showgrid: false, ticks: "outside",
      tickcolor: line, ticklen: 4, tickangle: 0, minallowed: 0, maxallowed: data.end,
      unifiedhovertitle: { text: "<b>%{x:.1f} s</b>" }, hoverformat: ".1f",
      showspikes: true, spikemode: "across", spikesnap: "hovered data", spikethickness: 1, spikedash: "solid", spikecolor: colour("edge") };
    return {
      font: { family: FONT, size: 13, color: ink },
      paper_bgcolor: colour("card"), plot_bgcolor: colour("card"),
      width, height: chart.height + below, autosize: false,
      margin: { l: MARGIN.left, r: MARGIN.right + (chart.onTime ? 0 : 12), t: chart.onTime ? top : 12, b: MARGIN.bottom + below + (chart.onTime ? 0 : 18) },
      hovermode: chart.hover, hoverdistance: chart.hover === "closest" ? 20 : reach(chart, width), spikedistance: -1, dragmode: chart.onTime && !coarse ? "zoom" : false,
      hoverlabel: { bgcolor: colour("card"), bordercolor: line, font: { family: FONT, size: 12.5, color: ink }, align: "left", namelength: -1 },
      showlegend: false,
      ...made,
      xaxis: chart.onTime ? time
        : { ...axis, ...made.xaxis, ticktext: apart(made.xaxis, width - MARGIN.left - MARGIN.right), ticks: "outside", tickcolor: line, ticklen: 4, showspikes: true, spikemode: "across",
            spikethickness: 1, spikedash: "solid", spikecolor: colour("edge"), spikesnap: "hovered data",
            tickangle: 0, tickfont: { size: width < 600 ? 10 : 12 }, unifiedhovertitle: { text: "" }, title: { ...made.xaxis.title, font: { size: 12 }, standoff: 8 } },
      yaxis: { ...axis, ...made.yaxis, title: { ...made.yaxis.title, font: { size: 12 }, standoff: 6 } },
      ...(chart.onTime && chart.hover !== "closest"
        ? { yaxis2: { overlaying: "y", range: [0, 1], visible: false, fixedrange: true } } : {}),
      ...(chart.onTime ? { shapes: shapes(), annotations: names(width) } : {}),
    };
  };

  // Legends are the page's own: they wrap on a phone, and keys press them.
  const svg = (name, more, ...inside) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(more)) made.setAttribute(key, value);
    made.append(...inside);
    return made;
  };
  const DASHES = { solid: "none", dot: "2 3", dash: "6 4", dashdot: "6 3 2 3" };
  const HATCHES = { "/": ["M1 11L9 1M9 11L17 1M17 11L25 1"], x: ["M1 11L9 1M9 11L17 1M17 11L25 1", "M1 1L9 11M9 1L17 11M17 1L25 11"] };
  const swatch = (trace) => {
    const stroke = colour(trace.line.color.slice(1));
    const made = svg("svg", { width: 26, height: 12, "aria-hidden": "true" });
    if (trace.stackgroup) {
      made.append(svg("rect", { x: 1, y: 1, width: 24, height: 10, fill: colour(trace.fillcolor.slice(1)), stroke }));
      for (const d of HATCHES[trace.fillpattern.shape] || []) made.append(svg("path", { d, stroke, fill: "none", opacity: 0.7 }));
    } else {
      made.append(svg("line", { x1: 0, x2: 26, y1: 6, y2: 6, stroke, "stroke-width": Math.max(trace.line.width, 1.5), "stroke-dasharray": DASHES[trace.line.dash] }));
    }
    return made;
  };
  const legend = (key) => {
    const { chart, hidden } = plots.get(key);
    const list = by(`legend-${key}`);
    const focused = [...list.querySelectorAll("button")].indexOf(document.activeElement);
    list.replaceChildren(...chart.traces.flatMap((trace, i) => {
      if (trace.type !== "scatter") return [];
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", String(!hidden.has(i)));
      button.append(swatch(trace), unescaped(trace.name));
      button.addEventListener("click", () => { if (!hidden.delete(i)) hidden.add(i); draw(key); });
      const item = document.createElement("li");
      item.append(button);
      return [item];
    }));
    list.hidden = !list.children.length;
    if (focused >= 0) list.querySelectorAll("button")[focused].focus();
  };

  const widthOf = (at) => (printing ? 680 : Math.max(at.clientWidth, 240));
  const draw = (key) => {
    const { at, chart, hidden } = plots.get(key);
    const traces = chart.traces.map((t, i) => painted({ ...(t.type === "heatmap" ? heated(t) : t), visible: !hidden.has(i) }));
    if (chart.onTime && chart.hover !== "closest") {
      // Plotly turns the rows of a label round where one curve is filled down to another.
      if (traces.some((t) => t.fill === "tonexty")) traces.push(around);
      else traces.unshift(around);
    }
    const made = layout(chart, widthOf(at));
    at.style.height = `${made.height}px`;
    legend(key);
    return Plotly.react(at, traces, made, { displayModeBar: false, scrollZoom: false, doubleClick: false, responsive: false });
  };
  const drawAll = () => { for (const key of plots.keys()) draw(key); };

  // One time axis for all charts.
  const show = (from, to) => {
    const least = Math.min(data.end, Math.max(data.end / 500, 0.5));
    const a = Math.max(0, Math.min(from, data.end - least));
    range = [a, Math.min(data.end, Math.max(to, a + least))];
    by("reset").hidden = range[0] <= 0 && range[1] >= data.end;
    for (const { at, chart } of plots.values()) {
      if (!chart.onTime) continue;
      const width = widthOf(at), { tickvals, ticktext } = instants(width);
      const change = { "xaxis.range": [...range], "xaxis.tickvals": tickvals, "xaxis.ticktext": ticktext, annotations: names(width) };
      if (chart.hover !== "closest") change.hoverdistance = reach(chart, width);
      Plotly.relayout(at, change);
    }
  };
  const whole = () => show(0, data.end);
  const visible = (at) => {
    const box = at.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight;
  };
  const follow = (from, x) => {
    for (const { at, chart } of plots.values()) {
      if (at === from || !chart.onTime || chart.hover === "closest") continue;
      if (x === null) Plotly.Fx.unhover(at);
      else if (visible(at) && x >= range[0] && x <= range[1]) Plotly.Fx.hover(at, { xval: x }, "xy", true); // true: no event
    }
  };

  // The keyboard: a place on the axis that arrows move, shown as pointing there would, and read out.
  const spoken = (chart, x) => {
    const parts = [];
    for (const t of chart.traces) {
      if (t.type !== "scatter" || t.hovertemplate === null) continue;
      let best = -1;
      t.x.forEach((v, i) => { if (t.y[i] !== null && (best < 0 || Math.abs(v - x) < Math.abs(t.x[best] - x))) best = i; });
      if (best >= 0) parts.push(`${t.name} ${t.customdata[best]}`);
    }
    return unescaped(parts.join(", "));
  };
  const steps = (chart) => {
    const of = chart.traces.find((t) => t.type === "scatter");
    const all = of ? of.x : chart.traces[0].x;
    return chart.onTime ? all.filter((x) => x >= range[0] && x <= range[1]) : all;
  };
  const move = (plot, way) => {
    const xs = steps(plot.chart);
    if (!xs.length) return;
    const here = plot.place ?? -Infinity; // an x, which stays what it is when the axis is zoomed
    const x = way === "first" ? xs[0] : way === "last" ? xs.at(-1)
      : way > 0 ? xs.find((v) => v > here) ?? xs.at(-1) : xs.findLast((v) => v < here) ?? xs[0];
    plot.place = x;
    const log = plot.chart.layout.xaxis && plot.chart.layout.xaxis.type === "log";
    if (plot.chart.hover !== "closest") Plotly.Fx.hover(plot.at, { xval: log ? Math.log10(x) : x });
    const where = log ? `${(100 - 100 / x).toFixed(3)} %` : `${x.toFixed(1)} s`;
    by("said").textContent = `${where}: ${spoken(plot.chart, x)}`;
  };
  const zoom = (factor) => {
    const middle = (range[0] + range[1]) / 2, half = (range[1] - range[0]) / 2 * factor;
    show(middle - half, middle + half);
  };
  const KEYS = {
    ArrowRight: (plot) => move(plot, 1), ArrowLeft: (plot) => move(plot, -1),
    Home: (plot) => move(plot, "first"), End: (plot) => move(plot, "last"),
    "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), 0: whole,
    Escape: (plot) => { plot.place = undefined; Plotly.Fx.unhover(plot.at); },
  };

  const listen = (key) => {
    const plot = plots.get(key);
    plot.at.on("plotly_relayout", (change) => {
      // Only what somebody did: `show` sets the whole range at once, and its events come late.
      const from = change["xaxis.range[0]"], to = change["xaxis.range[1]"];
      if (plot.chart.onTime && from !== undefined && to !== undefined) show(from, to);
    });
    plot.at.on("plotly_doubleclick", () => { if (plot.chart.onTime) whole(); });
    plot.at.on("plotly_hover", (event) => {
      if (plot.chart.onTime) follow(plot.at, event.xvals ? event.xvals[0] : event.points[0].x);
    });
    plot.at.on("plotly_unhover", () => follow(plot.at, null));
    plot.at.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
      event.preventDefault();
      KEYS[event.key](plot);
    });
    const save = document.querySelector(`[data-save="${key}"]`);
    save.hidden = false;
    save.addEventListener("click", () => {
      const { at } = plot, height = at.layout.height + 40;
      const picture = { ...at.layout, showlegend: true, height, title: { text: plain(document.title), font: { size: 13 } },
        margin: { ...at.layout.margin, t: at.layout.margin.t + 30, b: at.layout.margin.b + 30 },
        legend: { orientation: "h", x: 0, y: 0, yref: "container", yanchor: "bottom" } };
      Plotly.downloadImage({ data: at.data, layout: picture }, { format: "png", scale: 2, width: at.layout.width, height: height + 30, filename: `loadtool-${key}` });
    });
  };

  // Theme: the system's, until the button says otherwise.
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : night.matches);
  const button = by("theme");
  const label = () => { button.textContent = dark() ? "Light" : "Dark"; button.setAttribute("aria-label", `Use the ${dark() ? "light" : "dark"} theme`); };
  button.hidden = false;
  label();
  button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; label(); drawAll(); });
  night.addEventListener("change", () => { label(); drawAll(); });
  by("reset").addEventListener("click", whole);

  // Paper is white, and as wide as it is.
  let before, closed = [];
  addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    closed = [...document.querySelectorAll("#profile details:not([open])")];
    for (const details of closed) details.open = true;
    root.dataset.theme = "light";
    printing = true;
    drawAll();
  });
  addEventListener("afterprint", () => {
    for (const details of closed) details.open = false;
    if (before) root.dataset.theme = before; else delete root.dataset.theme;
    printing = false;
    drawAll();
  });
  let waiting;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(() => { if (!printing) drawAll(); }, 120); });

  // The page shows first; then one chart after the other.
  const queue = [...document.querySelectorAll("[data-chart]")];
  const next = () => {
    const at = queue.shift();
    if (!at) { root.dataset.charts = "ready"; return; }
    const key = at.dataset.chart;
    plots.set(key, { at, chart: data.charts[key], hidden: new Set() });
    try {
      draw(key);
      listen(key);
    } catch (error) {
      plots.delete(key);
      by("trouble").hidden = false;
      by("trouble").textContent = `A chart could not be drawn (${error.message}); the tables hold the same figures.`;
      console.error(error);
    }
    setTimeout(next);
  };
  requestAnimationFrame(() => setTimeout(next));
})();
