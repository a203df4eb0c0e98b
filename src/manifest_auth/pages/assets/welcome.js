// A one-time link has its token behind "#", which no server and no log sees. It is posted from here.
const token = location.hash.slice(1), field = document.querySelector("input.code-field");
if (token && field && !field.value) {
  field.value = token;
  history.replaceState(null, "", location.pathname);
  field.form.requestSubmit();
}
// Another link in the same tab: its page is opened anew.
addEventListener("hashchange", () => location.replace(`${location.pathname}?${location.hash}`));
