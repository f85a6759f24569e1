/** What every part of the view can reach. */

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Chat } from "./chat";
import type { Product, Source } from "./wire";
import { say, type Word } from "./words";

export interface Parts {
  chat: Chat;
  server: string;
  close: () => void;
  showSource: (source: Pick<Source, "id" | "title">) => void;
  /** Tell the page that a product was chosen; false if the page takes the customer there itself. */
  productChosen: (product: Product) => boolean;
}

export const PartsContext = createContext<Parts>(null!);

export const useParts = () => useContext(PartsContext);

/** The widget's words in the language of the moment. */
export function useWords() {
  const { chat } = useParts();
  const language = chat.language.value;
  return (word: Word, gaps: Record<string, string | number> = {}) =>
    say(language, word, { shop: chat.shop.value?.[language] ?? "", ...gaps });
}
