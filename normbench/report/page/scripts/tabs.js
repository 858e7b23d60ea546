// Tabs as the ARIA practices have them; the same model is chosen in every section.
function setUpTabs() {
  const groups = [...document.querySelectorAll("[data-tabs]")].filter((g) => g.querySelector("[role=tab]"));
  for (const group of groups) {
    const tabs = [...group.querySelectorAll(":scope > [role=tablist] > [role=tab]")];
    for (const [place, tab] of tabs.entries()) {
      tab.addEventListener("click", () => choose(tab.dataset.label, group, tab));
      tab.addEventListener("keydown", (event) => {
        const to = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: tabs.length - 1 }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        const next = tabs[(to + tabs.length) % tabs.length];
        next.focus();
        choose(next.dataset.label, group, next);
      });
    }
    select(tabs, tabs.find((tab) => tab.getAttribute("aria-selected") === "true") ?? tabs[0]);
  }

  function choose(label, chosenIn, chosen) {
    const before = chosenIn.getBoundingClientRect().top;
    for (const group of groups) {
      const tabs = [...group.querySelectorAll(":scope > [role=tablist] > [role=tab]")];
      const tab = group === chosenIn ? chosen : tabs.find((one) => one.dataset.label === label);
      if (tab) select(tabs, tab);
    }
    window.scrollBy({ top: chosenIn.getBoundingClientRect().top - before, behavior: "instant" });
  }

  function select(tabs, chosen) {
    for (const tab of tabs) {
      const on = tab === chosen;
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !on;
    }
  }
}
