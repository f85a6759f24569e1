// Who the page's visitor is comes from the demo's back end, as it would from a shop's: a signed identity, or none.
const who = document.querySelector("#who");
const language = document.querySelector("#language");
const shown = await (await fetch("/demo-products")).json();
let looksAt = "";

function showChat() {
  document.querySelector("storehand-chat")?.remove();
  const chat = document.createElement("storehand-chat");
  chat.setAttribute("language", language.value);
  if (who.value) chat.setAttribute("jwt", who.value);
  if (looksAt) chat.setAttribute("product", looksAt);
  document.body.append(chat);
}

const local = (text) => (typeof text === "string" ? text : (text[language.value] ?? text.en ?? text.zh));

function showWindow() {
  document.documentElement.lang = language.value;
  for (const each of document.querySelectorAll("body [lang]")) each.hidden = each.lang !== language.value;
  who.options[0].textContent = language.value === "zh" ? "访客" : "a visitor";
  document.querySelector("#shop").textContent = local(shown.shop);
  document.querySelector("#window").replaceChildren(
    ...shown.products.map((product) => {
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.setAttribute("aria-pressed", String(product.id === looksAt));
      const picture = Object.assign(new Image(), { src: product.picture, alt: "", loading: "lazy" });
      const title = Object.assign(document.createElement("span"), { textContent: local(product.title) });
      const price = Object.assign(document.createElement("strong"), { textContent: product.price });
      button.append(picture, title, price);
      // As a product's own page does.
      button.addEventListener("click", () => {
        looksAt = product.id;
        for (const each of document.querySelectorAll("#window button")) each.setAttribute("aria-pressed", String(each === button));
        document.querySelector("storehand-chat")?.setPage({ product: product.id });
      });
      const item = document.createElement("li");
      item.append(button);
      return item;
    }),
  );
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
language.addEventListener("change", () => {
  showWindow();
  showChat();
});
showWindow();
await loadCustomers();
try {
  await import("/widget.js");
  showChat();
} catch {
  document.querySelector("#missing").hidden = false;
}
