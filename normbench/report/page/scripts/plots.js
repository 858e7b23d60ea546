// One panel of a chart, drawn with Observable Plot.
const FONT = 11;
const AXIS = { tickSize: 3, labelAnchor: "center", labelArrow: "none" };
const MARGIN = { left: 46, right: 10, top: 8, bottom: 34 };

// The range of numbers, with room around them; of a logarithmic axis, of those that it can have.
function extent(numbers, log) {
  const known = numbers.filter((n) => n != null && (!log || n > 0));
  if (!known.length) return log ? [0.1, 10] : [0, 1];
  let [low, high] = d3.extent(known);
  if (log) {
    const room = Math.max(0.04 * Math.log(high / low), 0.05);
    return [low / Math.exp(room), high * Math.exp(room)];
  }
  const room = 0.05 * (high - low) || Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
}

function axisOf(log, domain, label, more = {}) {
  return {
    type: log ? "log" : "linear",
    domain,
    label,
    ...(log ? { ticks: logTicks(domain) } : { ticks: 5 }),
    tickFormat: tick,
    ...more,
  };
}

// What a line mark draws, as the reader wants it: its runs, or their mean and spread.
const runsOf = (mark) => (state.seeds && mark.runs.length ? mark.runs : []);

function numbersOf(mark) {
  const runs = runsOf(mark);
  return runs.length ? runs.flat() : [mark.mean ?? [], mark.low ?? [], mark.high ?? []].flat();
}

// Plot's data: one object a point, null where there is nothing to draw.
function points(mark, values, log) {
  return mark.x.map((x, i) => ({ x, y: log && !(values[i] > 0) ? null : values[i] }));
}

function band(mark, log) {
  return mark.x.map((x, i) => {
    const [low, high] = [mark.low[i], mark.high[i]];
    const there = low != null && high != null && (!log || high > 0);
    return { x, low: there ? low : NaN, high: there ? high : NaN };
  });
}

function lineMarks(marks, { log, domain }) {
  const found = [];
  for (const mark of marks) {
    const color = colorOfMark(mark);
    const runs = runsOf(mark);
    if (runs.length) {
      for (const run of runs)
        found.push(
          Plot.lineY(points(mark, run, log), { x: "x", y: "y", stroke: color, strokeWidth: 1, strokeOpacity: 0.6 }),
        );
      continue;
    }
    if (mark.low) {
      const floor = (d) => (log ? Math.max(d.low, domain[0]) : d.low);
      found.push(
        Plot.areaY(band(mark, log), { x: "x", y1: floor, y2: "high", fill: color, fillOpacity: mark.area ? 0.28 : 0.15 }),
      );
    }
    if (mark.area)
      for (const end of [mark.low, mark.high])
        found.push(Plot.lineY(points(mark, end, log), { x: "x", y: "y", stroke: color, strokeWidth: 1.3 }));
    if (!mark.mean) continue;
    const line = points(mark, mark.mean, log);
    found.push(Plot.lineY(line, { x: "x", y: "y", stroke: color, strokeWidth: 1.8 }));
    if (!mark.rank) {
      const every = Math.max(1, Math.ceil(line.length / 6));
      found.push(
        Plot.dot(line.filter((d, i) => d.y != null && i % every === 0), {
          x: "x", y: "y", fill: color, symbol: symbolOf(mark.norm), r: 3,
        }),
      );
    }
  }
  return found;
}

// A panel of lines.
// look: {width, height, x: {log, domain, label}, y: {log, domain, label}, levels}
function drawLines(marks, look) {
  const { x, y } = look;
  const levels = look.levels.filter(([value]) => value >= y.domain[0] && value <= y.domain[1]);
  return Plot.plot({
    width: look.width,
    height: look.height,
    marginLeft: MARGIN.left,
    marginRight: MARGIN.right,
    marginTop: y.label ? MARGIN.top + 16 : MARGIN.top,
    marginBottom: MARGIN.bottom,
    style: { fontSize: `${FONT}px` },
    x: axisOf(x.log, x.domain, x.label),
    y: axisOf(y.log, y.domain, y.label, { labelArrow: "none", labelAnchor: "top" }),
    marks: [
      Plot.axisX({ ...AXIS, tickFormat: tick, ticks: x.ticks ?? (x.log ? logTicks(x.domain) : 5) }),
      Plot.gridY({ stroke: "var(--line)", strokeOpacity: 1 }),
      ...lineMarks(marks, { log: y.log, domain: y.domain }),
      ...levels.flatMap(([value, name]) => [
        Plot.ruleY([value], { stroke: "var(--soft)", strokeDasharray: "2 3" }),
        Plot.text([name], { frameAnchor: "right", y: () => value, dy: -6, textAnchor: "end", dx: -2, fill: "var(--soft)" }),
      ]),
    ].filter(Boolean),
  });
}

const ROW = 24;

// How many ticks there is room for: fewer of long numbers.
const fitting = (domain) => (d3.max(d3.ticks(...domain, 5), (value) => tick(value).length) > 5 ? 3 : 5);

// A panel of dots: a row a norm, ours filled and the article's hollow below it.
function drawDots(marks, look) {
  const { x, rows } = look;
  const beside = marks.some((mark) => mark.kind === "article");
  const lift = (mark) => (beside ? (mark.kind === "article" ? 5 : -4) : 0);
  const made = [];
  for (const mark of marks) {
    const color = mark.kind === "article" ? "var(--soft)" : colorOf(mark.norm);
    const at = { y: () => mark.norm, dy: lift(mark) };
    const runs = mark.kind === "ours" && state.seeds ? mark.runs : [];
    if (runs.length > 1) {
      made.push(Plot.dot(runs, { x: (d) => d, ...at, stroke: color, r: 3, symbol: symbolOf(mark.norm), strokeWidth: 1.4 }));
      continue;
    }
    if (mark.low != null && mark.high != null)
      made.push(
        Plot.ruleY([mark], { x1: "low", x2: "high", ...at, stroke: color, strokeWidth: mark.kind === "article" ? 1.3 : 2.4, strokeOpacity: 0.65 }),
      );
    made.push(
      mark.kind === "article"
        ? Plot.dot([mark], { x: "value", ...at, stroke: color, fill: "var(--paper)", symbol: "diamond", r: 3, strokeWidth: 1.3 })
        : Plot.dot([mark], { x: "value", ...at, fill: color, symbol: symbolOf(mark.norm), r: 4.2 }),
    );
  }
  return Plot.plot({
    width: look.width,
    height: rows.length * ROW + MARGIN.bottom + MARGIN.top,
    marginLeft: look.named ? look.names : 8,
    marginRight: 14,
    marginTop: MARGIN.top,
    marginBottom: MARGIN.bottom,
    style: { fontSize: `${FONT}px` },
    x: axisOf(x.log, x.domain, x.label),
    y: { type: "band", domain: rows, label: null, padding: 0 },
    marks: [
      Plot.gridX({ stroke: "var(--line)", strokeOpacity: 1 }),
      x.domain[0] < 0 && x.domain[1] > 0 ? Plot.ruleX([0], { stroke: "var(--soft)", strokeDasharray: "2 3" }) : null,
      Plot.axisX({ ...AXIS, tickFormat: tick, ticks: x.log ? logTicks(x.domain) : fitting(x.domain) }),
      look.named ? Plot.axisY({ tickSize: 0, label: null, textOverflow: "ellipsis", lineWidth: 14 }) : null,
      ...made,
    ].filter(Boolean),
  });
}
