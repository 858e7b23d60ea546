// Tables are sorted by their headings, copied, and show as much as the reader asks for.
function setUpTables() {
  for (const table of document.querySelectorAll("table.sortable")) makeSortable(table);
  for (const tools of document.querySelectorAll(".table-tools")) {
    tools.hidden = false;
    const holder = tools.closest(".with-tools");
    for (const button of tools.querySelectorAll(".toggle")) {
      button.addEventListener("click", () => {
        const on = holder.classList.toggle(button.dataset.class);
        button.setAttribute("aria-pressed", String(on));
      });
    }
    for (const button of tools.querySelectorAll("[data-copy]")) {
      button.addEventListener("click", () =>
        copy(tableAs(button.dataset.copy, holder.querySelector("table")), button),
      );
    }
  }
  listeners.add(() => {
    for (const row of document.querySelectorAll("tr[data-norm]")) row.hidden = !isShown(row.dataset.norm);
  });
}

function makeSortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = element("button", { type: "button" }, heading.textContent);
    heading.replaceChildren(button);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const numbers = heading.dataset.sort === "number";
      const before = heading.getAttribute("aria-sort");
      // numbers from the largest first, but for ranks
      const first = heading.dataset.first ?? (numbers ? "descending" : "ascending");
      const second = first === "descending" ? "ascending" : "descending";
      const direction = before === first ? second : first;
      for (const other of headings) other.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", direction);
      sortRows(table, column, numbers, direction === "ascending" ? 1 : -1);
    });
  });
}

function sortRows(table, column, numbers, sign) {
  const key = (row) => {
    const cell = row.cells[column];
    if (!numbers) return cell.textContent.trim();
    return cell.dataset.value === "" || cell.dataset.value == null ? null : Number(cell.dataset.value);
  };
  const rows = [...table.tBodies[0].rows].map((row, place) => ({ row, place, key: key(row) }));
  rows.sort((a, b) => {
    if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.place - b.place;
    const order = numbers ? a.key - b.key : a.key.localeCompare(b.key);
    return sign * order || a.place - b.place;
  });
  table.tBodies[0].append(...rows.map(({ row }) => row));
}

// What is seen of a table, as text in another format.
function tableAs(format, table) {
  const cells = (row) =>
    [...row.cells].map((cell) => ({
      text: cell.innerText.replace(/[↕↑↓]/g, "").replace(/\s+/g, " ").trim(),
      best: cell.classList.contains("best"),
      number: cell.dataset.value !== undefined || cell.dataset.sort === "number",
    }));
  const head = cells(table.tHead.rows[0]);
  const body = [...table.tBodies[0].rows].filter((row) => !row.hidden).map(cells);
  return { csv: asCsv, latex: asLatex, markdown: asMarkdown }[format](head, body);
}

function asCsv(head, body) {
  const quoted = ({ text }) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return [head, ...body].map((row) => row.map(quoted).join(",")).join("\n") + "\n";
}

function asMarkdown(head, body) {
  const escaped = ({ text, best }) => {
    const safe = text.replaceAll("\\", "\\\\").replaceAll("|", "\\|");
    return best ? `**${safe}**` : safe;
  };
  const line = (row) => `| ${row.map(escaped).join(" | ")} |`;
  const rule = `|${head.map(({ number }) => (number ? "---:" : "---")).join("|")}|`;
  return [line(head), rule, ...body.map(line)].join("\n") + "\n";
}

function asLatex(head, body) {
  const special = {
    "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "±": "$\\pm$",
    "−": "$-$", "✓": "$\\checkmark$", "✗": "$\\times$", "ᶜ": "$^c$", "▲": "$\\blacktriangle$", "▼": "$\\blacktriangledown$", "–": "--", "’": "'",
  };
  const escaped = ({ text, best }) => {
    const safe = text.replace(/[\\~^±−✓✗ᶜ▲▼–’]|[&%$#_{}]/g, (c) => special[c] ?? `\\${c}`);
    return best ? `\\textbf{${safe}}` : safe;
  };
  const line = (row) => `${row.map(escaped).join(" & ")} \\\\`;
  const columns = head.map(({ number }) => (number ? "r" : "l")).join("");
  return [
    `\\begin{tabular}{${columns}}`, "\\hline", line(head), "\\hline", ...body.map(line), "\\hline",
    "\\end{tabular}", "",
  ].join("\n");
}

async function copy(text, button) {
  const done = await write(text);
  const label = button.textContent;
  button.textContent = done ? "copied" : "not allowed";
  say(done ? "Copied" : "The browser does not allow copying");
  setTimeout(() => (button.textContent = label), 1200);
}

async function write(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = element("textarea", { class: "unseen" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

function setUpCommands() {
  for (const button of document.querySelectorAll(".copy-command")) {
    button.hidden = false;
    button.setAttribute("aria-label", "Copy the command");
    button.addEventListener("click", () => copy(button.previousElementSibling.textContent, button));
  }
}
