/** Products, answers and rules as files: a preview first, then the change. */

import { useState } from "preact/hooks";
import { attempt, call } from "./api";
import type { Imported } from "./wire";
import { named, say } from "./words";

/** What a file would change, and then, if it is wanted, that change. `done` is called after it. */
export function Import({ formats, done }: { formats: readonly string[]; done: () => void }) {
  const [file, setFile] = useState<File | null>(null);
  const [format, setFormat] = useState(formats[0]!);
  const [told, setTold] = useState<Imported | null>(null);
  const [busy, setBusy] = useState(false);
  const send = async (preview: boolean) => {
    setBusy(true);
    await attempt(async () => {
      const form = new FormData();
      form.append("file", file!);
      setTold(await call<Imported>("POST", `/import?format=${format}&preview=${preview}`, form));
      if (!preview) done();
    });
    setBusy(false);
  };
  const changes = told ? told.changes.added.length + told.changes.changed.length : 0;
  return (
    <details class="card import">
      <summary>{say("import")}</summary>
      <p class="quiet">{say("importHelp")}</p>
      <form class="line" onSubmit={(event) => { event.preventDefault(); void send(true); }}>
        <label>
          {say("format")}{" "}
          <select value={format} onChange={(event) => { setFormat(event.currentTarget.value); setTold(null); }}>
            {formats.map((each) => (
              <option key={each} value={each}>
                {each === "faq" ? say("faqFile") : each === "policies" ? say("policiesFile") : each}
              </option>
            ))}
          </select>
        </label>
        <label>
          {say("file")} <input type="file" required onChange={(event) => { setFile(event.currentTarget.files?.[0] ?? null); setTold(null); }} />
        </label>
        <button type="submit" class="main" disabled={!file || busy}>
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
          <Names title={say("missing")} names={told.changes.missing} />
          <Names title={say("rejected")} names={told.rejected.map((each) => `${each.line}: ${each.why}`)} />
          {told.is_done ? (
            <p>{say("imported")}</p>
          ) : changes === 0 ? (
            <p>{say("noChange")}</p>
          ) : (
            <button type="button" class="main" disabled={busy} onClick={() => void send(false)}>
              {say(busy ? "importing" : "importNow", { n: changes })}
            </button>
          )}
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
