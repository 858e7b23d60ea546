// What the reader has chosen for the whole page, and who draws anew when that changes.
const page = JSON.parse(document.getElementById("data").textContent);
const state = { hidden: new Set(), seeds: false };
const listeners = new Set();
const printers = new Set(); // who draws what is not drawn yet, when all is printed

function changed() {
  for (const listener of listeners) listener();
}

const places = new Map(page.norms.map((norm, i) => [norm.name, i]));
const colorOf = (norm) => (places.has(norm) ? `var(--norm-${places.get(norm)})` : "var(--ink)");
const symbolOf = (norm) => page.norms[places.get(norm)]?.symbol ?? "circle";
const isShown = (norm) => !norm || !state.hidden.has(norm);

const SHADES = 6; // of things in an order: --seq-0 to --seq-5
function shadeOf([place, count]) {
  return `var(--seq-${count > 1 ? Math.round((place * (SHADES - 1)) / (count - 1)) : 0})`;
}
const colorOfMark = (mark) => (mark.rank ? shadeOf(mark.rank) : colorOf(mark.norm));

// An element with attributes, and text or elements in it. Text stays text.
function element(name, attributes = {}, ...content) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "--c") made.style.setProperty("--c", value);
    else if (value !== false && value != null) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...content.filter((part) => part != null));
  return made;
}

function drawn(name, attributes = {}) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function say(text) {
  document.getElementById("said").textContent = text;
}
