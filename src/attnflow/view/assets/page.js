"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const tokens = [...document.querySelectorAll(".token")];
  const rows = [...document.querySelectorAll(".players tbody tr")];
  const body = rows.length ? rows[0].parentNode : null;
  const rowOf = new Map(rows.map((row) => [Number(row.dataset.player), row]));
  let current = 0;
  let player = null;

  // -- one token's numbers ---------------------------------------------------------------------------
  function line(parent, tag, text) {
    const part = document.createElement(tag);
    part.textContent = text;
    parent.append(part);
  }

  function read(index) {
    player = index;
    const readout = $("readout");
    readout.replaceChildren();
    tokens.forEach((token) => token.classList.toggle("shown", Number(token.dataset.player) === index));
    rows.forEach((row) => row.classList.toggle("shown", Number(row.dataset.player) === index));
    if (index === null) {
      line(readout, "span", "Point at a token, or tab to the text and use the arrow keys, for its numbers.");
      return;
    }
    const target = data.targets[current];
    line(readout, "b", data.players[index]);
    line(readout, "span", `score ${target.scores[index]}${target.errors ? ` ± ${target.errors[index]}` : ""} ${data.unit}`);
    Object.entries(target.sides).forEach(([name, numbers]) => line(readout, "span", `${name} ${numbers[index]}`));
    if (target.intervals) line(readout, "span", `interval ${target.intervals[index]}`);
    if (target.layers) line(readout, "span", `bottleneck ${data.layers[target.layers[index]]}`);
    line(readout, "span", `position ${data.places[index]}`);
  }

  // The text is one tab stop; arrow keys move inside it.
  tokens.forEach((token, at) => {
    token.removeAttribute("title");
    token.setAttribute("role", "button");
    token.tabIndex = at === 0 ? 0 : -1;
    token.addEventListener("pointerenter", () => read(Number(token.dataset.player)));
    token.addEventListener("focus", () => {
      tokens.forEach((other) => (other.tabIndex = other === token ? 0 : -1));
      read(Number(token.dataset.player));
    });
    token.addEventListener("click", () => token.focus());
    token.addEventListener("keydown", (event) => {
      const steps = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: tokens.length - 1 };
      const next = tokens[steps[event.key]];
      if (next) {
        event.preventDefault();
        next.focus();
      }
    });
  });
  rows.forEach((row) => row.addEventListener("pointerenter", () => read(Number(row.dataset.player))));
  $("readout").hidden = tokens.length === 0;

  // -- order and length of the table -----------------------------------------------------------------
  const few = 15;
  let everything = rows.length <= 2 * few;
  const order = document.createElement("button");
  const more = document.createElement("button");
  let byScore = rows.length > 2 * few;

  function arrange() {
    const target = data.targets[current];
    const ranked = target.bars.map((_, index) => index).sort((a, b) => Math.abs(target.bars[b]) - Math.abs(target.bars[a]));
    const rank = new Map(ranked.map((index, place) => [index, place]));
    const sorted = byScore ? ranked.map((index) => rowOf.get(index)) : rows;
    body.append(...sorted);
    rows.forEach((row) => row.classList.toggle("more", !everything && rank.get(Number(row.dataset.player)) >= few));
    order.textContent = byScore ? "Order as in the text" : "Order by score";
    more.textContent = everything ? `Show the highest ${few}` : `Show all ${rows.length}`;
  }
  if (body) {
    order.type = more.type = "button";
    order.addEventListener("click", () => { byScore = !byScore; arrange(); });
    more.addEventListener("click", () => { everything = !everything; arrange(); });
    body.parentNode.parentNode.after(order, " ", ...(rows.length > few ? [more] : []));
  }

  // -- switching targets -----------------------------------------------------------------------------
  function choose(index) {
    current = index;
    const target = data.targets[index];
    $("name").textContent = target.name;
    $("place").textContent = target.place;
    $("sentences").replaceChildren();
    target.sentences.forEach((sentence) => line($("sentences"), "li", sentence));
    ["text", "all"].forEach((name) => document.querySelectorAll(`.scale .${name}`).forEach((end) => {
      end.textContent = (end.dataset.low ? "-" : "") + target.ends[name];
    }));
    const here = new Set(target.here);
    tokens.forEach((token) => {
      const at = Number(token.dataset.player);
      token.style.setProperty("--t", Math.abs(target.text[at]));
      token.style.setProperty("--a", Math.abs(target.all[at]));
      token.classList.toggle("against", target.all[at] < 0);
      token.classList.toggle("here", here.has(at));
    });
    rows.forEach((row) => {
      const at = Number(row.dataset.player);
      const bar = row.querySelector("i");
      row.querySelector(".score").textContent = target.scores[at];
      bar.style.setProperty("--w", Math.abs(target.bars[at]));
      bar.className = target.bars[at] < 0 ? "against" : target.bars[at] === 0 ? "zero" : "";
      const fill = (name, text) => {
        const cell = row.querySelector(name);
        if (cell) cell.textContent = text;
      };
      if (target.errors) fill(".error", target.errors[at]);
      Object.entries(target.sides).forEach(([name, numbers]) => fill(`[data-side="${name}"]`, numbers[at]));
      if (target.intervals) fill(".interval", target.intervals[at]);
      if (target.layers) fill(".layer", data.layers[target.layers[at]]);
    });
    document.querySelectorAll(".matrix tbody tr").forEach((row, at) => row.classList.toggle("current", at === index));
    if (body) arrange();
    read(player);
  }
  const choices = document.querySelector(".switch");
  if (choices) {
    choices.hidden = false;
    choices.addEventListener("change", (event) => choose(Number(event.target.value)));
  }
  const checked = document.querySelector(".switch input:checked");
  choose(checked ? Number(checked.value) : 0);
})();
