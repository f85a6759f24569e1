/** The shop's own data: products, rules and answers, and imports with a preview. */

import { useEffect, useState } from "preact/hooks";
import { attempt, call } from "./api";
import { Loading, local, Nothing, Search, useFetched } from "./parts";
import type { Catalogue, Imported, LocalText, ShopClause, ShopProduct } from "./wire";
import { language, named, say } from "./words";

export function CataloguePage({ chosen }: { chosen: string | null }) {
  const [asked, setAsked] = useState("");
  const [found] = useFetched<Catalogue>(chosen ? null : `/catalog?query=${encodeURIComponent(asked)}`);
  if (chosen) return <ProductForm id={chosen} />;
  return (
    <div class="page">
      <header class="bar">
        <h1>{say("catalogue")}</h1>
        <span class="space" />
        <Search search={setAsked} />
      </header>
      <ImportPreview />
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
  const [found] = useFetched<Catalogue>(chosen ? null : `/catalog?query=${encodeURIComponent(asked)}`);
  if (chosen) return <ClauseForm id={chosen} />;
  return (
    <div class="page">
      <header class="bar">
        <h1>{say("rules")}</h1>
        <span class="space" />
        <Search search={setAsked} />
      </header>
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
                  <td class="quiet">{[clause.effective_from, clause.effective_to].filter(Boolean).join(" – ")}</td>
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

const FORMATS = ["jsonl", "shopify", "woocommerce", "google-merchant", "json-ld"];

/** What `storehand import` would do with a file; nothing is changed from here. */
function ImportPreview() {
  const [file, setFile] = useState<File | null>(null);
  const [format, setFormat] = useState(FORMATS[0]!);
  const [told, setTold] = useState<Imported | null>(null);
  const preview = () =>
    attempt(async () => {
      const form = new FormData();
      form.append("file", file!);
      setTold(await call<Imported>("POST", `/import?format=${format}&preview=true`, form));
    });
  return (
    <details class="card import">
      <summary>{say("import")}</summary>
      <p class="quiet">{say("importHelp")}</p>
      <form class="line" onSubmit={(event) => { event.preventDefault(); void preview(); }}>
        <label>
          {say("format")}{" "}
          <select value={format} onChange={(event) => { setFormat(event.currentTarget.value); setTold(null); }}>
            {FORMATS.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </label>
        <label>
          {say("file")} <input type="file" required onChange={(event) => { setFile(event.currentTarget.files?.[0] ?? null); setTold(null); }} />
        </label>
        <button type="submit" class="main" disabled={!file}>
          {say("preview")}
        </button>
      </form>
      {told && (
        <div role="status">
          <p>
            {Object.entries(told.accepted)
              .map(([kind, count]) => `${named(kind)}: ${count}`)
              .join(" · ")}
          </p>
          <Names title={say("added")} names={told.changes.added} />
          <Names title={say("changed")} names={told.changes.changed} />
          <Names title={say("removed")} names={told.changes.removed} />
          <Names title={say("rejected")} names={told.rejected.map((each) => `${each.line}: ${each.why}`)} />
        </div>
      )}
    </details>
  );
}

function Names({ title, names }: { title: string; names: string[] }) {
  if (names.length === 0) return null;
  return (
    <details>
      <summary>
        {title} ({names.length})
      </summary>
      <ul class="plain">
        {names.map((name) => (
          <li key={name}>{name}</li>
        ))}
      </ul>
    </details>
  );
}
