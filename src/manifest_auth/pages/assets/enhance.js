// What pages do besides, where scripts run: show a password, copy a value, local times, the wait before another try.
const language = document.documentElement.lang;

for (const button of document.querySelectorAll("[data-shows]")) {
  const field = document.getElementById(button.dataset.shows), show = button.textContent;
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = field.type === "password";
    field.type = shown ? "text" : "password";
    button.textContent = shown ? button.dataset.on : show;
    button.setAttribute("aria-pressed", String(shown));
    field.focus();
  });
  field.form.addEventListener("submit", () => { field.type = "password"; });
}

for (const button of document.querySelectorAll("[data-copies]")) {
  if (!navigator.clipboard) break;
  const copy = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent);
    button.textContent = button.dataset.done;
    setTimeout(() => { button.textContent = copy; }, 3000);
  });
}

// An app's question takes no press of someone who has not seen it: another site may have stood above it, and gone away
// between the two clicks of a double click.
for (const question of document.querySelectorAll("[data-seen]")) {
  let timer;
  const show = () => {
    clearTimeout(timer);
    question.dataset.seen = "no";
    timer = setTimeout(() => { question.dataset.seen = "yes"; }, 500);
  };
  addEventListener("focus", show);
  question.addEventListener("submit", (event) => { if (question.dataset.seen === "no") event.preventDefault(); });
  show();
}

// A form is sent once: its button says that it is working. Without a script the server sees to that alone.
const working = document.body.appendChild(document.createElement("p"));
working.className = "visually-hidden";
working.setAttribute("role", "status");
addEventListener("submit", (event) => {
  const form = event.target, button = event.submitter;
  if (form.method !== "post" || event.defaultPrevented) return;
  if (form.hasAttribute("aria-busy")) {
    event.preventDefault();
    return;
  }
  form.setAttribute("aria-busy", "true");
  setTimeout(() => {
    // After the browser has read the form: the button's own name and value go along.
    working.textContent = document.body.dataset.working;
    // Not `disabled`, which Firefox still remembers when one comes back, and which takes the focus away.
    for (const each of form.querySelectorAll("button")) each.setAttribute("aria-disabled", "true");
    const label = button?.textContent;
    if (button) button.textContent = document.body.dataset.working;
    // Where no answer came, or was stopped, the form may be sent again: the server takes it as a repeat.
    setTimeout(() => {
      working.textContent = "";
      form.removeAttribute("aria-busy");
      for (const each of form.querySelectorAll("button")) each.removeAttribute("aria-disabled");
      if (button) button.textContent = label;
    }, 30_000);
  });
});
// Back to a form that was sent: it needs a token of its own, else it counts as a repeat.
addEventListener("pageshow", (event) => {
  if (event.persisted && document.querySelector("form[aria-busy]")) location.reload();
});

const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
const clock = new Intl.DateTimeFormat(language, { timeStyle: "medium" });
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  time.title = time.textContent;
  time.textContent = ("clock" in time.dataset ? clock : moment).format(at);
}

for (const zone of document.querySelectorAll("[data-zone]")) zone["value" in zone ? "value" : "textContent"] = moment.resolvedOptions().timeZone;

const left = new Intl.RelativeTimeFormat(language, { numeric: "always" });
for (const timer of document.querySelectorAll("[data-until]")) {
  // By this machine's own clock, which may be wrong, only the time that passes counts.
  const seconds = Number(timer.dataset.seconds), begun = performance.now();
  const over = document.querySelector("[data-over]");
  const tick = () => {
    const rest = Math.ceil(seconds - (performance.now() - begun) / 1000);
    if (rest > 0) {
      timer.textContent = left.format(rest, "second");
      setTimeout(tick, 500);
    } else {
      timer.closest("p").hidden = true;
      over.textContent = over.dataset.over;
    }
  };
  tick();
}
