/** `<storehand-chat>`: the element a page sees. Its attributes, methods and events are described in docs/widget.md. */

import { effect } from "@preact/signals";
import { render } from "preact";
import { Api } from "./api";
import { Chat } from "./chat";
import { Widget } from "./panel";
import css from "./widget.css?inline";
import type { Handover, Identity, Language, Page, Product } from "./wire";

// A module script is not the document's current one.
const SCRIPT = (document.currentScript ?? document.querySelector('script[src$="/widget.js"]')) as HTMLScriptElement | null;
const NAME = "storehand-chat";

class StorehandChat extends HTMLElement {
  static observedAttributes = ["language"];

  private chat: Chat | null = null;
  private server = "";
  private letGo: (() => void) | null = null;
  private returnTo: HTMLElement | null = null;

  connectedCallback(): void {
    this.server = new URL(this.getAttribute("server") ?? SCRIPT?.src ?? location.href, location.href).origin;
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    root.adoptedStyleSheets = [sheet];

    const chat = (this.chat ??= new Chat(new Api(this.server), (name, detail) => this.tell(name, detail)));
    chat.language.value = this.wantedLanguage();
    this.identifyByAttributes();
    this.setPage({ product: this.getAttribute("product") ?? undefined });
    chat.open.value = this.hasAttribute("open") || kept(this.key("open")) === "yes";
    let before: boolean | null = null;
    this.letGo = effect(() => {
      const [open, was] = [chat.open.value, before];
      before = open;
      if (open !== was) queueMicrotask(() => this.turned(open, was));
    });
    // Who waits for a person hears them on the next page too, also with the panel closed.
    if (kept(this.key("person")) === "yes") void chat.start();
    const parts = {
      chat,
      server: this.server,
      close: () => this.close(),
      productChosen: (product: Product) => this.tell("product", { id: product.id, url: product.url }),
    };
    render(<Widget parts={parts} launcher={this.getAttribute("launcher") !== "none"} />, root);
  }

  disconnectedCallback(): void {
    this.chat?.leave();
    this.letGo?.();
    render(null, this.shadowRoot!);
  }

  attributeChangedCallback(_name: string, before: string | null): void {
    if (this.chat && before !== null) this.chat.language.value = this.wantedLanguage();
  }

  /** Show the conversation. */
  open(): void {
    if (this.chat) this.chat.open.value = true;
  }

  close(): void {
    if (this.chat) this.chat.open.value = false;
  }

  /** Whom the shop has signed in, by a token or a hash that the shop's server made; null for a visitor. */
  identify(identity: Identity | null): Promise<void> {
    if (!this.chat) return Promise.resolve();
    this.chat.api.become(identity);
    return this.chat.restart();
  }

  /** Sign out: the conversation can no longer be read in this browser without signing in. */
  forget(): Promise<void> {
    if (!this.chat) return Promise.resolve();
    this.chat.api.forget();
    return this.chat.restart();
  }

  /** What the customer looks at, so that "is this in stock?" is understood. */
  setPage(page: Page): void {
    if (this.chat) this.chat.page = { url: location.href, ...page };
  }

  private key(what: string): string {
    return `storehand:${this.server}:${what}`;
  }

  private wantedLanguage(): Language {
    const wanted = this.getAttribute("language") || this.closest("[lang]")?.getAttribute("lang") || navigator.language;
    return wanted.toLowerCase().startsWith("zh") ? "zh" : "en";
  }

  private identifyByAttributes(): void {
    const jwt = this.getAttribute("jwt");
    const customer = this.getAttribute("customer");
    const hash = this.getAttribute("hash");
    if (jwt) this.chat!.api.become({ jwt });
    else if (customer && hash) this.chat!.api.become({ customer, hash });
  }

  /** After the panel was opened or closed; `before` is null at the start. */
  private turned(open: boolean, before: boolean | null): void {
    const chat = this.chat!;
    keep(this.key("open"), open ? "yes" : "no");
    if (open) {
      const focused = document.activeElement;
      this.returnTo = focused instanceof HTMLElement && focused !== this && focused !== document.body ? focused : null;
      chat.unread.value = 0;
      void chat.start().then(() => chat.listen());
      this.tell("open", null);
    } else if (before) {
      chat.rest();
      (this.returnTo ?? this.shadowRoot!.querySelector<HTMLElement>(".launcher"))?.focus();
      this.tell("close", null);
    }
  }

  /** Dispatch `storehand:NAME`; false if the page prevented what would follow. */
  private tell(name: string, detail: unknown): boolean {
    if (name === "handover") keep(this.key("person"), (detail as Handover).state === "givenBack" ? "no" : "yes");
    return this.dispatchEvent(new CustomEvent(`storehand:${name}`, { detail, bubbles: true, composed: true, cancelable: true }));
  }
}

// Whether the panel stays open and somebody waits, from page to page, is a matter of this tab.
function kept(key: string): string | null {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

function keep(key: string, value: string): void {
  try {
    sessionStorage.setItem(key, value);
  } catch {
    return;
  }
}

/** One script tag is enough: where the page has no element of its own, one is added with the tag's data attributes. */
function place(): void {
  if (document.querySelector(NAME) || !SCRIPT) return;
  const element = document.createElement(NAME);
  for (const [name, value] of Object.entries(SCRIPT.dataset)) element.setAttribute(name, value ?? "");
  document.body.append(element);
}

if (!customElements.get(NAME)) {
  customElements.define(NAME, StorehandChat);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", place);
  else place();
}
