/** How the assistant does: numbers, plots, and what is missing from the shop, ranked. */

import { useState } from "preact/hooks";
import { Loading, Nothing, useFetched } from "./parts";
import { Bars, Lines } from "./plots";
import type { Analytics } from "./wire";
import { named, say } from "./words";

const PERIODS = [7, 30, 90];

export function AnalyticsPage() {
  const [days, setDays] = useState(30);
  const [told] = useFetched<Analytics>(`/analytics?days=${days}`);
  return (
    <div class="page">
      <header class="bar">
        <h1>{say("analytics")}</h1>
        <span class="space" />
        <select value={days} aria-label={say("days", { n: days })} onChange={(event) => setDays(Number(event.currentTarget.value))}>
          {PERIODS.map((each) => (
            <option key={each} value={each}>
              {say("days", { n: each })}
            </option>
          ))}
        </select>
      </header>
      {told ? <Told told={told} days={days} /> : <Loading />}
    </div>
  );
}

function Told({ told, days }: { told: Analytics; days: number }) {
  const conversations = told.volume.reduce((sum, each) => sum + each.conversations, 0);
  const handed = told.handedOver.reduce((sum, each) => sum + each.count, 0);
  const thumbs = told.thumbs.up + told.thumbs.down;
  const { firstWord, whole } = told.seconds;
  return (
    <>
      <div class="tiles">
        <Tile name={say("conversations")} figure={String(conversations)} />
        <Tile name={say("resolved")} figure={percent(told.resolved, conversations)} />
        <Tile name={say("handovers")} figure={String(handed)} more={percent(handed, conversations)} />
        <Tile name={say("thumbs")} figure={percent(told.thumbs.up, thumbs)} more={`${told.thumbs.up} ${say("up")} · ${told.thumbs.down} ${say("down")}`} />
        <Tile name={say("firstWord")} figure={seconds(firstWord.p50)} more={say("p95", { n: seconds(firstWord.p95) })} />
        <Tile name={say("whole")} figure={seconds(whole.p50)} more={say("p95", { n: seconds(whole.p95) })} />
      </div>
      <Days volume={everyDay(told.volume, days)} />
      <div class="columns">
        <Ranked title={say("topics")} rows={told.topics.map((each) => [named(each.tool), each.count])} />
        <Ranked title={say("reasons")} rows={told.handedOver.map((each) => [named(each.why), each.count])} />
        <Ranked title={say("emptySearches")} rows={told.emptySearches.map((each) => [each.words, each.count])} />
        <Ranked title={say("noAnswer")} rows={told.unanswered.map((each) => [each.question, each.count])} />
      </div>
    </>
  );
}

function Days({ volume }: { volume: Analytics["volume"] }) {
  const days = volume.map((each) => each.day);
  return (
    <>
      <Bars
        title={say("volume")}
        days={days}
        wide={!matchMedia("(max-width: 40rem)").matches}
        series={[
          { name: say("resolved"), look: "bar", values: volume.map((each) => Math.max(0, each.conversations - each.handedOver)) },
          { name: say("handovers"), look: "other", values: volume.map((each) => each.handedOver) },
        ]}
      />
      <div class="columns">
        <Lines
          title={say("firstWordDays")}
          days={days}
          series={[
            { name: say("median"), look: "bar", values: volume.map((each) => each.firstWord.p50) },
            { name: say("slowest"), look: "other", values: volume.map((each) => each.firstWord.p95) },
          ]}
          told={seconds}
        />
        <Bars
          title={say("thumbsDays")}
          days={days}
          series={[
            { name: say("up"), look: "bar", values: volume.map((each) => each.up) },
            { name: say("down"), look: "bad", values: volume.map((each) => each.down) },
          ]}
        />
      </div>
    </>
  );
}

function Tile({ name, figure, more }: { name: string; figure: string; more?: string }) {
  return (
    <section class="tile">
      <h2>{name}</h2>
      <p class="figure">{figure}</p>
      {more && <p class="quiet">{more}</p>}
    </section>
  );
}

/** The last days, with those on which nobody wrote; days are UTC's, as the server counts them. */
function everyDay(volume: Analytics["volume"], days: number): Analytics["volume"] {
  const told = new Map(volume.map((each) => [each.day, each]));
  return Array.from({ length: days }, (_, place) => {
    const day = new Date(Date.now() - (days - 1 - place) * 86_400_000).toISOString().slice(0, 10);
    return told.get(day) ?? { day, conversations: 0, messages: 0, handedOver: 0, up: 0, down: 0, firstWord: { p50: null, p95: null } };
  });
}

const MOST_ROWS = 12;

function Ranked({ title, rows }: { title: string; rows: [string, number][] }) {
  const sorted = rows.toSorted((one, other) => other[1] - one[1]).slice(0, MOST_ROWS);
  const most = sorted[0]?.[1] ?? 1;
  return (
    <section class="card">
      <h2>{title}</h2>
      {sorted.length === 0 && <Nothing />}
      <ol class="ranked">
        {sorted.map(([name, count]) => (
          <li key={name}>
            <span class="name">{name}</span>
            <span class="count">{count}</span>
            <svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
              <rect class="rest" width="100" height="4" rx="2" />
              <rect class="bar" width={(count / most) * 100} height="4" rx="2" />
            </svg>
          </li>
        ))}
      </ol>
    </section>
  );
}

function percent(part: number, whole: number): string {
  return whole ? `${Math.round((part / whole) * 100)} %` : "–";
}

function seconds(value: number | null): string {
  return value === null ? "–" : say("seconds", { n: value.toFixed(value < 10 ? 1 : 0) });
}
