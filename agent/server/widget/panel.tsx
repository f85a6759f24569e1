/** The button in the page's corner and the panel that it opens. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Composer } from "./composer";
import { Icon } from "./icons";
import { Messages } from "./messages";
import { PartsContext, useParts, useWords, type Parts } from "./parts";
import { fromMarkdown } from "./safe";
import type { Clause, Source } from "./wire";
import { say } from "./words";

/** Narrow windows are filled, and the page behind rests. */
const PHONE = "(max-width: 30rem)";

type Wanted = Pick<Source, "id" | "title">;

export function Widget({ parts, launcher }: { parts: Omit<Parts, "showSource">; launcher: boolean }) {
  const { chat } = parts;
  const [source, setSource] = useState<Wanted | null>(null);
  const language = chat.language.value;
  return (
    <PartsContext.Provider value={{ ...parts, showSource: setSource }}>
      <div lang={language}>
        {launcher && <Launcher />}
        <Panel source={source} leaveSource={() => setSource(null)} />
      </div>
    </PartsContext.Provider>
  );
}

function Launcher() {
  const { chat } = useParts();
  const words = useWords();
  const unread = chat.unread.value;
  const open = chat.open.value;
  return (
    <button
      type="button"
      class={open ? "launcher opened" : "launcher"}
      aria-expanded={open}
      aria-label={words(open ? "close" : "open") + (unread ? `, ${words("unread", { n: unread })}` : "")}
      onClick={() => (chat.open.value = !open)}
    >
      <Icon name={open ? "down" : "chat"} size={26} />
      {unread > 0 && <span class="badge">{unread}</span>}
    </button>
  );
}

function Panel({ source, leaveSource }: { source: Wanted | null; leaveSource: () => void }) {
  const { chat, close } = useParts();
  const words = useWords();
  const dialog = useRef<HTMLDialogElement>(null);
  const [dropped, setDropped] = useState<File | null>(null);
  const [dragged, setDragged] = useState(false);
  const open = chat.open.value;

  useEffect(() => {
    const panel = dialog.current!;
    if (!open) {
      panel.close();
      return;
    }
    const phone = matchMedia(PHONE);
    const show = () => {
      panel.close();
      // On a phone the rest of the page can neither be seen nor reached meanwhile.
      if (phone.matches) panel.showModal();
      else panel.show();
      focusFirst(panel);
    };
    show();
    phone.addEventListener("change", show);
    return () => phone.removeEventListener("change", show);
  }, [open]);

  useEffect(() => {
    // A button that went away under the focus, such as a quote's, does not leave the keyboard nowhere.
    if (open && document.activeElement === document.body) focusFirst(dialog.current!);
  }, [chat.run.value, chat.handover.value, source]);

  const escape = (event: Event) => {
    event.preventDefault();
    if (source) leaveSource();
    else close();
  };

  return (
    <dialog
      ref={dialog}
      class="panel"
      aria-label={words("title")}
      onCancel={escape}
      onKeyDown={(event) => {
        if (event.key === "Escape") {
          event.stopPropagation();
          escape(event);
        }
      }}
      onDragOver={(event) => {
        if (event.dataTransfer?.types.includes("Files")) {
          event.preventDefault();
          setDragged(true);
        }
      }}
      onDragLeave={(event) => {
        if (!dialog.current!.contains(event.relatedTarget as Node | null)) setDragged(false);
      }}
      onDrop={(event) => {
        event.preventDefault();
        setDragged(false);
        setDropped(event.dataTransfer?.files[0] ?? null);
      }}
    >
      <Header />
      {chat.down.value && (
        <p class="strip" role="status">
          {words("reconnecting")}
        </p>
      )}
      {chat.handover.value?.state === "waiting" && (
        <p class="strip calm" role="status">
          {words("personAsked")}
        </p>
      )}
      {chat.state.value === "failed" ? <NotStarted /> : <Messages />}
      <Composer dropped={dropped} />
      <p class="unseen" aria-live="polite">
        {chat.spoken.value}
      </p>
      {source && <ClauseSheet key={source.id} wanted={source} leave={leaveSource} />}
      {dragged && (
        <div class="drop">
          <Icon name="photo" size={36} />
          {words("drop")}
        </div>
      )}
    </dialog>
  );
}

/** On a phone not the field: it would bring up the keyboard, which hides what was said. */
function focusFirst(panel: HTMLElement): void {
  panel.querySelector<HTMLElement>(matchMedia(PHONE).matches ? ".messages" : "textarea")?.focus();
}

function Header() {
  const { chat, close } = useParts();
  const words = useWords();
  const language = chat.language.value;
  const handover = chat.handover.value;
  const status =
    handover?.state === "waiting"
      ? words("waiting")
      : handover?.state === "held"
        ? handover.staff
          ? words("held", { staff: handover.staff })
          : words("heldBySomeone")
        : words("subtitle");
  return (
    <div class="head">
      <span class="mark" aria-hidden="true">
        <Icon name="chat" size={22} />
      </span>
      <div class="title">
        <h2>{chat.shop.value?.[language] ?? " "}</h2>
        <p role="status">
          <span class={handover?.state === "waiting" ? "dot waiting" : "dot"} aria-hidden="true" />
          {status}
        </p>
      </div>
      <button
        type="button"
        class="bare language"
        lang={say(language, "switchLang")}
        aria-label={words("switchLabel")}
        onClick={() => (chat.language.value = language === "en" ? "zh" : "en")}
      >
        {words("switchTo")}
      </button>
      {!handover && (
        <button
          type="button"
          class="bare"
          aria-label={words("person")}
          title={words("person")}
          disabled={chat.state.value !== "ready"}
          onClick={() => void chat.askForPerson()}
        >
          <Icon name="person" />
        </button>
      )}
      <button type="button" class="bare" aria-label={words("close")} title={words("close")} onClick={close}>
        <Icon name="close" />
      </button>
    </div>
  );
}

function NotStarted() {
  const { chat } = useParts();
  const words = useWords();
  return (
    <div class="talk">
      <div class="failure" role="alert">
        <p>{words("startFailed")}</p>
        <p class="small">{words("unreachable")}</p>
        <button type="button" class="plain" onClick={() => void chat.start()}>
          {words("again")}
        </button>
      </div>
    </div>
  );
}

/** A rule of the shop as it is written, over the conversation; going back gives the focus to where it was. */
function ClauseSheet({ wanted, leave }: { wanted: Wanted; leave: () => void }) {
  const { chat } = useParts();
  const words = useWords();
  const language = chat.language.value;
  const [clause, setClause] = useState<Clause | "failed" | null>(null);
  const button = useRef<HTMLButtonElement>(null);
  const text = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const before = (button.current!.getRootNode() as ShadowRoot).activeElement as HTMLElement | null;
    button.current!.focus();
    return () => before?.focus();
  }, []);
  useEffect(() => {
    chat.api.clause(wanted.id, language).then(setClause, (error: unknown) => {
      chat.report(error);
      setClause("failed");
    });
  }, [wanted.id, language]);
  useEffect(() => {
    if (clause && clause !== "failed") text.current?.replaceChildren(fromMarkdown(clause.text));
  }, [clause]);
  const found = clause && clause !== "failed" ? clause : null;
  return (
    <section class="sheet" aria-label={found?.title ?? wanted.title}>
      <header>
        <Icon name="book" />
        <h2>{found?.title ?? wanted.title}</h2>
        <button type="button" class="bare" ref={button} aria-label={words("closeSource")} onClick={leave}>
          <Icon name="close" />
        </button>
      </header>
      <div class="page" tabIndex={0} role="document" aria-label={found?.title ?? wanted.title}>
        {clause === "failed" ? <p>{words("unreachable")}</p> : <div class="prose" ref={text} />}
        {found && (
          <p class="small">
            {found.id}
            {found.from && ` · ${words("validFrom", { date: new Date(found.from).toLocaleDateString(language, { dateStyle: "long" }) })}`}
          </p>
        )}
      </div>
    </section>
  );
}
