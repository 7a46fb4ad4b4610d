"use strict";
(() => {
  const few = 15;

  function line(parent, tag, text) {
    const part = document.createElement(tag);
    part.textContent = text;
    parent.append(part);
  }

  document.querySelectorAll("section.target").forEach((section) => {
    const table = section.querySelector(".numbers");
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const heads = [...table.tHead.rows[0].querySelectorAll("th[data-result]")];
    const names = heads.map((head) => head.dataset.name);
    const tokens = [...section.querySelectorAll(".token")];
    const readout = section.querySelector(".readout");
    const strips = [];
    tokens.forEach((token) => {
      const result = Number(token.closest("[data-result]").dataset.result);
      (strips[result] ||= []).push(token);
    });

    // -- one player in every result ------------------------------------------------------------------
    function read(player) {
      tokens.forEach((token) => token.classList.toggle("shown", token.dataset.player === player));
      rows.forEach((row) => row.classList.toggle("shown", row.dataset.player === player));
      readout.replaceChildren();
      if (player === null) {
        line(readout, "span", "Point at a token, or tab to the text and use the arrow keys, for its numbers.");
        return;
      }
      const row = rows.find((other) => other.dataset.player === player);
      line(readout, "b", row.querySelector(".name").textContent);
      row.querySelectorAll(".num").forEach((cell, at) => {
        const place = cell.querySelector("small").textContent;
        line(readout, "span", [names[at], cell.querySelector(".score").textContent, place].join(" ").trim());
      });
    }

    // The text is one tab stop; arrow keys move inside it: along a strip, and between results.
    tokens.forEach((token, number) => {
      token.removeAttribute("title");
      token.setAttribute("role", "button");
      token.tabIndex = number === 0 ? 0 : -1;
      const result = Number(token.closest("[data-result]").dataset.result);
      const own = strips[result];
      const at = own.indexOf(token);
      const other = (step) => strips[result + step] && strips[result + step][at];
      token.addEventListener("pointerenter", () => read(token.dataset.player));
      token.addEventListener("focus", () => {
        tokens.forEach((one) => (one.tabIndex = one === token ? 0 : -1));
        read(token.dataset.player);
      });
      token.addEventListener("click", () => token.focus());
      token.addEventListener("keydown", (event) => {
        const next = {
          ArrowRight: () => own[at + 1],
          ArrowLeft: () => own[at - 1],
          ArrowDown: () => other(1),
          ArrowUp: () => other(-1),
          Home: () => own[0],
          End: () => own[own.length - 1],
        }[event.key];
        const found = next && next();
        if (found) {
          event.preventDefault();
          found.focus();
        }
      });
    });
    rows.forEach((row) => row.addEventListener("pointerenter", () => read(row.dataset.player)));
    readout.hidden = tokens.length === 0;
    read(null);

    // -- order and length of the table ---------------------------------------------------------------
    let everything = rows.length <= 2 * few;
    const more = document.createElement("button");
    const ranked = [...rows].sort((a, b) => a.dataset.order - b.dataset.order);
    const value = (row, at) => Number(row.querySelectorAll(".num")[at].dataset.value);

    function arrange(order) {
      body.append(...order);
      // In the text's order the short table keeps what is high in any result, else the ends of the order.
      const kept = order === rows ? ranked : order;
      const place = new Map(kept.map((row, at) => [row, at]));
      rows.forEach((row) => row.classList.toggle("more", !everything && place.get(row) >= few));
      more.textContent = everything ? `Show the highest ${few}` : `Show all ${rows.length}`;
    }
    let order = rows;
    const sortable = [table.tHead.querySelector("th.name"), ...heads];
    sortable.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.title = column ? "Sort by this result" : "Order as in the text";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const up = column > 0 && head.getAttribute("aria-sort") === "descending";
        sortable.forEach((one) => one.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", column === 0 || up ? "ascending" : "descending");
        const sign = up ? 1 : -1;
        order = column ? [...rows].sort((a, b) => sign * (value(a, column - 1) - value(b, column - 1))) : rows;
        arrange(order);
      });
    });
    sortable[0].setAttribute("aria-sort", "ascending");
    if (rows.length > few) {
      more.type = "button";
      more.addEventListener("click", () => { everything = !everything; arrange(order); });
      table.parentNode.after(more);
    }
    arrange(order);
  });
})();
