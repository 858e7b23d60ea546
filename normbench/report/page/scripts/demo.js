// By hand: what a norm does to a batch of numbers. The same formulas as torch's layers in training mode.
const CHANNELS = 4;
const POSITIONS = 4;
const REACH = 3; // of the bars, to either side of zero
const NORMS = {
  batch: { label: "BatchNorm", over: "channel" },
  layer: { label: "LayerNorm", over: "image" },
  instance: { label: "InstanceNorm", over: "image and channel" },
  group: { label: "GroupNorm", over: "image and group of channels" },
};

// Which values share a mean and a variance.
function groupOf(norm, image, channel, channels, groups) {
  if (norm === "batch") return `channel ${channel + 1} of all images`;
  if (norm === "layer") return `all channels of image ${image + 1}`;
  if (norm === "instance") return `channel ${channel + 1} of image ${image + 1}`;
  const size = channels / groups;
  const first = Math.floor(channel / size) * size;
  return `channels ${first + 1} to ${first + size} of image ${image + 1}`;
}

// values: [image][channel][position]; gives the outputs in the same shape, and the statistics of each group.
function normalize(values, { norm, groups = 2, gamma = 1, beta = 0, eps = 1e-5 }) {
  const channels = values[0].length;
  const name = (n, c) => groupOf(norm, n, c, channels, groups);
  const members = new Map();
  values.forEach((image, n) =>
    image.forEach((channel, c) => {
      const key = name(n, c);
      members.set(key, [...(members.get(key) ?? []), ...channel]);
    }),
  );
  const statistics = new Map();
  for (const [key, numbers] of members) {
    const mean = d3.sum(numbers) / numbers.length;
    const variance = d3.sum(numbers, (v) => (v - mean) ** 2) / numbers.length;
    statistics.set(key, { mean, variance, count: numbers.length });
  }
  const outputs = values.map((image, n) =>
    image.map((channel, c) => {
      const { mean, variance } = statistics.get(name(n, c));
      return channel.map((v) => (gamma * (v - mean)) / Math.sqrt(variance + eps) + beta);
    }),
  );
  return { outputs, statistics };
}
globalThis.normbench = Object.freeze({ normalize });

// Numbers to begin with: channels of different size and place, the same in every browser.
function firstValues(images) {
  const wave = (n, c, p) => Math.sin(1.7 * n + 2.3 * p + 0.9 * c) + 0.4 * Math.cos(3.1 * p - n);
  const place = [0.9, -0.7, 0.2, -0.1];
  const size = [0.9, 0.6, 1.3, 0.25];
  return d3.range(images).map((n) =>
    d3.range(CHANNELS).map((c) =>
      d3.range(POSITIONS).map((p) => Math.round(10 * Math.max(-REACH, Math.min(REACH, place[c] + size[c] * wave(n, c, p)))) / 10),
    ),
  );
}

const CELL = { width: 74, height: 58, gap: 10, left: 52, top: 18 };

class Demo {
  constructor(holder) {
    this.holder = holder;
    this.all = firstValues(6);
    this.settings = { norm: "batch", groups: 2, gamma: 1, beta: 0, eps: 1e-5 };
    this.images = 3;
    this.at = { n: 0, c: 0, p: 0 };
    this.make();
    this.build();
  }

  get values() {
    return this.all.slice(0, this.images);
  }

  make() {
    const norms = Object.entries(NORMS).map(([key, { label }]) =>
      element("button", { type: "button", "data-norm": key, "aria-pressed": String(key === this.settings.norm), onclick: () => this.set("norm", key) }, label),
    );
    this.norms = element("div", { class: "seg", role: "group", "aria-label": "Norm" }, ...norms);
    this.sliders = {};
    const slider = (name, label, min, max, step, read) => {
      const output = element("output", {}, read(name === "images" ? this.images : this.settings[name]));
      const input = element("input", { type: "range", min, max, step, id: `demo-${name}`, "aria-label": label });
      input.value = name === "eps" ? Math.log10(this.settings.eps) : name === "images" ? this.images : this.settings[name];
      input.addEventListener("input", () => {
        const value = name === "eps" ? 10 ** Number(input.value) : Number(input.value);
        output.textContent = read(value);
        this.set(name, value);
      });
      this.sliders[name] = element("label", {}, element("span", {}, label, " ", output), input);
      return this.sliders[name];
    };
    const controls = element(
      "div",
      { class: "controls" },
      this.norms,
      slider("images", "batch size", 1, 6, 1, String),
      slider("gamma", "γ, scale", -2, 3, 0.1, (v) => shown(v)),
      slider("beta", "β, shift", -2, 2, 0.1, (v) => shown(v)),
      slider("eps", "ε, in the root", -8, 0.5, 0.5, (v) => shown(v, 2)),
      slider("groups", "groups", 0, 2, 1, (v) => String(v)),
    );
    // groups: 1, 2 or 4 of four channels
    const groups = this.sliders.groups.querySelector("input");
    const read = this.sliders.groups.querySelector("output");
    groups.value = 1;
    groups.addEventListener("input", () => {
      this.settings.groups = 2 ** Number(groups.value);
      read.textContent = String(this.settings.groups);
      this.update();
    });
    read.textContent = "2";
    this.input = drawn("svg", { role: "group", "aria-label": "The batch: drag, or use the arrow keys" });
    this.output = drawn("svg", { role: "img", "aria-label": "What the norm makes of it" });
    this.stats = element("p", { class: "stats" });
    this.reset = element("button", { type: "button", onclick: () => { this.all = firstValues(6); this.update(); } }, "as at first");
    this.holder.append(
      controls,
      element(
        "div",
        { class: "sides" },
        element("div", {}, element("h4", {}, "In: drag these"), this.input),
        element("div", {}, element("h4", {}, "Out"), this.output),
      ),
      this.stats,
      this.reset,
    );
  }

  set(name, value) {
    if (name === "images") {
      this.images = value;
      this.at.n = Math.min(this.at.n, value - 1);
      return this.build();
    }
    if (name !== "groups") this.settings[name] = value;
    for (const button of this.norms.children) button.setAttribute("aria-pressed", String(button.dataset.norm === this.settings.norm));
    this.update();
  }

  cell(n, c) {
    return { x: CELL.left + c * (CELL.width + CELL.gap), y: CELL.top + n * (CELL.height + CELL.gap) };
  }

  // The bars, anew: when their number changes.
  build() {
    const width = CELL.left + CHANNELS * (CELL.width + CELL.gap);
    const height = CELL.top + this.images * (CELL.height + CELL.gap);
    for (const svg of [this.input, this.output]) {
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      svg.replaceChildren();
      d3.range(CHANNELS).forEach((c) => this.text(svg, this.cell(0, c).x, 10, `channel ${c + 1}`));
      d3.range(this.images).forEach((n) => this.text(svg, 0, this.cell(n, 0).y + CELL.height / 2 + 4, `image ${n + 1}`));
    }
    this.bars = { input: new Map(), output: new Map() };
    this.frames = [];
    this.hits = new Map();
    for (const n of d3.range(this.images))
      for (const c of d3.range(CHANNELS)) {
        const { x, y } = this.cell(n, c);
        for (const [side, svg] of [["input", this.input], ["output", this.output]]) {
          const frame = drawn("rect", { class: "frame", x, y, width: CELL.width, height: CELL.height, rx: 5 });
          this.frames.push({ frame, n, c });
          svg.append(frame, drawn("line", { class: "base", x1: x, x2: x + CELL.width, y1: y + CELL.height / 2, y2: y + CELL.height / 2 }));
          for (const p of d3.range(POSITIONS)) {
            const bar = drawn("rect", { class: "value", x: x + 7 + p * 16, width: 12 });
            this.bars[side].set(`${n} ${c} ${p}`, bar);
            svg.append(bar);
          }
        }
        for (const p of d3.range(POSITIONS)) this.input.append(this.hit(n, c, p, x + 5 + p * 16, y));
      }
    this.update();
  }

  hit(n, c, p, x, y) {
    const hit = drawn("rect", {
      class: "hit", x, y: y + 1, width: 16, height: CELL.height - 2, role: "slider",
      "aria-label": `image ${n + 1}, channel ${c + 1}, position ${p + 1}`, "aria-valuemin": -REACH, "aria-valuemax": REACH,
    });
    this.hits.set(`${n} ${c} ${p}`, hit);
    const drag = (event) => {
      const box = hit.getBoundingClientRect();
      const part = (event.clientY - box.top) / box.height;
      this.change(n, c, p, REACH * (1 - 2 * part));
    };
    hit.addEventListener("pointerdown", (event) => {
      hit.setPointerCapture(event.pointerId);
      this.focus(n, c, p, false);
      drag(event);
    });
    hit.addEventListener("pointermove", (event) => (hit.hasPointerCapture(event.pointerId) ? drag(event) : this.look(n, c, p)));
    hit.addEventListener("focus", () => this.look(n, c, p));
    hit.addEventListener("keydown", (event) => this.key(event, n, c, p));
    return hit;
  }

  key(event, n, c, p) {
    const value = this.all[n][c][p];
    const flat = c * POSITIONS + p;
    const to = (m, f) => this.focus(Math.max(0, Math.min(this.images - 1, m)), Math.floor(f / POSITIONS), f % POSITIONS, true);
    const moves = {
      ArrowUp: () => this.change(n, c, p, value + 0.1),
      ArrowDown: () => this.change(n, c, p, value - 0.1),
      ArrowRight: () => to(n, Math.min(CHANNELS * POSITIONS - 1, flat + 1)),
      ArrowLeft: () => to(n, Math.max(0, flat - 1)),
      PageDown: () => to(n + 1, flat),
      PageUp: () => to(n - 1, flat),
      Home: () => this.change(n, c, p, -REACH),
      End: () => this.change(n, c, p, REACH),
    };
    if (!moves[event.key]) return;
    event.preventDefault();
    moves[event.key]();
  }

  focus(n, c, p, move) {
    this.at = { n, c, p };
    this.update();
    if (move) this.hits.get(`${n} ${c} ${p}`).focus();
  }

  look(n, c, p) {
    const { at } = this;
    if (at.n === n && at.c === c && at.p === p) return;
    this.at = { n, c, p };
    this.update();
  }

  change(n, c, p, value) {
    this.all[n][c][p] = Math.round(10 * Math.max(-REACH, Math.min(REACH, value))) / 10;
    this.update();
  }

  update() {
    const { outputs, statistics } = normalize(this.values, this.settings);
    this.outputs = outputs;
    const draw = (bar, value) => {
      const clipped = Math.max(-REACH, Math.min(REACH, value));
      const length = (Math.abs(clipped) / REACH) * (CELL.height / 2 - 3);
      return { bar, length: Math.max(length, 0.8), up: clipped > 0 };
    };
    for (const [side, numbers] of [["input", this.values], ["output", outputs]])
      numbers.forEach((image, n) =>
        image.forEach((channel, c) =>
          channel.forEach((value, p) => {
            const { bar, length, up } = draw(this.bars[side].get(`${n} ${c} ${p}`), value);
            const middle = this.cell(n, c).y + CELL.height / 2;
            bar.setAttribute("y", up ? middle - length : middle);
            bar.setAttribute("height", length);
            bar.classList.toggle("of-image", n === this.at.n);
          }),
        ),
      );
    const { norm, groups } = this.settings;
    const name = (n, c) => groupOf(norm, n, c, CHANNELS, groups);
    const chosen = name(this.at.n, this.at.c);
    for (const { frame, n, c } of this.frames) frame.classList.toggle("same", name(n, c) === chosen);
    for (const [key, hit] of this.hits) {
      const [n, c, p] = key.split(" ").map(Number);
      hit.setAttribute("tabindex", n === this.at.n && c === this.at.c && p === this.at.p ? 0 : -1);
      hit.setAttribute("aria-valuenow", this.all[n][c][p]);
      hit.setAttribute("aria-valuetext", `${shown(this.all[n][c][p])}, out ${shown(outputs[n][c][p], 3)}`);
    }
    const { mean, variance, count } = statistics.get(chosen);
    const { n, c, p } = this.at;
    this.stats.textContent =
      `${NORMS[norm].label} over ${chosen}, ${count} numbers: mean ${shown(mean, 3)}, variance ${shown(variance, 3)}. ` +
      `Image ${n + 1}, channel ${c + 1}, position ${p + 1}: ${shown(this.all[n][c][p])} becomes ${shown(outputs[n][c][p], 3)}.`;
    this.sliders.groups.hidden = norm !== "group";
  }

  text(svg, x, y, words) {
    const made = drawn("text", { x, y });
    made.textContent = words;
    svg.append(made);
  }
}

function setUpDemo() {
  const holder = document.querySelector(".demo-app");
  if (!holder) return;
  holder.hidden = false;
  new Demo(holder);
}
