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
  const of = (name) => style.getPropertyValue(name).trim();
  const font = of("--sans");
  return {
    background: null,
    font,
    view: { stroke: null },
    axis: {
      labelColor: of("--soft"), titleColor: of("--soft"), gridColor: of("--rule"), domainColor: of("--rule"),
      tickColor: of("--rule"), gridOpacity: 0.6, titleFontWeight: 400, labelFontSize: 11, titleFontSize: 12,
    },
    axisX: { labelOverlap: "parity", labelSeparation: 4 },
    axisY: { domain: false, labelLimit: 150 },
    title: { color: of("--ink"), offset: 10 },
  };
}

async function draw(element) {
  await vegaEmbed(element, specs[root.dataset.theme][element.id], {
    mode: "vega-lite",
    renderer: "svg",
    config: config(),
    tooltip: { theme: root.dataset.theme },
    actions: { export: { svg: true, png: true }, source: false, compiled: false, editor: false },
    downloadFileName: element.id,
  });
}

/* A chart in a closed fold has no width yet: it is drawn when the fold is opened. */
function drawAll() {
  for (const element of document.querySelectorAll(".chart")) {
    if (element.offsetWidth > 0) draw(element);
  }
}

function setTheme(theme) {
  root.dataset.theme = theme;
  button.setAttribute("aria-pressed", String(theme === "dark"));
  drawAll();
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
setTheme(root.dataset.theme);
