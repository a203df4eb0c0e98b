// Passkeys: offered by the browser next to the email field, or by a button. A form posts the browser's response.
const button = document.querySelector("[data-passkey]");
const makes = button?.dataset.passkey === "make";
const parse = globalThis.PublicKeyCredential?.[makes ? "parseCreationOptionsFromJSON" : "parseRequestOptionsFromJSON"];
const beside = document.querySelector("[autocomplete~=webauthn]");
const RENEW_MS = 8 * 60_000; // before the challenge ends
let current; // browsers allow one request at a time

async function options() {
  if (button.dataset.options) return JSON.parse(button.dataset.options);
  const answer = await fetch("/api/client/auth/sign-in/passkey/options", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: "{}",
  });
  return (await answer.json()).data.publicKey;
}

function post(credential) {
  button.form.elements.credential.value = JSON.stringify(credential.toJSON());
  button.form.requestSubmit();
}

async function request(kind) {
  current?.abort();
  const { signal } = current = new AbortController();
  const publicKey = parse.call(PublicKeyCredential, await options());
  post(await navigator.credentials[makes ? "create" : "get"]({ publicKey, signal, ...kind }));
}

function offer() {
  request({ mediation: "conditional" }).catch(() => {}); // canceled by the user, or aborted for the next request
  const now = current;
  setTimeout(() => { if (now === current) offer(); }, RENEW_MS);
}

async function ask() {
  const failed = document.querySelector("[data-passkey-failed]");
  failed.textContent = "";
  const asked = request(), now = current;
  try {
    await asked;
  } catch {
    if (now !== current) return;
    failed.textContent = failed.dataset.passkeyFailed;
    if (beside) offer();
  }
}

// Tells credential managers what to forget (WebAuthn Level 3, section 5.1.10); browsers need not support this.
function signal(call, about) {
  globalThis.PublicKeyCredential?.[call]?.(about).catch(() => {});
}

const accepted = document.querySelector("[data-passkeys-accepted]")?.dataset.passkeysAccepted;
if (accepted) signal("signalAllAcceptedCredentials", JSON.parse(accepted));

if (button && parse) {
  button.hidden = false;
  button.addEventListener("click", ask);
  const credentialId = button.dataset.unknown;
  if (credentialId) signal("signalUnknownCredential", { rpId: (await options()).rpId, credentialId });
  if (beside && await PublicKeyCredential.isConditionalMediationAvailable?.() && !current) offer();
}
