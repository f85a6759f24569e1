/** Text from outside, made safe to show: Markdown without pictures or HTML, links only where a shop's reply may lead. */

import DOMPurify from "dompurify";
import { Marked } from "marked";

const LINK = /^(?:https?:\/\/|mailto:|tel:)/i;

const marked = new Marked({
  gfm: true,
  breaks: true,
  async: false,
  renderer: {
    // Raw HTML is shown as it was written, a picture as its description: neither is ever loaded.
    html: ({ text }) => escaped(text),
    image: ({ text }) => escaped(text),
  },
});

const purifier = DOMPurify(window);
purifier.addHook("afterSanitizeAttributes", (node) => {
  if (node.nodeName !== "A") return;
  if (!LINK.test(node.getAttribute("href") ?? "")) node.removeAttribute("href");
  node.setAttribute("target", "_blank");
  node.setAttribute("rel", "noopener nofollow");
});

const TAGS = "p br strong em del ul ol li a code pre blockquote h1 h2 h3 h4 h5 h6 hr table thead tbody tr th td".split(" ");

/** A plain line right after a list's item ends the list: sentences that code says come so, and belong to no item. */
const LINE_AFTER_ITEM = /^([ \t]*(?:[-*•]|\d+[.)])[ \t].*)\n(?=\S)(?!(?:[-*•]|\d+[.)])[ \t])/gm;

/** The Markdown as nodes. */
export function fromMarkdown(text: string): DocumentFragment {
  return purifier.sanitize(marked.parse(text.replace(LINE_AFTER_ITEM, "$1\n\n")) as string, {
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: ["href", "start"],
    ALLOWED_URI_REGEXP: LINK,
    RETURN_DOM_FRAGMENT: true,
  });
}

/** The Markdown as plain words, for a screen reader's announcement. */
export function spoken(text: string): string {
  return fromMarkdown(text).textContent?.trim() ?? "";
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

/** The address if a link may lead there, as seen from the server; else null. */
export function safeLink(url: string | null, server: string): string | null {
  if (!url) return null;
  const made = parsed(url, server);
  return made && LINK.test(made.href) ? made.href : null;
}

/** The picture's address if it is the server's own; no picture is fetched from anywhere else. */
export function safePicture(url: string | null, server: string): string | null {
  if (!url) return null;
  const made = parsed(url, server);
  return made && made.origin === new URL(server).origin ? made.href : null;
}

function parsed(url: string, server: string): URL | null {
  return URL.canParse(url, server) ? new URL(url, server) : null;
}
