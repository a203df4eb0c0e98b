// Previews a color on the samples while it is chosen. The server decides which colors go with it.
const line = document.querySelector("[data-picks]"), picker = line.querySelector("input");
const field = document.getElementById(line.dataset.picks), samples = document.querySelectorAll("[data-scheme]");
const COLOUR = /^(#[0-9a-f]{6})?$/;
let shown = field.value.trim().toLowerCase(), busy = false;

const show = async () => {
  const wanted = field.value.trim().toLowerCase();
  if (busy || wanted === shown || !COLOUR.test(wanted)) return;
  busy = true;
  try {
    const answer = await fetch(`/console/branding/colours?accent=${encodeURIComponent(wanted)}`);
    const looks = answer.ok ? await answer.json() : {};
    for (const sample of samples) {
      for (const [name, colour] of Object.entries(looks[sample.dataset.scheme] ?? {})) {
        sample.style.setProperty(`--${name}`, colour);
        sample.classList.add("is-live");
      }
    }
    for (const note of document.querySelectorAll("[data-unsaved]")) note.hidden = wanted === field.defaultValue;
    if (looks.light) picker.value = looks.light.accent;
  } catch { /* no response: the button still shows it */ }
  shown = wanted;
  busy = false;
  show();  // chosen in the meantime
};

line.hidden = false;
field.addEventListener("input", show);
picker.addEventListener("input", () => { field.value = picker.value; show(); });
