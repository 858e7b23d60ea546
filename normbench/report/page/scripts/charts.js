// Charts: drawn when they come near, drawn anew when the reader changes what is shown, read with the
// pointer or the arrow keys, and with all of their numbers in a table.
const HEIGHT = 190;
const charts = new Map();

class Chart {
  constructor(figure) {
    this.figure = figure;
    this.data = page.charts[figure.dataset.chart];
    this.holder = figure.querySelector(".plots");
    this.flipped = false; // whether the reader wants the other kind of axis
    this.panels = [];
    this.near = false;
    this.stale = true;
    this.width = 0;
    this.setUpScale();
    this.setUpReading();
    const table = figure.querySelector(".numbers");
    table.addEventListener("toggle", () => table.open && this.tabulate(table.querySelector(".holder")));
    const count = this.data.panels.length;
    this.least = this.data.dots ? (count === 4 ? 24 : 19) : count === 4 ? 13 : 15; // rem that a panel has at least
    this.holder.style.setProperty("--least", `${this.least}rem`);
    if (count === 1) this.holder.classList.add("one");
    const rows = Math.ceil(count / 3);
    this.holder.style.setProperty("--room", `${rows * (HEIGHT + 30)}px`);
  }

  // The axis that can be either, and whether it is logarithmic now.
  get axis() {
    const { data } = this;
    if (data.dots) return data.x;
    if (data.free) return data.panels.find((panel) => panel.y?.log != null)?.y ?? data.y;
    return data.y.log != null ? data.y : data.x;
  }

  isLog(axis) {
    if (axis.log == null) return false;
    const of = this.axis === axis || (this.data.free && axis !== this.data.x);
    return of ? axis.log !== this.flipped : axis.log;
  }

  setUpScale() {
    const buttons = [...this.figure.querySelectorAll(".scale button")];
    if (!buttons.length || this.axis.log == null) return;
    this.figure.querySelector(".chart-tools").hidden = false;
    const press = (log) => {
      this.flipped = log !== this.axis.log;
      for (const button of buttons) button.setAttribute("aria-pressed", String((button.dataset.scale === "log") === log));
    };
    press(this.axis.log);
    for (const button of buttons)
      button.addEventListener("click", () => {
        press(button.dataset.scale === "log");
        this.draw();
      });
  }

  refresh() {
    this.stale = true;
    if (this.near) this.draw();
    const table = this.figure.querySelector(".numbers");
    if (table.open) this.tabulate(table.querySelector(".holder"));
  }

  get visible() {
    return this.data.panels
      .map((panel) => ({ ...panel, marks: panel.marks.filter((mark) => isShown(mark.norm)) }))
      .filter((panel) => panel.marks.length && isShown(panel.norm));
  }

  draw() {
    const width = this.holder.clientWidth;
    if (!width) return; // in a tab that is not shown, or a closed part of the page
    this.stale = false;
    this.width = width;
    this.panels = [];
    hideTip();
    const visible = this.visible;
    if (!visible.length) {
      this.holder.replaceChildren(element("p", { class: "empty" }, "Every norm of this chart is switched off."));
      return;
    }
    this.holder.replaceChildren();
    if (this.data.dots) this.drawDots(visible);
    else this.drawLines(visible);
    this.holder.style.setProperty("--room", "0px");
    this.drawKeys(visible);
    const spread = this.figure.querySelector(".about .spread");
    if (spread) spread.hidden = state.seeds;
  }

  panelWidth(count) {
    const fit = Math.floor((this.width + 25.6) / (this.least * 16 + 25.6));
    const columns = Math.max(1, Math.min(count, fit));
    return (this.width - (columns - 1) * 25.6) / columns;
  }

  drawLines(visible) {
    const { data } = this;
    const width = this.panelWidth(visible.length);
    const xLog = this.isLog(data.x);
    const xs = visible.flatMap((panel) => panel.marks.flatMap((mark) => mark.x));
    const shared = visible.flatMap((panel) => panel.marks.flatMap(numbersOf));
    const levels = data.levels.map(([value]) => value);
    visible.forEach((panel) => {
      const axis = panel.y ?? data.y;
      const log = this.isLog(axis);
      const numbers = data.free ? panel.marks.flatMap(numbersOf) : [...shared, ...levels];
      const look = {
        width,
        height: visible.length === 1 ? 250 : HEIGHT,
        x: { log: xLog, domain: xLog ? d3.extent(xs.filter((x) => x > 0)) : d3.extent(xs), label: data.x.label },
        y: { log, domain: extent(numbers, log), label: panel.title === axis.label ? null : axis.label },
        levels: data.levels,
      };
      const few = [...new Set(xs)];
      if (few.length < 7) look.x.ticks = few;
      if (look.x.domain[0] === look.x.domain[1]) look.x.domain = extent(xs, xLog);
      const svg = drawLines(panel.marks, look);
      const steps = [...new Set(panel.marks.flatMap((mark) => mark.x))].filter((x) => !xLog || x > 0);
      this.add(panel, svg, steps.sort(d3.ascending));
    });
  }

  drawDots(visible) {
    const { data } = this;
    const rows = page.norms
      .map((norm) => norm.name)
      .filter((name) => visible.some((panel) => panel.marks.some((mark) => mark.norm === name)));
    const width = this.panelWidth(visible.length);
    const log = this.isLog(data.x);
    const all = visible.flatMap((panel) => panel.marks.flatMap(this.dotNumbers));
    visible.forEach((panel) => {
      const numbers = data.free ? panel.marks.flatMap(this.dotNumbers) : all;
      const look = {
        width,
        rows,
        named: true,
        names: Math.min(150, 20 + 6.4 * Math.min(d3.max(rows, (row) => row.length), 22)),
        x: { log, domain: extent(numbers, log), label: data.x.label || null },
      };
      this.add(panel, drawDots(panel.marks, look), rows);
    });
  }

  dotNumbers(mark) {
    return [mark.value, mark.low, mark.high, ...mark.runs].filter((n) => n != null);
  }

  add(panel, svg, stops) {
    svg.setAttribute("aria-hidden", "true");
    const holder = element("div", { class: "panel" });
    if (panel.title) holder.append(element("h5", {}, panel.title));
    holder.append(svg);
    this.holder.append(holder);
    this.panels.push({ panel, svg, stops, holder });
  }

  // Lines that are layers are named below the panels; norms have the page's legend.
  drawKeys(visible) {
    const ranked = new Map();
    for (const panel of visible)
      for (const mark of panel.marks) if (mark.rank) ranked.set(mark.label, shadeOf(mark.rank));
    const keys = [...ranked].map(([label, color]) => element("span", {}, element("i", { "--c": color }), label));
    const article = visible.some((panel) => panel.marks.some((mark) => mark.kind === "article"));
    if (article) keys.push(element("span", {}, "● ours"), element("span", {}, "◇ the article’s"));
    if (keys.length) this.holder.append(element("div", { class: "keys" }, ...keys));
  }

  // Reading: a place in a panel, with the values of all its marks there.
  setUpReading() {
    this.holder.addEventListener("pointermove", (event) => this.point(event));
    this.holder.addEventListener("pointerleave", () => this.forget());
    this.holder.addEventListener("blur", () => this.forget());
    this.holder.addEventListener("keydown", (event) => this.key(event));
  }

  point(event) {
    const svg = event.target.closest(".panel")?.querySelector("svg");
    const place = this.panels.findIndex((panel) => panel.svg === svg);
    if (place < 0) return this.forget();
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    const stop = this.nearest(this.panels[place], x, y);
    if (stop >= 0) this.read(place, stop, [event.clientX, event.clientY]);
  }

  nearest({ svg, stops }, x, y) {
    const axis = svg.scale(this.data.dots ? "y" : "x");
    const at = this.data.dots ? y : x;
    const half = (axis.bandwidth ?? 0) / 2;
    return d3.minIndex(stops, (stop) => Math.abs(axis.apply(stop) + half - at));
  }

  key(event) {
    if (!this.panels.length) return;
    const [along, across] = this.data.dots ? [["ArrowDown", "ArrowUp"], ["ArrowRight", "ArrowLeft"]] : [["ArrowRight", "ArrowLeft"], ["ArrowDown", "ArrowUp"]];
    let { place = 0, stop = -1 } = this.reading ?? {};
    const last = this.panels[place].stops.length - 1;
    if (event.key === along[0]) stop = Math.min(last, stop + 1);
    else if (event.key === along[1]) stop = Math.max(0, stop - 1);
    else if (event.key === across[0]) place = Math.min(this.panels.length - 1, place + 1);
    else if (event.key === across[1]) place = Math.max(0, place - 1);
    else if (event.key === "Home") stop = 0;
    else if (event.key === "End") stop = last;
    else if (event.key === "Escape") return this.forget();
    else return;
    event.preventDefault();
    stop = Math.max(0, Math.min(stop, this.panels[place].stops.length - 1));
    this.read(place, stop);
    const box = this.panels[place].svg.getBoundingClientRect();
    showTip(this.tip, [box.left + this.reading.x * (box.width / this.panels[place].svg.viewBox.baseVal.width), box.top + 20]);
    say(this.tip.textContent);
  }

  read(place, stop, at) {
    const { panel, svg, stops } = this.panels[place];
    const value = stops[stop];
    const axis = svg.scale(this.data.dots ? "y" : "x");
    const middle = axis.apply(value) + (axis.bandwidth ?? 0) / 2;
    this.reading = { place, stop, x: this.data.dots ? 120 : middle };
    for (const one of this.panels) this.mark(one, value);
    this.tip = this.data.dots ? this.tipOfDots(panel, value) : this.tipOfLines(panel, value);
    if (at) showTip(this.tip, at);
  }

  mark({ svg }, value) {
    svg.querySelector(".cross")?.remove();
    const axis = svg.scale(this.data.dots ? "y" : "x");
    const at = axis.apply(value);
    if (at === undefined) return;
    const { width, height } = svg.viewBox.baseVal;
    const made = this.data.dots
      ? drawn("rect", { class: "cross", x: 0, width, y: at, height: axis.bandwidth, rx: 3 })
      : drawn("line", { class: "cross", x1: at, x2: at, y1: MARGIN.top, y2: height - MARGIN.bottom });
    svg.append(made);
  }

  tipOfLines(panel, x) {
    const rows = panel.marks.map((mark) => {
      const i = mark.x.indexOf(x);
      return i < 0 ? null : tipRow(colorOfMark(mark), mark.label, this.valueAt(mark, i));
    });
    return element("div", {}, element("b", {}, `${this.data.x.label} ${shown(x)}`), ...rows);
  }

  valueAt(mark, i) {
    const runs = runsOf(mark);
    if (runs.length) return runs.map((run) => shown(run[i])).join("  ");
    if (mark.area) return `${shown(mark.low[i])} to ${shown(mark.high[i])}`;
    const value = shown(mark.mean[i]);
    if (!mark.low || mark.low[i] == null) return value;
    return `${value} (${shown(mark.low[i], 3)} to ${shown(mark.high[i], 3)})`;
  }

  tipOfDots(panel, norm) {
    const rows = panel.marks
      .filter((mark) => mark.norm === norm)
      .map((mark) => {
        const label = mark.kind === "article" ? "the article’s" : "ours";
        const spread = mark.low == null ? "" : ` (${shown(mark.low, 3)} to ${shown(mark.high, 3)})`;
        const value = state.seeds && mark.runs.length ? mark.runs.map((run) => shown(run)).join("  ") : `${shown(mark.value)}${spread}`;
        return tipRow(mark.kind === "article" ? "var(--soft)" : colorOf(norm), label, value + (mark.note ? `; ${mark.note}` : ""));
      });
    return element("div", {}, element("b", {}, norm), ...rows);
  }

  forget() {
    this.reading = undefined;
    for (const { svg } of this.panels) svg.querySelector(".cross")?.remove();
    hideTip();
  }

  // All numbers: a line's x in rows, or a norm's panels in rows.
  tabulate(holder) {
    const { data } = this;
    const visible = this.visible;
    const head = [];
    const body = [];
    if (data.dots) {
      head.push("panel", "norm", "", "value", "low", "high", "seeds");
      for (const panel of visible)
        for (const mark of panel.marks)
          body.push([panel.title, mark.norm, mark.kind === "article" ? "the article’s" : "ours", mark.value, mark.low, mark.high, mark.runs.map((run) => shown(run)).join("  ")]);
    } else {
      head.push("panel", "line", data.x.label, "mean", "low", "high", "seeds");
      for (const panel of visible)
        for (const mark of panel.marks)
          mark.x.forEach((x, i) =>
            body.push([panel.title, mark.label, x, mark.mean?.[i], mark.low?.[i], mark.high?.[i], mark.runs.map((run) => shown(run[i])).join("  ")]),
          );
    }
    const cell = (value) =>
      typeof value === "string"
        ? element("td", {}, value)
        : element("td", { class: "n", "data-value": value ?? "" }, shown(value));
    const table = element(
      "table",
      {},
      element("caption", {}, data.title),
      element("thead", {}, element("tr", {}, ...head.map((name) => element("th", { scope: "col" }, name)))),
      element("tbody", {}, ...body.map((row) => element("tr", {}, ...row.map(cell)))),
    );
    const buttons = ["CSV", "LaTeX", "markdown"].map((name) =>
      element("button", { type: "button", onclick: (event) => copy(tableAs(name.toLowerCase(), table), event.currentTarget) }, name),
    );
    holder.tabIndex = 0;
    holder.setAttribute("role", "region");
    holder.setAttribute("aria-label", `Numbers: ${data.title}`);
    holder.replaceChildren(element("div", { class: "table-tools" }, element("span", { class: "copy" }, "copy as ", ...buttons)), table);
  }
}

function tipRow(color, label, value) {
  return element("span", { class: "row" }, element("i", { "--c": color }), element("span", { class: "label" }, label), element("em", {}, value));
}

function showTip(content, [x, y]) {
  const tip = document.getElementById("tip");
  tip.replaceChildren(content);
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const left = x + 16 + width > innerWidth - 8 ? x - width - 16 : x + 16;
  tip.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
  tip.style.top = `${Math.max(8, Math.min(y - height / 2, innerHeight - height - 8))}px`;
}

function hideTip() {
  document.getElementById("tip").hidden = true;
}

function setUpCharts() {
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        const chart = charts.get(entry.target);
        chart.near = entry.isIntersecting;
        if (chart.near && (chart.stale || chart.width !== chart.holder.clientWidth)) chart.draw();
      }
    },
    { rootMargin: "400px 0px" },
  );
  const sized = new ResizeObserver((entries) => {
    for (const entry of entries) {
      const chart = charts.get(entry.target.closest(".chart"));
      if (chart.near && Math.abs(chart.width - entry.contentRect.width) > 1) chart.draw();
    }
  });
  for (const figure of document.querySelectorAll("figure[data-chart]")) {
    const chart = new Chart(figure);
    charts.set(figure, chart);
    seen.observe(figure);
    sized.observe(chart.holder);
  }
  listeners.add(() => charts.forEach((chart) => chart.refresh()));
  printers.add(() => charts.forEach((chart) => chart.draw()));
  addEventListener("scroll", hideTip, { passive: true });
}
