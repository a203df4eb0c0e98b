// Copy buttons: the theme puts each into a landmark of its own, without a name.
new MutationObserver(() => {
  for (const nav of document.querySelectorAll(".md-code__nav:not([role])")) nav.setAttribute("role", "none");
  reach();
}).observe(document.body, { childList: true, subtree: true });

// Tables with many columns scroll on a phone, so the keyboard must reach them.
const REACHED = { tabindex: "0", role: "group", "aria-label": "Table" };
function reach() {
  for (const wrap of document.querySelectorAll(".md-typeset__scrollwrap")) {
    if (wrap.scrollWidth > wrap.clientWidth) {
      for (const name in REACHED) wrap.setAttribute(name, REACHED[name]);
    } else wrap.removeAttribute("tabindex");
  }
}
addEventListener("resize", reach);
