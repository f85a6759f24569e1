/** The shop's own data: products, rules and answers. */

import { useEffect, useState } from "preact/hooks";
import { attempt, call } from "./api";
import { Import } from "./import";
import { Loading, local, Nothing, Search, useFetched } from "./parts";
import type { Catalogue, LocalText, ShopClause, ShopProduct } from "./wire";
import { language, say } from "./words";

export function CataloguePage({ chosen }: { chosen: string | null }) {
  const [asked, setAsked] = useState("");
  const [found, again] = useFetched<Catalogue>(chosen ? null : `/catalog?query=${encodeURIComponent(asked)}`);
  if (chosen) return <ProductForm id={chosen} />;
  return (
    <div class="page">
      <header class="bar">
        <h1>{say("catalogue")}</h1>
        <span class="space" />
        <Search search={setAsked} />
      </header>
      <Import formats={["jsonl", "shopify", "woocommerce", "google-merchant", "json-ld"]} done={again} />
      <section class="card">
        {!found ? (
          <Loading />
        ) : found.products.length === 0 ? (
          <Nothing />
        ) : (
          <table>
            <thead>
              <tr>
                <th>{say("product")}</th>
                <th>{say("price")}</th>
                <th>{say("stock")}</th>
              </tr>
            </thead>
            <tbody>
              {found.products.map((product) => (
                <tr key={product.id}>
                  <td>
                    <a href={`#/catalogue/${product.id}`}>{local(product.title)}</a> <small>{product.id}</small>
                  </td>
                  <td>{prices(product, found.currency)}</td>
                  <td>{product.variants.reduce((sum, each) => sum + (each.stock ?? 0), 0)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </section>
    </div>
  );
}

/** How many minor units a unit has: 100 cents to the dollar, 1 yen to the yen. */
function minorUnits(currency: string): number {
  return 10 ** (new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2);
}

function prices(product: ShopProduct, currency: string): string {
  const all = product.variants.map((each) => each.price_cents).filter((each) => each !== null);
  if (all.length === 0) return "–";
  const money = new Intl.NumberFormat(language.value, { style: "currency", currency });
  const ends = [...new Set([Math.min(...all), Math.max(...all)])];
  return ends.map((each) => money.format(each / minorUnits(currency))).join(" – ");
}

function ProductForm({ id }: { id: string }) {
  const [kept] = useFetched<ShopProduct>(`/products/${encodeURIComponent(id)}`);
  const [product, setProduct] = useState<ShopProduct | null>(null);
  const [catalogue] = useFetched<Catalogue>(`/catalog?query=${encodeURIComponent(id)}`);
  useEffect(() => setProduct(kept), [kept]);
  if (!product || !catalogue) return <Loading />;
  const units = minorUnits(catalogue.currency);
  const variant = (place: number, changed: Partial<ShopProduct["variants"][number]>) =>
    setProduct({ ...product, variants: product.variants.map((each, at) => (at === place ? { ...each, ...changed } : each)) });
  return (
    <Form title={local(product.title)} back="#/catalogue" save={() => call("PUT", `/products/${encodeURIComponent(id)}`, product)}>
      <Texts name={say("title")} value={product.title} change={(title) => setProduct({ ...product, title })} />
      <Texts name={say("description")} value={product.description ?? ""} change={(description) => setProduct({ ...product, description })} long />
      <table>
        <thead>
          <tr>
            <th>{say("variant")}</th>
            <th>
              {say("price")} ({catalogue.currency})
            </th>
            <th>{say("stock")}</th>
          </tr>
        </thead>
        <tbody>
          {product.variants.map((each, place) => {
            const name = Object.values(each.options).join(", ") || each.id;
            return (
              <tr key={each.id}>
                <th scope="row">{name}</th>
                <td>
                  <input
                    type="number"
                    min={0}
                    step={1 / units}
                    aria-label={`${say("price")} (${catalogue.currency}): ${name}`}
                    value={each.price_cents === null ? "" : (each.price_cents / units).toFixed(Math.log10(units))}
                    onChange={(event) =>
                      variant(place, { price_cents: event.currentTarget.value === "" ? null : Math.round(event.currentTarget.valueAsNumber * units) })
                    }
                  />
                </td>
                <td>
                  <input
                    type="number"
                    min={0}
                    step={1}
                    aria-label={`${say("stock")}: ${name}`}
                    value={each.stock ?? ""}
                    onChange={(event) => variant(place, { stock: event.currentTarget.value === "" ? null : event.currentTarget.valueAsNumber })}
                  />
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </Form>
  );
}

export function RulesPage({ chosen }: { chosen: string | null }) {
  const [asked, setAsked] = useState("");
  const [found, again] = useFetched<Catalogue>(chosen ? null : `/catalog?query=${encodeURIComponent(asked)}`);
  if (chosen === "policy.yaml") return <PolicyForm />;
  if (chosen === "new") return <NewAnswer />;
  if (chosen) return <ClauseForm id={chosen} />;
  return (
    <div class="page">
      <header class="bar">
        <h1>{say("rules")}</h1>
        <span class="space" />
        <Search search={setAsked} />
      </header>
      <p class="line">
        <a href="#/rules/new">{say("newAnswer")}</a>
        <a href="#/rules/policy.yaml">{say("policy")}</a>
      </p>
      <Import formats={["faq", "policies"]} done={again} />
      <section class="card">
        {!found ? (
          <Loading />
        ) : (
          <table>
            <tbody>
              {found.clauses.map((clause) => (
                <tr key={clause.id}>
                  <td>
                    <a href={`#/rules/${clause.id}`}>{local(clause.title)}</a> <small>{clause.id}</small>
                  </td>
                  <td>
                    <span class="tag">{say(clause.kind === "faq" ? "faq" : "rule")}</span>
                  </td>
                  <td class="quiet">
                    <time>{clause.effective_from}</time> {clause.effective_to && <time>– {clause.effective_to}</time>}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </section>
    </div>
  );
}

function ClauseForm({ id }: { id: string }) {
  const [kept] = useFetched<ShopClause>(`/clauses/${encodeURIComponent(id)}`);
  const [clause, setClause] = useState<ShopClause | null>(null);
  useEffect(() => setClause(kept), [kept]);
  if (!clause) return <Loading />;
  return (
    <Form title={`${local(clause.title)} · ${id}`} back="#/rules" save={() => call("PUT", `/clauses/${encodeURIComponent(id)}`, clause)}>
      <Texts name={say("title")} value={clause.title} change={(title) => setClause({ ...clause, title })} />
      <Texts name={say("text")} value={clause.text} change={(text) => setClause({ ...clause, text })} long />
    </Form>
  );
}

/** An answer that the shop does not have yet; its id is made of its English title. */
function NewAnswer() {
  const [title, setTitle] = useState<LocalText>({});
  const [text, setText] = useState<LocalText>({});
  const save = async () => {
    const id = `faq-${crypto.randomUUID().slice(0, 8)}`;
    await call("PUT", `/clauses/${id}`, { id, kind: "faq", topic: "general", title, text, questions: [] });
    location.hash = `#/rules/${id}`;
  };
  return (
    <Form title={say("newAnswer")} back="#/rules" save={save}>
      <Texts name={say("question")} value={title} change={setTitle} />
      <Texts name={say("text")} value={text} change={setText} long />
    </Form>
  );
}

/** The rules that decide, as their file has them. */
function PolicyForm() {
  const [kept] = useFetched<{ text: string }>("/policy");
  const [text, setText] = useState<string | null>(null);
  const [fits, setFits] = useState(false);
  useEffect(() => setText(kept?.text ?? null), [kept]);
  if (text === null) return <Loading />;
  const put = (preview: boolean) => call("PUT", "/policy", { text, preview });
  return (
    <Form title={say("policy")} back="#/rules" save={() => put(false)}>
      <p class="quiet">{say("policyHelp")}</p>
      <textarea
        class="code"
        rows={28}
        spellcheck={false}
        aria-label={say("policy")}
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setFits(false);
        }}
      />
      <p class="line">
        <button type="button" onClick={() => void attempt(() => put(true)).then(setFits)}>
          {say("check")}
        </button>
        <span role="status">{fits && say("fits")}</span>
      </p>
    </Form>
  );
}

function Form({ title, back, save, children }: { title: string; back: string; save: () => Promise<unknown>; children: preact.ComponentChildren }) {
  const [saved, setSaved] = useState(false);
  return (
    <form
      class="page"
      onInput={() => setSaved(false)}
      onSubmit={(event) => {
        event.preventDefault();
        void attempt(save).then(setSaved);
      }}
    >
      <header class="bar">
        <a href={back}>← {say("back")}</a>
        <h1>{title}</h1>
        <span class="space" />
        <span role="status">{saved && say("saved")}</span>
        <button type="submit" class="main">
          {say("save")}
        </button>
      </header>
      <section class="card fields">{children}</section>
    </form>
  );
}

/** One text in both languages. */
function Texts({ name, value, change, long = false }: { name: string; value: LocalText; change: (value: LocalText) => void; long?: boolean }) {
  const both = typeof value === "string" ? { en: value } : value;
  return (
    <div class="texts">
      {(["en", "zh"] as const).map((each) => {
        const rest = {
          value: both[each] ?? "",
          lang: each,
          onInput: (event: preact.TargetedEvent<HTMLInputElement | HTMLTextAreaElement>) => change({ ...both, [each]: event.currentTarget.value || null }),
        };
        return (
          <label key={each}>
            {name} ({say(each === "en" ? "english" : "chinese")}){long ? <textarea rows={4} {...rest} /> : <input {...rest} />}
          </label>
        );
      })}
    </div>
  );
}
