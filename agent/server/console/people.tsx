/** Sentences to label, and what is kept of a customer. */

import { useState } from "preact/hooks";
import { attempt, call, download, request } from "./api";
import { Loading, Nothing, useFetched } from "./parts";
import type { Review } from "./wire";
import { named, say } from "./words";

/** What `storehand review` takes: a tool, or a reply of some kind. */
const LABELS = [
  "search_products",
  "identify_product",
  "recommend_products",
  "answer_from_policy",
  "advise_size",
  "track_order",
  "quote_return",
  "quote_exchange",
  "quote_cancellation",
  "quote_order_change",
  "quote_address_change",
  "hand_to_human",
  ...["greeting", "thanks", "goodbye", "agree", "about_me", "out_of_scope", "unclear"].map((talk) => `reply:${talk}`),
];

export function ReviewPage() {
  const [list, again] = useFetched<Review[]>("/review");
  const label = (id: number, name: string) => attempt(() => call("POST", "/review", { id, label: name })).then(again);
  return (
    <div class="page">
      <header class="bar">
        <h1>{say("review")}</h1>
      </header>
      <p class="quiet">{say("reviewHelp")}</p>
      {!list ? <Loading /> : list.length === 0 ? <Nothing /> : null}
      {list?.map((each) => (
        <section key={each.id} class="card sentence">
          <p lang={each.language}>“{each.said}”</p>
          <p class="quiet">
            {[...each.reasons.map(named), each.times > 1 && `× ${each.times}`, each.comment && `“${each.comment}”`].filter(Boolean).join(" · ")}
          </p>
          <div class="line">
            {likeliest(each.shares).map(([name, share]) => (
              <button key={name} type="button" onClick={() => void label(each.id, name)}>
                {named(name)} <small>{Math.round(share * 100)} %</small>
              </button>
            ))}
            <select aria-label={say("label")} value="" onChange={(event) => void label(each.id, event.currentTarget.value)}>
              <option value="" disabled>
                {say("label")} …
              </option>
              {LABELS.map((name) => (
                <option key={name} value={name}>
                  {named(name)}
                </option>
              ))}
            </select>
            <button type="button" class="quiet-button" onClick={() => void label(each.id, "drop")}>
              {say("skip")}
            </button>
          </div>
        </section>
      ))}
    </div>
  );
}

function likeliest(shares: Record<string, number>): [string, number][] {
  return Object.entries(shares)
    .filter(([name, share]) => LABELS.includes(name) && share >= 0.01)
    .toSorted((one, other) => other[1] - one[1])
    .slice(0, 2);
}

export function CustomersPage() {
  const [id, setId] = useState("");
  const [asking, setAsking] = useState(false);
  const [again, setAgain] = useState("");
  const [receipt, setReceipt] = useState<string | null>(null);
  const path = `/customers/${encodeURIComponent(id.trim())}`;
  const exported = () =>
    attempt(async () => download(`${id.trim()}.json`, await (await request("GET", `${path}/export`)).text(), "application/json"));
  const erase = () =>
    attempt(async () => {
      setReceipt(JSON.stringify(await call("DELETE", path), null, 2));
      setAsking(false);
      setAgain("");
    });
  return (
    <div class="page">
      <header class="bar">
        <h1>{say("customers")}</h1>
      </header>
      <p class="quiet">{say("customerHelp")}</p>
      <section class="card fields">
        <label>
          {say("customerId")}
          <input value={id} onInput={(event) => { setId(event.currentTarget.value); setAsking(false); setReceipt(null); }} />
        </label>
        <p class="line">
          <button type="button" disabled={!id.trim()} onClick={() => void exported()}>
            {say("export")}
          </button>
          <button type="button" class="danger" disabled={!id.trim()} onClick={() => setAsking(true)}>
            {say("erase")}
          </button>
        </p>
        {asking && (
          <form class="fields" onSubmit={(event) => { event.preventDefault(); void erase(); }}>
            <label>
              {say("eraseSure")}
              <input value={again} autoComplete="off" onInput={(event) => setAgain(event.currentTarget.value)} />
            </label>
            <p class="line">
              <button type="submit" class="danger" disabled={again.trim() !== id.trim()}>
                {say("eraseNow")}
              </button>
            </p>
          </form>
        )}
        {receipt && (
          <div role="status">
            <h2>{say("receipt")}</h2>
            <pre>{receipt}</pre>
            <button type="button" onClick={() => download(`receipt-${id.trim()}.json`, receipt, "application/json")}>
              {say("download")}
            </button>
          </div>
        )}
      </section>
    </div>
  );
}
