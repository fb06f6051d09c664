// j and k go to the next and the last query of the list.
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { j: "nextElementSibling", k: "previousElementSibling" }[event.key];
  const other = step && document.querySelector("nav li[aria-current]")?.[step];
  if (other) other.querySelector("a").click();
});
document.querySelector("nav li[aria-current]")?.scrollIntoView({ block: "nearest" });
