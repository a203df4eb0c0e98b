// Enhancements of pages if scripts run: show a password, copy a value, local times, the wait before another attempt.
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

// An app's question accepts no click until the user has seen it, because another site might have covered it, and
// disappeared between the two clicks of a double click.
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

// A form is sent once, and its button shows that it is working. Without a script, only the server ensures that.
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
    // After the browser has read the form, since the button's own name and value are sent too.
    working.textContent = document.body.dataset.working;
    // Not `disabled`, because Firefox remembers it when the user returns, and it takes away the focus.
    for (const each of form.querySelectorAll("button")) each.setAttribute("aria-disabled", "true");
    const label = button?.textContent;
    if (button) button.textContent = document.body.dataset.working;
    // If there was no response, or it was stopped, the form can be sent again: the server treats it as a repeat.
    setTimeout(() => {
      working.textContent = "";
      form.removeAttribute("aria-busy");
      for (const each of form.querySelectorAll("button")) each.removeAttribute("aria-disabled");
      if (button) button.textContent = label;
    }, 30_000);
  });
});
// The user went back to a form that was sent. It needs a new token, or else it counts as a repeat.
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
  // This machine's own clock might be wrong, so only elapsed time counts.
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
