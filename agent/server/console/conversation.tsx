/** One conversation as staff see it: what was handed over, what was said, and how each answer came about. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { fromMarkdown } from "../widget/safe";
import { attempt, call, download, request, staff } from "./api";
import { Loading, nameOf, time, useFetched } from "./parts";
import type { Conversation, Packet, Said, Trace } from "./wire";
import { named, say } from "./words";

/** `news` grows when something may have been said in it. */
export function ConversationPage({ id, news }: { id: string; news: number }) {
  const [conversation, again] = useFetched<Conversation>(`/conversations/${encodeURIComponent(id)}`);
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (news) again();
  }, [news]);
  useEffect(() => end.current?.scrollIntoView({ block: "end" }), [conversation?.messages.length]);
  if (!conversation) return <Loading />;
  const act = (verb: string, body: Record<string, unknown> = {}) =>
    attempt(() => call("POST", `/conversations/${encodeURIComponent(id)}/${verb}`, body)).then((worked) => {
      if (worked) again();
      return worked;
    });
  const scenario = () =>
    attempt(async () => {
      const answer = await request("GET", `/conversations/${encodeURIComponent(id)}/scenario`);
      download(`${id}.yaml`, await answer.text(), "application/yaml");
    });
  const { state, staff: holder, customer, packet } = conversation;
  const mine = state === "held" && holder === staff.value?.name;
  const said = [...conversation.messages, ...conversation.notes.map((note) => ({ ...note, role: "note" as const }))];
  return (
    <article class="conversation">
      <header class="bar">
        <h2>{nameOf(customer)}</h2>
        {state !== "none" && <span class={`badge ${state}`}>{holder ? say("held", { staff: holder }) : say("waiting")}</span>}
        <span class="space" />
        {state !== "none" && !mine && (
          <button type="button" class="main" onClick={() => void act("take", holder ? { insteadOf: holder } : {})}>
            {holder ? say("takeFrom", { staff: holder }) : say("take")}
          </button>
        )}
        {(mine || state === "waiting") && (
          <button type="button" onClick={() => void act("close")}>
            {say("close")}
          </button>
        )}
        <button type="button" onClick={() => void scenario()}>
          {say("scenario")}
        </button>
      </header>
      <div class="transcript" tabIndex={0} role="log" aria-label={say("conversations")}>
        {packet && <PacketCard packet={packet} />}
        {said
          .toSorted((one, other) => Date.parse(one.at) - Date.parse(other.at))
          .map((message) => (
            <OneSaid key={message.id} message={message} />
          ))}
        <div ref={end} />
      </div>
      {mine && <Answer act={act} />}
    </article>
  );
}

function PacketCard({ packet }: { packet: Packet }) {
  // That it was handed over is what the card is about.
  const steps = packet.steps.filter((each) => each.tool !== "hand_to_human");
  const facts = packet.facts.filter((each) => each.source !== "hand-over");
  return (
    <section class="packet">
      <h3>{say("packet")}</h3>
      <dl>
        <dt>{say("goal")}</dt>
        <dd>{packet.goal}</dd>
        <dt>{say("why")}</dt>
        <dd>{named(packet.why)}</dd>
        {steps.length > 0 && (
          <>
            <dt>{say("tried")}</dt>
            <dd>
              <ul>
                {steps.map((step, place) => (
                  <li key={place}>
                    <strong>{named(step.tool)}</strong>
                    {asked(step.arguments)} <span class="outcome">{step.outcome}</span>
                    {step.declined && <span class="tag">{say("declined")}</span>}
                  </li>
                ))}
              </ul>
            </dd>
          </>
        )}
        {facts.length > 0 && (
          <>
            <dt>{say("facts")}</dt>
            <dd>
              <ul>
                {facts.map((fact, place) => (
                  <li key={place}>
                    {fact.text} <small>{fact.source}</small>
                  </li>
                ))}
              </ul>
            </dd>
          </>
        )}
      </dl>
    </section>
  );
}

/** What a tool was asked, in the customer's words. */
function asked({ question, query }: Record<string, unknown>): string {
  const words = question ?? query;
  return typeof words === "string" ? ` “${words}”` : "";
}

function OneSaid({ message }: { message: Said }) {
  const text = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => text.current?.replaceChildren(fromMarkdown(message.text)), [message.text]);
  const who = { customer: say("customer"), agent: say("agent"), staff: message.staff ?? say("staff"), note: `${say("note")} · ${message.staff ?? ""}` }[message.role];
  return (
    <section class={`said ${message.role}`}>
      <p class="who">
        {who} <time dateTime={message.at}>{time(message.at)}</time>
        {message.thumb && <span class="tag">{say(message.thumb)}</span>}
      </p>
      {message.upload && <p class="quiet">[{message.upload.kind}]</p>}
      {message.role === "customer" ? <p class="words">{message.text}</p> : <div class="words prose" ref={text} />}
      {message.products && message.products.length > 0 && <p class="quiet">{message.products.map((each) => `${each.title} (${each.price.text})`).join(" · ")}</p>}
      {message.quote && (
        <p class="quote">
          <strong>{message.quote.title}</strong> {message.quote.lines.map((line) => line.replace(/^[-*•]\s+/, "")).join(" · ")} {message.quote.total?.text}
        </p>
      )}
      {message.trace && <TraceOf trace={message.trace} />}
    </section>
  );
}

function TraceOf({ trace }: { trace: Trace }) {
  const seconds = Object.entries(trace.seconds);
  const longest = Math.max(...seconds.map(([, each]) => each), 0.001);
  return (
    <details class="trace">
      <summary>
        {say("trace")}: <strong>{named(trace.chosen ?? "reply")}</strong>
        {trace.share !== null && ` · ${say("sure", { share: `${Math.round(trace.share * 100)} %` })}`}
        {trace.seconds.total !== undefined && ` · ${say("seconds", { n: trace.seconds.total.toFixed(2) })}`}
      </summary>
      <ol>
        <li>
          <h4>{say("allowed")}</h4>
          <p class="tags">
            {trace.allowed.map((tool) => (
              <span key={tool} class={tool.split(" ")[0] === trace.chosen ? "tag chosen" : "tag"}>
                {tool.split(" ").map(named).join(" ")}
              </span>
            ))}
          </p>
        </li>
        {trace.why.length > 0 && (
          <li>
            <h4>{say("seen")}</h4>
            <ul>
              {trace.why.map((line, place) => (
                <li key={place}>{line}</li>
              ))}
            </ul>
          </li>
        )}
        {trace.steps.map((step, place) => (
          <li key={place}>
            <h4>{named(step.tool)}</h4>
            {Object.keys(step.arguments).length > 0 && <pre>{JSON.stringify(step.arguments, null, 1)}</pre>}
            <ul>
              {step.facts.map((fact, number) => (
                <li key={number}>
                  {fact.text} <small>{fact.source}</small>
                </li>
              ))}
            </ul>
          </li>
        ))}
        <li>
          <h4>{say("checked")}</h4>
          <p>
            {trace.promises.checked}, {say("replaced", { n: trace.promises.replaced })}
          </p>
        </li>
        <li>
          <h4>
            {say("took")} · {say("calls")}: {trace.modelCalls}
          </h4>
          <ul class="durations">
            {seconds.map(([part, each]) => (
              <li key={part}>
                <span>{named(part)}</span>
                <meter min={0} max={longest} value={each} aria-label={part} />
                <span>{say("seconds", { n: each.toFixed(2) })}</span>
              </li>
            ))}
          </ul>
        </li>
      </ol>
    </details>
  );
}

function Answer({ act }: { act: (verb: string, body?: Record<string, unknown>) => Promise<boolean> }) {
  const [kind, setKind] = useState<"reply" | "note" | "giveBack">("reply");
  const [text, setText] = useState("");
  const send = async () => {
    const words = text.trim();
    if (!words && kind !== "giveBack") return;
    if (await act(kind, kind === "giveBack" ? { note: words } : { text: words })) setText("");
  };
  const placeholder = { reply: "writeReply", note: "writeNote", giveBack: "giveBackNote" } as const;
  const button = { reply: "sendReply", note: "saveNote", giveBack: "giveBack" } as const;
  return (
    <form class={`answer ${kind}`} onSubmit={(event) => { event.preventDefault(); void send(); }}>
      <div class="tabs" role="group">
        {(["reply", "note", "giveBack"] as const).map((each) => (
          <button key={each} type="button" aria-pressed={kind === each} onClick={() => setKind(each)}>
            {say(each)}
          </button>
        ))}
      </div>
      <textarea
        rows={3}
        value={text}
        aria-label={say(kind)}
        placeholder={say(placeholder[kind])}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void send();
        }}
      />
      <button type="submit" class="main">
        {say(button[kind])}
      </button>
    </form>
  );
}
