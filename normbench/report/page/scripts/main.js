// The bar above it all, and what is set up when the page is there.
function setUpToolbar() {
  const bar = document.getElementById("toolbar");
  const legend = bar.querySelector(".legend");
  if (!page.norms.length) return;
  bar.hidden = false;
  const buttons = page.norms.map((norm) => {
    const sign = drawn("svg", { viewBox: "-7 -7 14 14", "aria-hidden": "true" });
    const shape = Plot.plot({ width: 14, height: 14, axis: null, margin: 0, marks: [Plot.dot([0], { frameAnchor: "middle", symbol: norm.symbol, r: 4.6 })] });
    const path = shape.querySelector("path, circle");
    const copy = drawn(path.tagName, { fill: colorOf(norm.name) });
    if (path.tagName === "circle") copy.setAttribute("r", 4.6);
    else copy.setAttribute("d", path.getAttribute("d"));
    sign.append(copy);
    const button = element("button", { type: "button", "aria-pressed": "true", "data-norm": norm.name }, sign, element("span", {}, norm.name));
    button.addEventListener("click", () => {
      state.hidden.has(norm.name) ? state.hidden.delete(norm.name) : state.hidden.add(norm.name);
      refresh();
    });
    return button;
  });
  legend.append(...buttons);
  document.getElementById("norms-all").addEventListener("click", () => (state.hidden.clear(), refresh()));
  document.getElementById("norms-none").addEventListener("click", () => {
    for (const norm of page.norms) state.hidden.add(norm.name);
    refresh();
  });
  for (const button of bar.querySelectorAll("[data-mode]"))
    button.addEventListener("click", () => {
      state.seeds = button.dataset.mode === "seeds";
      for (const other of bar.querySelectorAll("[data-mode]")) other.setAttribute("aria-pressed", String(other === button));
      changed();
    });

  function refresh() {
    for (const button of buttons) button.setAttribute("aria-pressed", String(isShown(button.dataset.norm)));
    changed();
  }
  new ResizeObserver(() => {
    document.documentElement.style.setProperty("--under", `${bar.offsetHeight}px`);
    document.documentElement.style.scrollPaddingTop = `${bar.offsetHeight + 20}px`;
  }).observe(bar);
}

function setUpTheme() {
  const button = document.getElementById("theme");
  const kinds = ["", "light", "dark"];
  const words = { "": "as the system has them", light: "light", dark: "dark" };
  const signs = { "": "auto", light: "light", dark: "dark" };
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const next = kinds[(kinds.indexOf(root.dataset.theme ?? "") + 1) % kinds.length];
    if (next) root.dataset.theme = next;
    else delete root.dataset.theme;
    button.textContent = signs[next];
    button.setAttribute("aria-label", `Colors: ${words[next]}`);
  });
}

setUpToolbar();
setUpTheme();
setUpTabs();
setUpTables();
setUpCommands();
setUpClaims();
setUpCharts();
setUpExplorer();
setUpDemo();
addEventListener("hashchange", reveal);
if (location.hash) reveal();
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details.charts")) details.open = true;
  for (const print of printers) print();
});
