// One training, step by step: a slider moves what leaves every layer, the gradients and the loss along
// the gradient, and a switch changes between BatchNorm and no norm.
const OFF = "none";
const ON = "batchnorm";

function setUpExplorer() {
  const holder = document.querySelector("[data-explorer]");
  if (!holder) return;
  const explorer = new Explorer(holder, page.explorers);
  listeners.add(() => explorer.queue());
  printers.add(() => explorer.draw());
}

class Explorer {
  constructor(holder, all) {
    this.holder = holder;
    this.all = all;
    this.step = 0;
    this.on = true;
    this.make();
    this.choose(0);
    new ResizeObserver(() => this.queue()).observe(this.views);
    new IntersectionObserver(
      (entries) => {
        this.near = entries.some((entry) => entry.isIntersecting);
        if (this.near) this.queue();
      },
      { rootMargin: "300px 0px" },
    ).observe(holder);
  }

  make() {
    this.slider = element("input", { type: "range", min: 0, step: 1, id: "step", "aria-label": "Training step" });
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
    this.output = element("output", { for: "step" });
    this.play = element("button", { type: "button", "aria-pressed": "false" }, "▶ play");
    this.play.addEventListener("click", () => this.toggle());
    this.switch = element("input", { type: "checkbox", role: "switch", id: "batchnorm-switch" });
    this.switch.checked = true;
    this.switch.addEventListener("change", () => {
      this.on = this.switch.checked;
      this.queue();
      say(this.on ? "With BatchNorm" : "Without a norm");
    });
    this.said = element("span", {}, "BatchNorm");
    const controls = element(
      "div",
      { class: "controls" },
      element("label", { class: "switch" }, this.switch, this.said),
      this.play,
      this.slider,
      this.output,
    );
    const view = (title, about) => {
      const plot = element("div", { class: "plot" });
      const text = element("p", { class: "about" }, about);
      return { plot, text, box: element("div", {}, element("h4", {}, title), plot, text) };
    };
    this.layers = view(
      "What leaves each layer",
      "Of each layer’s output, before its norm, on the run’s first batch: the middle half of all values (thick), 1 to 99% (thin), the median. Grey: the same before training.",
    );
    this.over = view("The last layer over time", "1 to 99%, 25 to 75% and the median of its output; the line is the step above.");
    this.gradients = view("Gradient norm of each layer", "Running medians, geometric means over seeds.");
    this.landscape = view(
      "The loss along the gradient",
      "The loss on the next batch after a step of so many times the gradient, from where training is at this step; geometric means over seeds.",
    );
    this.views = element("div", { class: "views" }, this.layers.box, this.over.box, this.gradients.box, this.landscape.box);
    this.label = element("p", { class: "about" });
    const chooser = this.all.length > 1 ? this.chooser() : null;
    this.holder.append(...[chooser, controls, this.views, this.label].filter(Boolean));
  }

  chooser() {
    const options = this.all.map((one, i) => element("option", { value: i }, one.label));
    const select = element("select", { "aria-label": "Which training", onchange: () => this.choose(Number(select.value)) }, ...options);
    return select;
  }

  choose(which) {
    this.data = this.all[which];
    this.slider.max = this.data.last;
    this.label.textContent = `${this.data.label}. Norms: ${this.norms.join(", ") || "none"}.`;
    const both = [OFF, ON].every((norm) => this.norms.includes(norm));
    this.switch.disabled = !both;
    if (!both) this.said.textContent = "BatchNorm (to switch, both must be measured: normbench probe probe=activations)";
    this.go(Math.min(this.step, this.data.last));
  }

  get norms() {
    return [...new Set([...Object.keys(this.data.activations), ...Object.keys(this.data.landscape)])];
  }

  get norm() {
    const wanted = this.on ? ON : OFF;
    return this.norms.includes(wanted) ? wanted : this.norms[0];
  }

  go(step) {
    this.step = step;
    this.slider.value = step;
    this.slider.setAttribute("aria-valuetext", `step ${step} of ${this.data.last}`);
    this.output.textContent = `step ${step}`;
    this.queue();
  }

  toggle() {
    if (this.timer) return this.stop();
    if (this.step >= this.data.last) this.go(0);
    this.play.textContent = "❚❚ pause";
    this.play.setAttribute("aria-pressed", "true");
    const stride = Math.max(1, Math.round(this.data.last / 110));
    this.timer = setInterval(() => {
      this.go(Math.min(this.data.last, this.step + stride));
      if (this.step >= this.data.last) this.stop();
    }, 60);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = undefined;
    this.play.textContent = "▶ play";
    this.play.setAttribute("aria-pressed", "false");
  }

  queue() {
    if (this.queued || !this.near) return;
    this.queued = true;
    requestAnimationFrame(() => {
      this.queued = false;
      this.draw();
    });
  }

  draw() {
    const width = this.layers.plot.clientWidth;
    if (!width) return;
    this.drawLayers(width);
    this.drawOver(this.over.plot.clientWidth);
    this.drawGradients(this.gradients.plot.clientWidth);
    this.drawLandscape(this.landscape.plot.clientWidth);
  }

  show({ plot }, svg, said) {
    if (typeof svg === "string") {
      plot.removeAttribute("role");
      plot.removeAttribute("aria-label");
      return plot.replaceChildren(element("p", { class: "empty" }, svg));
    }
    svg.classList.add("drawn");
    svg.setAttribute("aria-hidden", "true");
    plot.setAttribute("role", "img");
    plot.setAttribute("aria-label", said);
    plot.replaceChildren(svg);
  }

  // The last look that is not after the step.
  look(at) {
    return Math.max(0, d3.bisectRight(at, this.step) - 1);
  }

  drawLayers(width) {
    const found = this.data.activations[this.norm];
    if (!found) return this.show(this.layers, "Not measured for this norm: normbench probe probe=activations");
    const color = colorOf(this.norm);
    const now = this.look(found.at);
    const every = Object.values(this.data.activations).flatMap((one) => one.percentiles.flat(2));
    const rows = found.layers.map((layer, i) => ({ layer, now: found.percentiles[i].map((p) => p[now]), before: found.percentiles[i].map((p) => p[0]) }));
    const bars = (which, dy, stroke, opacity) => [
      Plot.ruleY(rows, { x1: (d) => d[which][0], x2: (d) => d[which][4], y: "layer", dy, stroke, strokeWidth: 2, strokeOpacity: opacity }),
      Plot.ruleY(rows, { x1: (d) => d[which][1], x2: (d) => d[which][3], y: "layer", dy, stroke, strokeWidth: which === "now" ? 11 : 6, strokeOpacity: opacity }),
    ];
    const svg = Plot.plot({
      width,
      height: 52 * rows.length + 44,
      marginLeft: 12 + 6.2 * d3.max(found.layers, (layer) => layer.length),
      marginRight: 12,
      marginBottom: 34,
      style: { fontSize: `${FONT}px` },
      x: { domain: extent(every, false), label: `output, ${this.norm}`, labelAnchor: "center", labelArrow: "none", tickFormat: tick, ticks: 6 },
      y: { type: "band", domain: found.layers, label: null },
      marks: [
        Plot.gridX({ stroke: "var(--line)", strokeOpacity: 1 }),
        Plot.ruleX([0], { stroke: "var(--soft)", strokeDasharray: "2 3" }),
        Plot.axisX({ ...AXIS, tickFormat: tick, ticks: 6 }),
        Plot.axisY({ tickSize: 0, label: null }),
        ...bars("before", 12, "var(--soft)", 0.45),
        ...bars("now", -3, color, 0.85),
        Plot.dot(rows, { x: (d) => d.now[2], y: "layer", dy: -3, r: 3.5, fill: "var(--paper)", stroke: "var(--ink)" }),
      ],
    });
    const last = rows.at(-1);
    this.show(this.layers, svg, `Outputs at step ${found.at[now]}, ${this.norm}: ${last.layer} has 1 to 99% from ${shown(last.now[0], 3)} to ${shown(last.now[4], 3)}, before training ${shown(last.before[0], 3)} to ${shown(last.before[4], 3)}.`);
  }

  cursor() {
    return Plot.ruleX([this.step], { stroke: "var(--ink)", strokeDasharray: "2 3" });
  }

  drawOver(width) {
    const found = this.data.activations[this.norm];
    if (!found) return this.show(this.over, "Not measured for this norm.");
    const color = colorOf(this.norm);
    const of = found.percentiles.at(-1);
    const rows = found.at.map((x, i) => ({ x, p: of.map((p) => p[i]) }));
    const every = Object.values(this.data.activations).flatMap((one) => one.percentiles.at(-1).flat());
    const svg = Plot.plot({
      width,
      height: 252,
      marginLeft: MARGIN.left,
      marginBottom: MARGIN.bottom,
      style: { fontSize: `${FONT}px` },
      x: { domain: [0, this.data.last], label: "training step", labelAnchor: "center", labelArrow: "none", tickFormat: tick },
      y: { domain: extent(every, false), label: found.layers.at(-1), labelArrow: "none", tickFormat: tick },
      marks: [
        Plot.gridY({ stroke: "var(--line)", strokeOpacity: 1 }),
        Plot.areaY(rows, { x: "x", y1: (d) => d.p[0], y2: (d) => d.p[4], fill: color, fillOpacity: 0.18 }),
        Plot.areaY(rows, { x: "x", y1: (d) => d.p[1], y2: (d) => d.p[3], fill: color, fillOpacity: 0.4 }),
        Plot.lineY(rows, { x: "x", y: (d) => d.p[2], stroke: "var(--ink)", strokeWidth: 1.3 }),
        this.cursor(),
      ],
    });
    this.show(this.over, svg, `Percentiles of the last layer’s output over training, ${this.norm}.`);
  }

  drawGradients(width) {
    const chart = page.charts[this.data.gradients];
    const panel = chart?.panels.find(({ norm }) => norm === this.norm);
    if (!panel) return this.show(this.gradients, "Not measured for this norm: normbench probe probe=gradients");
    const domain = extent(chart.panels.filter(({ norm }) => [ON, OFF].includes(norm)).flatMap(({ marks }) => marks.flatMap((mark) => mark.mean)), true);
    const here = panel.marks.map((mark) => {
      const i = Math.max(0, Math.min(mark.x.length - 1, d3.bisectRight(mark.x, this.step) - 1));
      return { x: mark.x[i], y: mark.mean[i], color: shadeOf(mark.rank), label: mark.label };
    });
    const svg = Plot.plot({
      width,
      height: 252,
      marginLeft: MARGIN.left,
      marginRight: 86,
      marginBottom: MARGIN.bottom,
      style: { fontSize: `${FONT}px` },
      x: { domain: [0, this.data.last], label: "training step", labelAnchor: "center", labelArrow: "none", tickFormat: tick },
      y: axisOf(true, domain, "gradient norm", { labelArrow: "none" }),
      marks: [
        Plot.gridY({ stroke: "var(--line)", strokeOpacity: 1 }),
        ...panel.marks.map((mark) => Plot.lineY(points(mark, mark.mean, true), { x: "x", y: "y", stroke: shadeOf(mark.rank), strokeWidth: 1.6 })),
        this.cursor(),
        Plot.dot(here, { x: "x", y: "y", fill: "color", r: 4 }),
        Plot.text(apart(panel.marks, domain), { x: () => this.data.last, y: "y", text: "label", textAnchor: "start", dx: 6, fill: "var(--soft)" }),
      ],
      color: { type: "identity" },
    });
    this.show(this.gradients, svg, `Gradient norms at step ${this.step}, ${this.norm}: ${here.map((d) => `${d.label} ${shown(d.y, 3)}`).join(", ")}.`);
  }

  drawLandscape(width) {
    const of = this.data.landscape;
    const names = [OFF, ON].filter((norm) => of[norm]);
    if (!names.length) return this.show(this.landscape, "Not measured: normbench probe probe=landscape");
    const every = names.flatMap((norm) => of[norm].losses.flat());
    const domain = extent(every, true);
    const lines = names.map((norm) => {
      const { sizes, losses, at } = of[norm];
      const now = losses[this.look(at)];
      return { norm, rows: sizes.map((x, i) => ({ x, y: now[i] })) };
    });
    const svg = Plot.plot({
      width,
      height: 252,
      marginLeft: MARGIN.left,
      marginRight: 66,
      marginBottom: MARGIN.bottom,
      style: { fontSize: `${FONT}px` },
      x: { label: "step, times the gradient", labelAnchor: "center", labelArrow: "none", tickFormat: tick },
      y: axisOf(true, domain, "loss", { labelArrow: "none" }),
      marks: [
        Plot.gridY({ stroke: "var(--line)", strokeOpacity: 1 }),
        ...lines.flatMap(({ norm, rows }) => {
          const strong = norm === this.norm;
          return [
            Plot.lineY(rows, { x: "x", y: "y", stroke: colorOf(norm), strokeWidth: strong ? 2.6 : 1.4, strokeOpacity: strong ? 1 : 0.55, clip: true }),
            Plot.dot(rows, { x: "x", y: "y", fill: colorOf(norm), symbol: symbolOf(norm), r: strong ? 3.6 : 2.4, fillOpacity: strong ? 1 : 0.55 }),
            Plot.text(rows.slice(-1), { x: "x", y: "y", text: () => norm, textAnchor: "start", dx: 8, fill: "var(--soft)", fontWeight: strong ? 600 : 400 }),
          ];
        }),
      ],
    });
    this.show(this.landscape, svg, `Loss along the gradient at step ${this.step}: ${lines.map(({ norm, rows }) => `${norm} from ${shown(rows[0].y, 3)} to ${shown(rows.at(-1).y, 3)}`).join("; ")}.`);
  }
}

// Where the names of lines stand at their right ends, none on another.
function apart(marks, domain) {
  const gap = Math.log(domain[1] / domain[0]) * 0.06;
  const ends = marks.map((mark) => ({ label: mark.label.replace(/^convolutions?/, "conv."), at: Math.log(mark.mean.findLast((y) => y != null)) }));
  ends.sort((a, b) => a.at - b.at);
  ends.forEach((end, i) => (end.at = i ? Math.max(end.at, ends[i - 1].at + gap) : end.at));
  return ends.map(({ label, at }) => ({ label, y: Math.exp(at) }));
}
