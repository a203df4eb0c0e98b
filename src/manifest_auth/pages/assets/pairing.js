// A pairing continues automatically: to the number once a device has scanned the code, and to another code when this
// one has expired.
const { pairing, state = "waiting" } = document.querySelector("[data-pairing]").dataset;
const renew = document.querySelector("#renew form");
if (renew) renew.hidden = true; // pressed by this module
async function look() {
  const answer = await fetch(`/api/client/auth/devices/pairings/${pairing}`).catch(() => null);
  const found = answer && answer.ok ? (await answer.json()).data.state : state;
  if (found === "expired" && renew) renew.requestSubmit();
  else if (found !== state) location.replace(`/account/devices/pair?pairing=${pairing}`);
  else setTimeout(look, 1000);
}
setTimeout(look, 1000);
