/** The list of what was said, newest last. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Waiting } from "./api";
import { Products, QuoteCard, Sources } from "./cards";
import type { Message } from "./chat";
import { Icon } from "./icons";
import { useParts, useWords } from "./parts";
import { live } from "./voice";
import { fromMarkdown } from "./safe";
import type { Quote } from "./wire";
import { doing } from "./words";

/** How far from its end the list still counts as read to the end. */
const NEAR_PX = 80;

export function Messages() {
  const { chat } = useParts();
  const words = useWords();
  const list = useRef<HTMLDivElement>(null);
  const [away, setAway] = useState(false);
  const messages = chat.messages.value;
  const newest = messages.at(-1);
  const toEnd = (behavior: ScrollBehavior) => list.current?.scrollTo({ top: list.current.scrollHeight, behavior });

  const stays = useRef(true);
  stays.current = !away;

  useLayoutEffect(() => {
    // Words, pictures and buttons that arrive push the list up, unless the customer reads further above.
    const grown = new ResizeObserver(() => {
      if (stays.current) toEnd("instant");
    });
    grown.observe(list.current!);
    grown.observe(list.current!.firstElementChild!);
    return () => grown.disconnect();
  }, []);
  useEffect(() => {
    // What the customer says is always shown to them.
    const said = messages.findLast((each) => each.role === "customer");
    if (said && messages.indexOf(said) >= messages.length - 2) {
      setAway(false);
      toEnd("instant");
    }
  }, [messages.length, chat.waiting.value.length]);
  const top = useRef(0);
  const look = () => {
    const { scrollHeight, scrollTop, clientHeight } = list.current!;
    // Growing lists scroll too, downwards; only the customer goes up.
    if (scrollHeight - scrollTop - clientHeight < NEAR_PX) setAway(false);
    else if (scrollTop < top.current) setAway(true);
    top.current = scrollTop;
  };

  return (
    <div class="talk">
      <div class="messages" role="log" aria-live="off" aria-label={words("conversation")} tabIndex={0} ref={list} onScroll={look}>
        <div>
          <Greeting />
          {messages.map((message, place) => (
            <div key={message.id}>
              <Day at={message.at} before={messages[place - 1]?.at} />
              <OneMessage message={message} follows={messages[place - 1]?.role === message.role} last={message === newest} />
            </div>
          ))}
          {chat.waiting.value.map((each) => (
            <InWaiting key={each.id} waiting={each} />
          ))}
          <QuickReplies />
        </div>
      </div>
      {away && (
        <button type="button" class="newest" aria-label={words("newest")} onClick={() => { setAway(false); toEnd("smooth"); }}>
          <Icon name="down" />
        </button>
      )}
    </div>
  );
}

function Greeting() {
  const { chat } = useParts();
  const words = useWords();
  if (!chat.shop.value) return null;
  const fresh = chat.messages.value.length === 0;
  return (
    <>
      <div class="row agent">
        <Face />
        <div class="bubble">
          <p>{words("hello")}</p>
        </div>
      </div>
      {fresh && (
        <Replies replies={[words("ask1"), words("ask2"), words("ask3")]} />
      )}
      {chat.signInFailed.value && <p class="notice">{words("signInFailed")}</p>}
    </>
  );
}

function Day({ at, before }: { at: string; before: string | undefined }) {
  const { chat } = useParts();
  const words = useWords();
  const day = new Date(at).toDateString();
  if (before ? new Date(before).toDateString() === day : day === new Date().toDateString()) return null;
  const today = day === new Date().toDateString();
  return (
    <p class="day">
      {today ? words("today") : new Date(at).toLocaleDateString(chat.language.value, { weekday: "long", day: "numeric", month: "long" })}
    </p>
  );
}

function Face({ staff }: { staff?: string | null }) {
  return (
    <span class={staff ? "face person" : "face"} aria-hidden="true">
      {staff ? staff.trim().slice(0, 1).toUpperCase() : <Icon name="spark" size={16} />}
    </span>
  );
}

function OneMessage({ message, follows, last }: { message: Message; follows: boolean; last: boolean }) {
  const words = useWords();
  if (message.role === "customer") return <FromCustomer message={message} />;
  const staff = message.role === "staff" ? (message.staff ?? "") : null;
  const waits = message.open && !message.text;
  const text = message.quote ? besideQuote(message.text, message.quote) : message.text;
  return (
    <article class={`row ${message.role}${follows ? " follows" : ""}`}>
      {!follows && <Face staff={staff} />}
      <div class="content">
        <p class={staff !== null && !follows ? "name" : "unseen"}>{staff === null ? words("agent") : words("staff", { staff })}</p>
        {text && (
          <div class="bubble" dir="auto">
            <Markdown text={text} />
          </div>
        )}
        {message.products && message.products.length > 0 && <Products products={message.products} />}
        {message.quote && <QuoteCard quote={message.quote} message={message} />}
        {waits && <Busy />}
        {message.failed && <Failure message={message} last={last} />}
        {!message.open && <Sources message={message} />}
        {message.role === "agent" && message.text && <After message={message} last={last} />}
      </div>
    </article>
  );
}

/** The reply without the lines that stand in the quote's card word for word. */
function besideQuote(text: string, quote: Quote): string {
  const onCard = new Set([quote.title, ...quote.lines, quote.validText ?? ""].map(bare));
  return text
    .split("\n")
    .filter((line) => !line.trim() || !onCard.has(bare(line)))
    .join("\n")
    .trim();
}

function bare(line: string): string {
  return line.trim().replace(/[:：]$/, "");
}

/** The reply's Markdown; its nodes are made anew with each piece that arrives. */
function Markdown({ text }: { text: string }) {
  const place = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => place.current!.replaceChildren(fromMarkdown(text)), [text]);
  return <div class="prose" ref={place} />;
}

function FromCustomer({ message }: { message: Message }) {
  const words = useWords();
  const { upload } = message;
  return (
    <article class="row customer">
      <div class="content">
        <p class="unseen">{words("you")}</p>
        {upload?.preview ? (
          <img class="sent" src={upload.preview} alt={words("photoSent")} />
        ) : (
          upload && (
            <p class="attached">
              <Icon name={upload.kind === "photo" ? "photo" : "mic"} size={16} /> {words(upload.kind === "photo" ? "photoSent" : "voiceSent")}
            </p>
          )
        )}
        {message.text && (
          <p class="bubble" dir="auto">
            {message.text}
          </p>
        )}
      </div>
    </article>
  );
}

/** What was said while an answer is being written. */
function InWaiting({ waiting }: { waiting: Waiting }) {
  const { chat } = useParts();
  const words = useWords();
  const { id, said, upload } = waiting;
  return (
    <div class="in-waiting">
      <FromCustomer message={{ id, role: "customer", text: said.text, at: "", upload }} />
      <p class="small" role="status">
        {words("waits")}
        <button type="button" class="plain" onClick={() => chat.takeBack(waiting)}>
          {words("takeBack")}
        </button>
      </p>
    </div>
  );
}

/** What happens while no word has come yet. */
function Busy() {
  const { chat } = useParts();
  const words = useWords();
  const ahead = chat.ahead.value;
  const tool = chat.tool.value;
  const told =
    ahead !== null && !tool
      ? ahead > 0
        ? words("queued", { n: ahead })
        : words("queuedNext")
      : words(tool ? doing(tool) : "typing");
  return (
    <p class="busy">
      <span class="dots" aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      {told}
    </p>
  );
}

function Failure({ message, last }: { message: Message; last: boolean }) {
  const { chat } = useParts();
  const words = useWords();
  const { text, reference } = message.failed!;
  return (
    <div class="failure" role="alert">
      <p>{text || words("failed")}</p>
      {reference && <p class="small">{words("reference", { reference })}</p>}
      {last && (
        <button type="button" class="plain" onClick={() => void chat.again(message)}>
          {words("again")}
        </button>
      )}
    </div>
  );
}

/** What can be done with a reply: hear it, also while it is still being written, and say whether it helped. */
function After({ message, last }: { message: Message; last: boolean }) {
  const [asking, setAsking] = useState(false);
  const { chat } = useParts();
  const give = (thumb: "up" | "down", reason?: string) => {
    setAsking(thumb === "down" && reason === undefined);
    void chat.thumb(message, thumb, reason);
  };
  return (
    <>
      <div class="after">
        <Listen message={message} />
        {message.open && <Busy />}
        {message.kept && <Thumbs message={message} faint={!last && !message.thumb} thanked={!asking} give={give} />}
      </div>
      {asking && <Reason give={(reason) => give("down", reason)} />}
    </>
  );
}

function Listen({ message }: { message: Message }) {
  const { chat, server } = useParts();
  const words = useWords();
  if (!chat.api.session?.voice) return null;
  const reading = chat.reading.value?.id === message.id;
  const listen = async () => {
    chat.hush();
    if (reading) return;
    const stop = new AbortController();
    chat.reading.value = { id: message.id, stop };
    const written = () => chat.messages.value.find((each) => each.id === message.id) ?? message;
    try {
      const { readAloud } = await live(server);
      const speech = (text: string) => chat.api.speech(text, /[\u4e00-\u9fff]/.test(text) ? "zh" : "en");
      await readAloud(speech, () => ({ text: written().text, open: written().open ?? false }), stop.signal);
    } catch (error) {
      chat.complain(error);
    }
    if (chat.reading.value?.stop === stop) chat.reading.value = null;
  };
  const label = words(reading ? "listenStop" : "listen");
  return (
    <button type="button" class="bare listen" aria-label={label} title={label} aria-pressed={reading} onClick={() => void listen()}>
      <Icon name="listen" size={16} />
    </button>
  );
}

function Thumbs({ message, faint, thanked, give }: { message: Message; faint: boolean; thanked: boolean; give: (thumb: "up" | "down") => void }) {
  const words = useWords();
  return (
    <div class={faint ? "thumbs faint" : "thumbs"}>
      <button type="button" class="bare" aria-label={words("helpful")} aria-pressed={message.thumb === "up"} onClick={() => give("up")}>
        <Icon name="up" size={16} />
      </button>
      <button type="button" class="bare" aria-label={words("unhelpful")} aria-pressed={message.thumb === "down"} onClick={() => give("down")}>
        <Icon name="thumbDown" size={16} />
      </button>
      <span class="small" role="status">
        {message.thumb && thanked && words("thanks")}
      </span>
    </div>
  );
}

function Reason({ give }: { give: (reason: string) => void }) {
  const words = useWords();
  const [text, setText] = useState("");
  const field = useRef<HTMLFormElement>(null);
  useEffect(() => field.current?.querySelector("button")?.focus(), []);
  return (
    <form class="reason" ref={field} onSubmit={(event) => { event.preventDefault(); give(text.trim()); }}>
      <p>{words("whatWrong")}</p>
      <div class="replies">
        {(["wrong1", "wrong2", "wrong3"] as const).map((word) => (
          <button key={word} type="button" class="reply" onClick={() => give([words(word), text.trim()].filter(Boolean).join(": "))}>
            {words(word)}
          </button>
        ))}
      </div>
      <div class="line">
        <input value={text} maxLength={500} aria-label={words("wrongOther")} placeholder={words("wrongOther")} onInput={(event) => setText(event.currentTarget.value)} />
        <button type="submit" class="plain">
          {words("sendFeedback")}
        </button>
      </div>
    </form>
  );
}

function QuickReplies() {
  const { chat } = useParts();
  return <Replies replies={chat.quickReplies.value} />;
}

function Replies({ replies }: { replies: string[] }) {
  const { chat } = useParts();
  const words = useWords();
  if (replies.length === 0) return null;
  return (
    <div class="replies quick" role="group" aria-label={words("quickReplies")}>
      {replies.map((reply) => (
        <button key={reply} type="button" class="reply" onClick={() => void chat.send({ text: reply })}>
          {reply}
        </button>
      ))}
    </div>
  );
}
