// Claims: shown by verdict, and with links to the records that each follows from.
function setUpClaims() {
  const filters = document.querySelector(".filters");
  filters.hidden = false;
  const buttons = [...filters.querySelectorAll("button")];
  for (const button of buttons)
    button.addEventListener("click", () => {
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      const wanted = button.dataset.verdict;
      let count = 0;
      for (const claim of document.querySelectorAll(".claim")) {
        claim.hidden = Boolean(wanted) && claim.dataset.verdict !== wanted;
        count += !claim.hidden;
      }
      for (const source of document.querySelectorAll(".source"))
        source.hidden = ![...source.querySelectorAll(".claim")].some((claim) => !claim.hidden);
      say(`${count} claims`);
    });

  for (const place of document.querySelectorAll(".records")) {
    const details = place.closest("details");
    details.addEventListener("toggle", () => {
      if (!details.open || place.querySelector(".keys-list")) return;
      const links = place.dataset.keys.split(" ").flatMap((key, i) => [
        i ? " " : "",
        element("a", { href: `${place.dataset.folder}/${key}.json` }, key),
      ]);
      place.append(element("span", { class: "keys-list" }, ...links));
    });
  }
}

// What a link leads to is seen, also in a tab, a closed part or behind a filter.
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let at = target; at; at = at.parentElement) {
    if (at.tagName === "DETAILS") at.open = true;
    if (at.getAttribute("role") === "tabpanel" && at.hidden) document.getElementById(at.getAttribute("aria-labelledby")).click();
  }
  if (target.hidden) document.querySelector(".filters [data-verdict='']").click();
  target.scrollIntoView({ behavior: "instant" });
}
