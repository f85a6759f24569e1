// Who the page's visitor is comes from the demo's back end, as it would from a shop's: a signed identity, or none.
const who = document.querySelector("#who");
const language = document.querySelector("#language");

function showChat() {
  document.querySelector("storehand-chat")?.remove();
  const chat = document.createElement("storehand-chat");
  chat.setAttribute("language", language.value);
  if (who.value) chat.setAttribute("jwt", who.value);
  document.body.append(chat);
}

async function loadCustomers() {
  const chosen = who.selectedOptions[0]?.dataset.id;
  const customers = await (await fetch("/demo-customers")).json();
  who.length = 1;
  for (const customer of customers) {
    const option = new Option(`${customer.name} (${customer.id})`, customer.jwt);
    option.dataset.id = customer.id;
    option.selected = customer.id === chosen;
    who.append(option);
  }
}

who.addEventListener("change", async () => {
  await loadCustomers(); // an identity is valid for minutes only
  showChat();
});
language.addEventListener("change", showChat);
await loadCustomers();
try {
  await import("/widget.js");
  showChat();
} catch {
  document.querySelector("#missing").hidden = false;
}
