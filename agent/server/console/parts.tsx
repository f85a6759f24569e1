/** Small things that several pages use. */

import { useEffect, useState } from "preact/hooks";
import { attempt, get } from "./api";
import { language, say } from "./words";
import type { Customer, LocalText } from "./wire";

/** What the server says at `path`, and a way to ask again. */
export function useFetched<T>(path: string | null): [T | null, () => void] {
  const [answer, setAnswer] = useState<{ path: string; value: T } | null>(null);
  const [round, setRound] = useState(0);
  useEffect(() => {
    let current = true;
    if (path) {
      void attempt(async () => {
        const value = await get<T>(path);
        if (current) setAnswer({ path, value });
      });
    }
    return () => {
      current = false;
    };
  }, [path, round]);
  return [answer?.path === path ? answer.value : null, () => setRound((before) => before + 1)];
}

export function Loading() {
  return <p class="quiet">{say("loading")}</p>;
}

export function Nothing({ text }: { text?: string }) {
  return <p class="quiet">{text ?? say("nothing")}</p>;
}

export function time(at: string): string {
  return new Date(at).toLocaleString(language.value, { dateStyle: "medium", timeStyle: "short" });
}

/** The text in the console's language, or in the one there is. */
export function local(text: LocalText | null | undefined): string {
  if (!text) return "";
  if (typeof text === "string") return text;
  return text[language.value] || text.en || text.zh || "";
}

export function nameOf(customer: Customer | null): string {
  return customer ? (customer.name ?? customer.id) : say("visitor");
}

export function Search({ search }: { search: (words: string) => void }) {
  const [words, setWords] = useState("");
  return (
    <form class="search" role="search" onSubmit={(event) => { event.preventDefault(); search(words); }}>
      <input type="search" value={words} aria-label={say("search")} placeholder={say("search")} onInput={(event) => setWords(event.currentTarget.value)} />
    </form>
  );
}
