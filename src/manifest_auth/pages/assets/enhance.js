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

const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
const clock = new Intl.DateTimeFormat(language, { timeStyle: "medium" });
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  time.title = time.textContent;
  time.textContent = ("clock" in time.dataset ? clock : moment).format(at);
}

for (const zone of document.querySelectorAll("[data-zone]")) zone.textContent = moment.resolvedOptions().timeZone;

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
