/** Who waits for a person or is helped by one, and all conversations. */

import { useEffect, useRef, useState } from "preact/hooks";
import { attempt, get } from "./api";
import { ConversationPage } from "./conversation";
import { Loading, nameOf, Nothing, Search, time, useFetched } from "./parts";
import type { Listed, Waiting } from "./wire";
import { named, say } from "./words";

/** How often there was news: of the list, and of a conversation. */
export interface News {
  inbox: number;
  of: (conversation: string) => number;
}

export function InboxPage({ chosen, news }: { chosen: string | null; news: News }) {
  const [inbox, again] = useFetched<{ handovers: Waiting[] }>("/inbox");
  useEffect(() => {
    if (news.inbox) again();
  }, [news.inbox]);
  return (
    <div class="split">
      <h1 class="unseen">{say("inbox")}</h1>
      <nav class="list" aria-label={say("inbox")}>
        {!inbox ? (
          <Loading />
        ) : inbox.handovers.length === 0 ? (
          <Nothing text={say("nobodyWaits")} />
        ) : (
          inbox.handovers.map((each) => (
            <a key={each.conversation} href={`#/inbox/${each.conversation}`} aria-current={each.conversation === chosen ? "page" : undefined}>
              <span class="top">
                <strong>{nameOf(each.customer)}</strong>
                <span class={`badge ${each.state}`}>{each.state === "held" ? say("held", { staff: each.staff ?? "" }) : say("waiting")}</span>
              </span>
              <span class="first">{each.goal}</span>
              <span class="quiet">
                {named(each.why)} · {time(each.since)} {each.unanswered > 0 && <b>{say("unanswered", { n: each.unanswered })}</b>}
              </span>
            </a>
          ))
        )}
      </nav>
      {chosen ? (
        <ConversationPage key={chosen} id={chosen} news={news.of(chosen)} />
      ) : (
        <Nothing text={say("choose")} />
      )}
    </div>
  );
}

export function ConversationsPage({ chosen, news }: { chosen: string | null; news: News }) {
  const asked = useRef("");
  const [found, setFound] = useState<Listed[] | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const search = (query: string, before: string | null) =>
    attempt(async () => {
      const page = await get<{ conversations: Listed[]; next: string | null }>(
        `/conversations?${new URLSearchParams(before ? { query, before } : { query })}`,
      );
      setFound((earlier) => (before ? [...(earlier ?? []), ...page.conversations] : page.conversations));
      setNext(page.next);
    });
  useEffect(() => void search("", null), []);
  return (
    <div class="split">
      <h1 class="unseen">{say("conversations")}</h1>
      <nav class="list" aria-label={say("conversations")}>
        <Search search={(words) => void search((asked.current = words), null)} />
        {!found ? <Loading /> : found.length === 0 ? <Nothing /> : null}
        {found?.map((each) => (
          <a key={each.id} href={`#/conversations/${each.id}`} aria-current={each.id === chosen ? "page" : undefined}>
            <span class="top">
              <strong>{nameOf(each.customer)}</strong>
              {each.state !== "none" && <span class={`badge ${each.state}`}>{named(each.state)}</span>}
            </span>
            <span class="first">{each.first}</span>
            <span class="quiet">
              {time(each.at)} · {say("turns", { n: each.turns })}
              {each.thumbs.up > 0 && ` · ${each.thumbs.up} ${say("up")}`}
              {each.thumbs.down > 0 && ` · ${each.thumbs.down} ${say("down")}`}
            </span>
          </a>
        ))}
        {next && (
          <button type="button" onClick={() => void search(asked.current, next)}>
            {say("more")}
          </button>
        )}
      </nav>
      {chosen ? (
        <ConversationPage key={chosen} id={chosen} news={news.of(chosen)} />
      ) : (
        <Nothing text={say("choose")} />
      )}
    </div>
  );
}
