// Recovery codes: print them, or download them as a file.
for (const button of document.querySelectorAll("[data-prints]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

for (const button of document.querySelectorAll("[data-saves]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const codes = [...document.querySelectorAll(`#${button.dataset.saves} code`)].map(code => code.textContent);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([[button.dataset.title, "", ...codes, ""].join("\n")], { type: "text/plain" }));
    link.download = button.dataset.name;
    link.click();
    URL.revokeObjectURL(link.href);
  });
}
