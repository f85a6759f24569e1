/** How the assistant does: numbers, plots drawn as SVG, and what is missing from the shop, ranked. */

import { useState } from "preact/hooks";
import { Loading, Nothing, useFetched } from "./parts";
import type { Analytics } from "./wire";
import { language, named, say } from "./words";

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
        <Tile name={say("thumbs")} figure={percent(told.thumbs.up, thumbs)} more={`👍 ${told.thumbs.up} · 👎 ${told.thumbs.down}`} />
        <Tile name={say("firstWord")} figure={seconds(firstWord.p50)} more={say("p95", { n: seconds(firstWord.p95) })} />
        <Tile name={say("whole")} figure={seconds(whole.p50)} more={say("p95", { n: seconds(whole.p95) })} />
      </div>
      <section class="card">
        <h2>{say("volume")}</h2>
        <Volume volume={everyDay(told.volume, days)} />
      </section>
      <div class="columns">
        <Ranked title={say("topics")} rows={told.topics.map((each) => [named(each.tool), each.count])} />
        <Ranked title={say("reasons")} rows={told.handedOver.map((each) => [named(each.why), each.count])} />
        <Ranked title={say("emptySearches")} rows={told.emptySearches.map((each) => [each.words, each.count])} />
        <Ranked title={say("noAnswer")} rows={told.unanswered.map((each) => [each.question, each.count])} />
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

const WIDTH = 720;
const HEIGHT = 180;

/** The last days, with those on which nobody wrote; days are UTC's, as the server counts them. */
function everyDay(volume: Analytics["volume"], days: number): Analytics["volume"] {
  const told = new Map(volume.map((each) => [each.day, each]));
  return Array.from({ length: days }, (_, place) => {
    const day = new Date(Date.now() - (days - 1 - place) * 86_400_000).toISOString().slice(0, 10);
    return told.get(day) ?? { day, conversations: 0, messages: 0 };
  });
}

/** A bar a day; its title tells both numbers. */
function Volume({ volume }: { volume: Analytics["volume"] }) {
  const most = Math.max(2, ...volume.map((each) => each.conversations));
  const step = WIDTH / volume.length;
  const date = (day: string) => new Date(`${day}T12:00`).toLocaleDateString(language.value, { day: "numeric", month: "short" });
  return (
    <figure class="plot">
      <svg viewBox={`-34 -8 ${WIDTH + 34} ${HEIGHT + 30}`} role="img" aria-label={say("volume")}>
        {[0, 0.5, 1].map((share) => (
          <g key={share}>
            <line class="grid" x1="0" x2={WIDTH} y1={HEIGHT * (1 - share)} y2={HEIGHT * (1 - share)} />
            <text x="-8" y={HEIGHT * (1 - share) + 4} text-anchor="end">
              {Number((most * share).toFixed(1))}
            </text>
          </g>
        ))}
        {volume.map((each, place) => {
          const height = (each.conversations / most) * HEIGHT;
          return (
            <g key={each.day}>
              <rect class="bar" x={place * step + step * 0.15} width={step * 0.7} y={HEIGHT - height} height={height} rx={Math.min(4, step * 0.2)}>
                <title>{`${date(each.day)}: ${each.conversations} · ${each.messages} ${say("messages")}`}</title>
              </rect>
              {place % Math.ceil(volume.length / 8) === 0 && (
                <text x={place * step + step / 2} y={HEIGHT + 18} text-anchor="middle">
                  {date(each.day)}
                </text>
              )}
            </g>
          );
        })}
      </svg>
      <table class="unseen">
        <caption>{say("volume")}</caption>
        <tbody>
          {volume.map((each) => (
            <tr key={each.day}>
              <th scope="row">{date(each.day)}</th>
              <td>{each.conversations}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </figure>
  );
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
  return value === null ? "–" : say("seconds", { n: value.toFixed(1) });
}
