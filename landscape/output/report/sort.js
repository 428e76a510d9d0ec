
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const isNumber = head.classList.contains("n");
    const key = (row) => row.cells[column].dataset.key ?? row.cells[column].textContent;
    const compare = (a, b) => {
      if (!isNumber) return key(a).localeCompare(key(b), undefined, { numeric: true });
      return Number(key(a)) - Number(key(b));
    };
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows];
      // what is missing goes last in both directions
      const known = rows.filter((row) => key(row) !== "");
      known.sort((a, b) => direction * compare(a, b));
      table.tBodies[0].append(...known, ...rows.filter((row) => key(row) === ""));
    });
  });
}
