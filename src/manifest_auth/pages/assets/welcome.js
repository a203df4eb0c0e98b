// A one-time link has its token after "#", which no server and no log sees. This module posts it.
const token = location.hash.slice(1), field = document.querySelector("input.code-field");
if (token && field && !field.value) {
  field.value = token;
  history.replaceState(null, "", location.pathname);
  field.form.requestSubmit();
}
// Another link in the same tab: reload its page.
addEventListener("hashchange", () => location.replace(`${location.pathname}?${location.hash}`));
