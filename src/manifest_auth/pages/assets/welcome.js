// A one-time link has its token behind "#", which no server and no log sees. It is posted from here.
const token = location.hash.slice(1), field = document.getElementById("token");
if (token && field) {
  field.value = token;
  history.replaceState(null, "", location.pathname);
  field.form.requestSubmit();
}
addEventListener("hashchange", () => location.reload());
