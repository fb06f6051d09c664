const root = document.documentElement;
const text = document.getElementById("charts").textContent;
/* On dark ground, the lighter neighbours of the same palette. */
const lifted = new Map([["#0072B2", "#56B4E9"], ["#D55E00", "#E8853D"], ["#009E73", "#3DBF98"]]);
const specs = {
  light: JSON.parse(text),
  dark: JSON.parse(text, (_, value) => lifted.get(value) ?? value),
};
const button = document.querySelector("button.theme");

function config() {
  const style = getComputedStyle(root);
  const property = (name) => style.getPropertyValue(name).trim();
  const font = property("--sans");
  return {
    background: null,
    font,
    view: { stroke: null },
    axis: {
      labelColor: property("--soft"), titleColor: property("--soft"), gridColor: property("--rule"), domainColor: property("--rule"),
      tickColor: property("--rule"), gridOpacity: 0.6, titleFontWeight: 400, labelFontSize: 11, titleFontSize: 12,
    },
    axisX: { labelOverlap: "parity", labelSeparation: 4 },
    axisY: { domain: false, labelLimit: 150 },
    title: { color: property("--ink"), offset: 10 },
    text: { color: property("--ink") },
    legend: { labelColor: property("--soft"), titleColor: property("--soft"), titleFontWeight: 400 },
  };
}

const HINT = "Drag over the dots to list their queries.";
const MOST_LISTED = 50;

function signed(number) {
  const digits = Math.abs(number).toFixed(3);
  if (Number(digits) === 0) return digits;
  return (number < 0 ? "\u2212" : "+") + digits;
}

/* Queries and names are other people's text: they are set as text, never read as HTML. */
function made(tag, content, className = "") {
  const element = document.createElement(tag);
  element.textContent = content;
  element.className = className;
  return element;
}

function item(row, { system, baseline }) {
  const values = `${system}\u00a0${row.system.toFixed(3)}, ${baseline}\u00a0${row.baseline.toFixed(3)}`;
  const line = made("li", "");
  const words = made("span", row.query + " ");
  words.append(made("span", values, "soft"));
  line.append(made("b", signed(row.difference)), words);
  return line;
}

/* The queries between two places of the chart, the biggest difference first; the hint without places. */
function list(panel, rows, places) {
  const [low, high] = [...(places ?? [])].sort((a, b) => a - b);
  const chosen = rows.filter((row) => low <= row.place && row.place <= high);
  chosen.sort((a, b) => Math.abs(b.difference) - Math.abs(a.difference));
  const more = chosen.length - MOST_LISTED;
  const [note, items] = panel.children;
  const counted = chosen.length === 1 ? "1 query" : `${chosen.length} queries, biggest difference first`;
  note.textContent = chosen.length ? `${counted}. A click on the chart clears them.` : HINT;
  items.replaceChildren(...chosen.slice(0, MOST_LISTED).map((row) => item(row, panel.dataset)));
  if (more > 0) items.append(made("li", `and ${more} more`, "soft"));
  panel.hidden = false;
}

async function draw(element) {
  const { view } = await vegaEmbed(element, specs[root.dataset.theme][element.id], {
    mode: "vega-lite",
    renderer: "svg",
    config: config(),
    tooltip: { theme: root.dataset.theme },
    actions: { export: { svg: true, png: true }, source: false, compiled: false, editor: false },
    downloadFileName: element.id,
  });
  const panel = document.querySelector(`.picked[data-chart="${element.id}"]`);
  if (!panel) return;
  const rows = Object.values(specs.light[element.id].datasets).flat().filter((row) => "place" in row);
  view.addSignalListener("picked", (_, picked) => list(panel, rows, picked.place));
  /* A click beside the brush clears it already; a brush over everything leaves no room beside it. */
  let pressed = 0;
  view.addEventListener("pointerdown", (event) => { pressed = event.clientX; });
  view.addEventListener("click", (event) => {
    if (Math.abs(event.clientX - pressed) < 3) view.signal("picked_x", [0, 0]).runAsync();
  });
  list(panel, rows);
}

/* A chart in a closed fold has no width yet: it is drawn when the fold is opened. */
async function drawAll() {
  const shown = [...document.querySelectorAll(".chart")].filter((element) => element.offsetWidth > 0);
  await Promise.all(shown.map(draw));
}

function setTheme(theme) {
  root.dataset.theme = theme;
  button.setAttribute("aria-pressed", String(theme === "dark"));
  return drawAll();
}

button.hidden = false;
button.addEventListener("click", () => setTheme(root.dataset.theme === "dark" ? "light" : "dark"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
  setTheme(event.matches ? "dark" : "light");
});
for (const fold of document.querySelectorAll("details.fold")) {
  fold.addEventListener("toggle", () => {
    if (!fold.open) return;
    for (const element of fold.querySelectorAll(".chart")) {
      if (element.offsetWidth > 0) draw(element);
    }
  });
}
/* A link may lead into closed folds; not every browser opens them. */
function reveal() {
  const target = document.getElementById(location.hash.slice(1));
  if (!target) return;
  for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  target.scrollIntoView({ behavior: "instant" });
}
addEventListener("hashchange", reveal);
/* The query browser: two systems' rankings of one query side by side. */
function browse(panel) {
  const { docs, places } = JSON.parse(document.getElementById("browsed").textContent);
  const [place, first, second, sort] = panel.querySelectorAll("select");
  const [words, listed, shown] = [panel.querySelector("input"), panel.querySelector(".listed"), panel.querySelector(".shown")];
  let rows = [];
  let chosen = 0;
  const fill = (select, names) => select.replaceChildren(...names.map((name, n) => new Option(name, n)));
  const valueOf = (query, select) => query.values[select.value];
  const number = (value) => (value === null ? "–" : value.toFixed(3));

  function ranking(query, select, other) {
    const column = made("div", "");
    column.append(made("h4", `${here().systems[select.value]} ${number(valueOf(query, select))}`));
    const seeds = here().seeds[select.value];
    if (seeds) column.append(made("p", seeds, "note"));
    const items = document.createElement("ol");
    const others = query.tops[other.value].map(([doc]) => doc);
    query.tops[select.value].forEach(([doc, grade], n) => {
      const line = made("li", "");
      const body = document.createElement("div");
      const grown = grade === null ? "unjudged" : `relevance ${grade}`;
      body.append(made("span", grown, `grade ${grade === null ? "unjudged" : grade > 0 ? "relevant" : ""}`), " ");
      const rank = others.indexOf(doc) + 1;
      body.append(made("span", rank ? `rank ${rank} in the other` : "not among the other's top", "soft"), " ");
      body.append(made("code", docs[doc][0], "soft"), made("p", docs[doc][1]));
      line.append(made("span", n + 1), body);
      items.append(line);
    });
    if (!items.children.length) items.append(made("li", "no docs", "soft"));
    column.append(items);
    return column;
  }

  const here = () => places[place.value];

  function show(n) {
    chosen = Math.max(0, Math.min(n, rows.length - 1));
    [...listed.children].forEach((item, at) => item.setAttribute("aria-selected", String(at === chosen)));
    const row = rows[chosen];
    if (!row) return shown.replaceChildren(made("p", "No query has these words.", "note"));
    const item = listed.children[chosen];
    if (item.offsetTop < listed.scrollTop + listed.offsetTop) listed.scrollTop = item.offsetTop - listed.offsetTop;
    const below = item.offsetTop - listed.offsetTop + item.offsetHeight - listed.clientHeight;
    if (below > listed.scrollTop) listed.scrollTop = below;
    const pair = made("div", "", "docs pair");
    pair.append(ranking(row.query, first, second), ranking(row.query, second, first));
    shown.replaceChildren(made("blockquote", row.query.text, "query"), pair);
    return undefined;
  }

  function update() {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows = here().queries.filter(({ id, text }) => wanted.every((word) => `${id} ${text}`.toLowerCase().includes(word)))
      .map((query) => {
        const [a, b] = [valueOf(query, first), valueOf(query, second)];
        return { query, difference: a === null || b === null ? null : b - a };
      });
    const sign = { largest: -1, smallest: 1, id: 0 }[sort.value];
    rows.sort((a, b) => sign * ((a.difference ?? 0) - (b.difference ?? 0)));
    listed.replaceChildren(...rows.map((row, n) => {
      const item = made("li", "");
      item.append(made("b", row.difference === null ? "–" : signed(row.difference)), made("span", row.query.text));
      item.addEventListener("click", () => show(n));
      return item;
    }));
    show(0);
  }

  function choosePlace() {
    fill(first, here().systems);
    fill(second, here().systems);
    second.value = here().systems.length - 1;
    update();
  }

  fill(place, places.map(({ name }) => name));
  place.hidden = places.length === 1;
  place.addEventListener("change", choosePlace);
  for (const control of [first, second, sort]) control.addEventListener("change", update);
  words.addEventListener("input", update);
  listed.addEventListener("keydown", (event) => {
    const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    show(chosen + step);
  });
  panel.hidden = false;
  choosePlace();
}
const panel = document.querySelector(".browser");
if (panel) browse(panel);
/* Charts push what is below them down until they are drawn. */
setTheme(root.dataset.theme).then(reveal);
