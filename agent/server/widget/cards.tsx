/** What a reply shows beside its words: products, a quote to confirm, and the sources it rests on. */

import { useState } from "preact/hooks";
import type { Message } from "./chat";
import { Icon, type IconName } from "./icons";
import { useParts, useWords } from "./parts";
import { safeLink, safePicture } from "./safe";
import type { Product, Quote, Source } from "./wire";

export function Products({ products }: { products: Product[] }) {
  const words = useWords();
  return (
    <div class="products" role="group" aria-label={words("products")} tabIndex={0}>
      <ul>
        {products.map((product) => (
          <ProductCard key={product.id} product={product} />
        ))}
      </ul>
    </div>
  );
}

function ProductCard({ product }: { product: Product }) {
  const { server, productChosen } = useParts();
  const words = useWords();
  const [broken, setBroken] = useState(false);
  const picture = broken ? null : safePicture(product.picture, server);
  const link = safeLink(product.url, server);
  const choose = (event: Event) => {
    if (!productChosen(product)) event.preventDefault();
  };
  return (
    <li class="product">
      <div class="picture">
        {picture ? <img src={picture} alt="" loading="lazy" onError={() => setBroken(true)} /> : <Icon name="box" size={36} />}
      </div>
      <div class="about">
        <h3 dir="auto">
          {link ? (
            <a href={link} target="_blank" rel="noopener nofollow" onClick={choose}>
              {product.title}
            </a>
          ) : (
            product.title
          )}
        </h3>
        <p class="price">{product.price.text}</p>
        <p class={product.inStock ? "stock" : "stock gone"}>{product.stock || words(product.inStock ? "inStock" : "noStock")}</p>
        {product.why && (
          <p class="why">
            <Icon name="spark" size={14} />
            <span dir="auto">
              <span class="unseen">{words("why")}: </span>
              {product.why}
            </span>
          </p>
        )}
      </div>
    </li>
  );
}

const QUOTE_WORDS = {
  confirmed: "confirmed",
  declined: "declined",
  expired: "expired",
  past: "past",
} as const;

export function QuoteCard({ quote, message }: { quote: Quote; message: Message }) {
  const { chat, showSource } = useParts();
  const words = useWords();
  const language = chat.language.value;
  const until = new Date(quote.validUntil);
  const state = message.quoteState === "pending" && until.getTime() < Date.now() ? "expired" : (message.quoteState ?? "past");
  const waits = state === "pending" || state === "working";
  return (
    <section class={`quote ${state}`} aria-label={words("quote")}>
      <header>
        {waits ? (
          words("quote")
        ) : (
          <>
            {state === "confirmed" && <Icon name="check" size={16} />} {words(QUOTE_WORDS[state])}
          </>
        )}
      </header>
      <h3 dir="auto">{quote.title}</h3>
      <ul>
        {quote.lines.map((line, place) => (
          <QuoteLine key={place} line={line} />
        ))}
      </ul>
      {quote.total && (
        <p class="total">
          <span>{words("total")}</span>
          <strong>{quote.total.text}</strong>
        </p>
      )}
      {quote.clauses.length > 0 && (
        <p class="chips" role="group" aria-label={words("rules")}>
          {quote.clauses.map((id) => (
            <button key={id} type="button" class="chip" onClick={() => showSource({ id, title: id })}>
              <Icon name="book" size={14} />
              <span>{message.sources?.find((each) => each.id === id)?.title ?? `${words("rule")} ${id}`}</span>
            </button>
          ))}
        </p>
      )}
      {waits && (
        <>
          <div class="answer">
            <button
              type="button"
              class="main"
              disabled={state === "working" || chat.run.value !== null}
              onClick={() => void chat.settle(quote, "agreeTo")}
            >
              {words(state === "working" ? "working" : "confirm")}
            </button>
            <button
              type="button"
              class="plain"
              disabled={state === "working" || chat.run.value !== null}
              onClick={() => void chat.settle(quote, "decline")}
            >
              {words("decline")}
            </button>
          </div>
          <p class="small">
            {words("validUntil", { time: until.toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" }) })}
          </p>
        </>
      )}
    </section>
  );
}

/** A line that ends in a sum is set like a bill's. */
function QuoteLine({ line }: { line: string }) {
  const text = line.replace(/^[-*•]\s+/, "");
  const [, what, sum] = /^(.+?)\s*[:：]\s*([^:：]{0,5}\d[\d.,\s]*[^\d:：]{0,4})$/.exec(text) ?? [];
  return sum ? (
    <li class="sum">
      <span dir="auto">{what}</span> <strong dir="auto">{sum}</strong>
    </li>
  ) : (
    <li dir="auto">{text}</li>
  );
}

const SOURCE_ICONS: Record<Source["kind"], IconName> = { clause: "book", faq: "book", product: "tag", order: "box" };

/** What the reply rests on, but for what is shown beside it anyway. */
export function Sources({ message }: { message: Message }) {
  const { showSource } = useParts();
  const words = useWords();
  const shown = new Set([...(message.products ?? []).map((each) => each.id), ...(message.quote?.clauses ?? [])]);
  const sources = (message.sources ?? []).filter((each) => !shown.has(each.id));
  if (sources.length === 0) return null;
  return (
    <div class="chips" role="group" aria-label={words("sources")}>
      {sources.map((source) => {
        const inside = (
          <>
            <Icon name={SOURCE_ICONS[source.kind] ?? "tag"} size={14} />
            <span>{source.title}</span>
          </>
        );
        return source.kind === "clause" || source.kind === "faq" ? (
          <button
            key={source.id}
            type="button"
            class="chip"
            aria-label={words("readSource", { title: source.title })}
            onClick={() => showSource(source)}
          >
            {inside}
          </button>
        ) : (
          <span key={source.id} class="chip">
            {inside}
          </span>
        );
      })}
    </div>
  );
}
