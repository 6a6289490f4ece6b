/* The drawing of the LSTM step: what a part is, on hover, on a tap, and from the keyboard.

The words are in the markup, as a <title> of each part, which a browser without a script shows.
With it they stand in a line below the drawing. A drawing is one stop of the Tab key; the arrow
keys go from part to part. */
"use strict";

for (const figure of document.querySelectorAll("figure.step-drawing")) {
  const svg = figure.querySelector("svg"), line = figure.querySelector(".fact");
  const parts = [...svg.querySelectorAll("[data-fact]")], hint = line.textContent;
  const title = svg.querySelector("title");
  const facts = new Map(parts.map((part) => [part, part.querySelector("title").textContent]));

  svg.setAttribute("role", "group"); // an image would hide its parts from a screen reader
  svg.setAttribute("aria-label", title.textContent);
  svg.setAttribute("aria-describedby", svg.querySelector("desc").id);
  svg.removeAttribute("aria-labelledby");
  title.remove(); // the browser's own box would cover the drawing
  for (const [k, part] of parts.entries()) {
    part.querySelector("title").remove();
    part.setAttribute("role", "img");
    part.setAttribute("aria-label", facts.get(part));
    part.setAttribute("tabindex", k ? -1 : 0);
  }

  const show = (part) => {
    for (const other of parts) other.classList.toggle("shown", other === part);
    line.textContent = part ? facts.get(part) : hint;
  };
  const partOf = (event) => parts.find((part) => part.contains(event.target));
  const focus = (part) => {
    for (const other of parts) other.setAttribute("tabindex", other === part ? 0 : -1);
    part.focus();
  };
  const from = (k, key) =>
    ({ ArrowRight: k + 1, ArrowDown: k + 1, ArrowLeft: k - 1, ArrowUp: k - 1,
       Home: 0, End: parts.length - 1 })[key];

  svg.addEventListener("pointerover", (event) => partOf(event) && show(partOf(event)));
  svg.addEventListener("pointerleave", () => show(parts.find((p) => p === document.activeElement)));
  svg.addEventListener("click", (event) => partOf(event) && focus(partOf(event)));
  svg.addEventListener("focusin", (event) => show(partOf(event)));
  svg.addEventListener("focusout", () => show());
  svg.addEventListener("keydown", (event) => {
    const next = from(parts.indexOf(document.activeElement), event.key);
    if (event.key === "Escape") show();
    if (next === undefined) return;
    event.preventDefault();
    focus(parts[(next + parts.length) % parts.length]);
  });
}
