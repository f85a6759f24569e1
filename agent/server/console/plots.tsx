/** A day's numbers beside those of the other days, drawn as SVG; the same numbers stand in a table for those who do not see it. */

import { language } from "./words";

const WIDE = 760;
const NARROW = 360;
const HEIGHT = 160;

export interface Series {
  name: string;
  /** Its colour, by a class of the style sheet. */
  look: "bar" | "other" | "bad";
  /** One a day; null where there is none. */
  values: (number | null)[];
}

interface Plot {
  title: string;
  days: string[];
  series: Series[];
  /** How a number is said. */
  told?: (value: number) => string;
  /** Has the page's width for itself. */
  wide?: boolean;
}

/** The parts of a day's sum, one on top of the other. */
export function Bars({ title, days, series, told = String, wide = false }: Plot) {
  // Even, so that the half of it is a whole number too.
  const most = 2 * Math.ceil(Math.max(2, ...days.map((_, place) => series.reduce((sum, each) => sum + (each.values[place] ?? 0), 0))) / 2);
  const step = (wide ? WIDE : NARROW) / days.length;
  return (
    <Frame title={title} days={days} series={series} told={told} wide={wide} most={most}>
      {days.map((day, place) => {
        let below = 0;
        return (
          <g key={day}>
            {series.map((each) => {
              const height = ((each.values[place] ?? 0) / most) * HEIGHT;
              below += height;
              return height > 0 && <rect key={each.look} class={each.look} x={place * step + step * 0.15} width={step * 0.7} y={HEIGHT - below} height={height} />;
            })}
            <Hover day={day} place={place} step={step} series={series} told={told} />
          </g>
        );
      })}
    </Frame>
  );
}

/** The next 1, 2, 5 or 10 of its size. */
function rounded(value: number): number {
  const size = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((each) => each * size >= value)! * size;
}

/** A point a day, joined; days without one are passed over. */
export function Lines({ title, days, series, told = String, wide = false }: Plot) {
  const most = rounded(Math.max(0.5, ...series.flatMap((each) => each.values.map((value) => value ?? 0))));
  const step = (wide ? WIDE : NARROW) / days.length;
  return (
    <Frame title={title} days={days} series={series} told={told} wide={wide} most={most}>
      {series.map((each) => {
        const points = each.values.flatMap((value, place) => (value === null ? [] : [[place * step + step / 2, HEIGHT * (1 - value / most)] as const]));
        return (
          <g key={each.look} class={`line ${each.look}`}>
            <polyline points={points.map((point) => point.join(",")).join(" ")} />
            {points.map(([x, y]) => (
              <circle key={x} cx={x} cy={y} r="3" />
            ))}
          </g>
        );
      })}
      {days.map((day, place) => (
        <Hover key={day} day={day} place={place} step={step} series={series} told={told} />
      ))}
    </Frame>
  );
}

/** The day's whole strip, which says its numbers when it is pointed at. */
function Hover({ day, place, step, series, told }: { day: string; place: number; step: number; series: Series[]; told: (value: number) => string }) {
  const numbers = series.flatMap((each) => (each.values[place] == null ? [] : [`${each.name}: ${told(each.values[place])}`]));
  return (
    <rect class="hover" x={place * step} width={step} y="0" height={HEIGHT}>
      <title>{[date(day), ...numbers].join("\n")}</title>
    </rect>
  );
}

function Frame({ title, days, series, told = String, wide, most, children }: Plot & { most: number; children: preact.ComponentChildren }) {
  const width = wide ? WIDE : NARROW;
  const step = width / days.length;
  return (
    <section class="card">
      <h2>{title}</h2>
      <ul class="legend">
        {series.map((each) => (
          <li key={each.look} class={each.look}>
            {each.name}
          </li>
        ))}
      </ul>
      <figure class="plot">
        <svg viewBox={`-44 -8 ${width + 44} ${HEIGHT + 30}`} role="img" aria-label={title}>
          {[0, 0.5, 1].map((share) => (
            <g key={share}>
              <line class="grid" x1="0" x2={width} y1={HEIGHT * (1 - share)} y2={HEIGHT * (1 - share)} />
              <text x="-8" y={HEIGHT * (1 - share) + 4} text-anchor="end">
                {told(Number((most * share).toFixed(1)))}
              </text>
            </g>
          ))}
          {children}
          {days.map(
            (day, place) =>
              place % Math.ceil(days.length / (wide ? 8 : 4)) === 0 && (
                <text key={day} x={place * step + step / 2} y={HEIGHT + 18} text-anchor="middle">
                  {date(day)}
                </text>
              ),
          )}
        </svg>
        <table class="unseen">
          <caption>{title}</caption>
          <thead>
            <tr>
              <td />
              {series.map((each) => (
                <th key={each.look} scope="col">
                  {each.name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {days.map((day, place) => (
              <tr key={day}>
                <th scope="row">{date(day)}</th>
                {series.map((each) => (
                  <td key={each.look}>{each.values[place] == null ? "–" : told(each.values[place])}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </figure>
    </section>
  );
}

function date(day: string): string {
  return new Date(`${day}T12:00`).toLocaleDateString(language.value, { day: "numeric", month: "short" });
}
