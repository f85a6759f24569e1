/** The conversation as it is shown: what was said, what is going on, and what the customer may do. Knows nothing of HTML. */

import { batch, computed, signal } from "@preact/signals";
import { Refused, type Api, type Attached, type Photo, type Said, type Waiting } from "./api";
import { spoken } from "./safe";
import { follow } from "./stream";
import type {
  Handover,
  HistoryMessage,
  Language,
  Page,
  Product,
  Quote,
  RunEvent,
  Settled,
  Source,
  StaffMessage,
} from "./wire";

export type QuoteState = Settled["state"] | "pending" | "working" | "past";

export interface Message {
  id: string;
  role: "customer" | "agent" | "staff";
  text: string;
  at: string;
  /** Still being written. */
  open?: boolean;
  staff?: string | null;
  products?: Product[];
  quote?: Quote;
  quoteState?: QuoteState;
  sources?: Source[];
  quickReplies?: string[];
  upload?: Attached;
  thumb?: "up" | "down";
  /** Why there is no answer: the server's words or "", and what to send once more. */
  failed?: { text: string; reference: string | null; again: Said };
  /** Under which name the server keeps it, for a thumb. */
  kept?: boolean;
}

/** What the page that holds the widget is told. */
export interface Told {
  message: { id: string; role: Message["role"]; text: string };
  "quote-confirmed": { id: string; text: string };
  "quote-declined": { id: string; text: string };
  handover: Handover;
  error: { code: string; reference: string | null };
}

export type Tell = <Name extends keyof Told>(name: Name, detail: Told[Name]) => void;

export class Chat {
  readonly language = signal<Language>("en");
  readonly shop = signal<Record<Language, string> | null>(null);
  readonly messages = signal<Message[]>([]);
  readonly state = signal<"idle" | "starting" | "ready" | "failed">("idle");
  readonly open = signal(false);
  readonly unread = signal(0);
  /** What the customer is writing. */
  readonly draft = signal("");
  readonly photo = signal<Photo | null>(null);
  /** Sent one after the other, each once the answer before it is there. */
  readonly waiting = signal<Waiting[]>([]);
  readonly run = signal<string | null>(null);
  /** The tool at work. */
  readonly tool = signal<string | null>(null);
  /** How many customers are answered before this one. */
  readonly ahead = signal<number | null>(null);
  readonly down = signal(false);
  readonly handover = signal<Handover | null>(null);
  /** What a screen reader says next. */
  readonly spoken = signal("");
  readonly signInFailed = signal(false);
  /** What could not be done last, in the server's words; "" where it was not reached. */
  readonly trouble = signal<string | null>(null);
  /** What reads a reply aloud, and which. */
  readonly reading = signal<{ id: string; stop: AbortController } | null>(null);
  readonly quickReplies = computed(() => {
    const last = this.messages.value.at(-1);
    return last?.role === "agent" && !last.open && !this.run.value ? (last.quickReplies ?? []) : [];
  });

  page: Page = {};
  /** Which start of the conversation is the present one. */
  private round = 0;
  private following: AbortController | null = null;
  private listening: AbortController | null = null;

  constructor(
    readonly api: Api,
    private readonly tell: Tell,
  ) {}

  /** Begin or go on with the conversation; what was said before is shown, and an answer still being written goes on. */
  async start(): Promise<void> {
    if (this.state.value === "starting" || this.state.value === "ready") return;
    this.state.value = "starting";
    const round = ++this.round;
    try {
      const session = await this.signedIn();
      if (round !== this.round) return;
      const history = await this.api.history();
      if (round !== this.round) return;
      batch(() => {
        this.shop.value = session.shop.name;
        const pending = history.pendingQuote?.id;
        const messages = history.messages.map((each) => shown(each, pending)).filter((each) => !isEmpty(each));
        if (history.pendingQuote && !messages.some((each) => each.quote?.id === pending)) {
          messages.push({ id: `quote-${pending}`, role: "agent", text: "", at: now(), quote: history.pendingQuote, quoteState: "pending" });
        }
        this.messages.value = messages;
        this.handOver(typeof history.handover === "string" ? { state: history.handover, staff: null } : history.handover);
        this.waiting.value = this.api.keptWaiting();
        this.state.value = "ready";
      });
      if (history.activeRun) void this.read(history.activeRun, null);
      else this.sendNext();
      this.listen();
    } catch (error) {
      if (round !== this.round) return;
      this.state.value = "failed";
      this.report(error);
    }
  }

  private async signedIn() {
    try {
      return await this.api.start(this.language.value);
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 401) throw error;
      // A wrong identity gets a visitor's conversation, and is told so; never the customer's.
      this.report(error);
      this.api.become(null);
      this.signInFailed.value = true;
      return this.api.start(this.language.value);
    }
  }

  /** Drop what is shown and begin anew with the identity that the interface now has. */
  async restart(): Promise<void> {
    this.leave();
    batch(() => {
      this.messages.value = this.waiting.value = [];
      this.handover.value = null;
      this.signInFailed.value = false;
    });
    if (this.open.value) await this.start();
  }

  /** Let go of every connection; the server finishes what it is writing, and the next start reads it. */
  leave(): void {
    this.round++;
    this.following?.abort();
    this.listening?.abort();
    this.following = this.listening = null;
    this.run.value = null;
    this.state.value = "idle";
  }

  /** Say something, or answer a quote. While an answer is being written, words wait; a quote is only answered as it is shown. */
  async send(said: Said, upload?: Attached): Promise<void> {
    if (this.state.value !== "ready") return;
    if (this.run.value) {
      if (said.agreeTo || said.decline) return;
      const sawQuote = this.messages.value.find((each) => each.quoteState === "pending")?.quote?.id ?? "";
      return this.wait([...this.waiting.value, { id: crypto.randomUUID(), said: { ...said, sawQuote }, upload }]);
    }
    this.trouble.value = null;
    const runId = crypto.randomUUID();
    this.run.value = runId;
    if (said.text || upload) {
      this.add({ id: `said-${runId}`, role: "customer", text: said.text, at: now(), upload });
      this.tell("message", { id: `said-${runId}`, role: "customer", text: said.text });
    }
    const page = Object.keys(this.page).length ? { page: this.page } : {};
    await this.read(runId, { ...said, ...page });
  }

  /** Do not send what waits; its words and its photo are the customer's to change. */
  takeBack({ id, said, upload }: Waiting): void {
    this.wait(this.waiting.value.filter((each) => each.id !== id));
    this.draft.value = [said.text, this.draft.value].filter(Boolean).join("\n");
    if (upload?.file && upload.preview) this.photo.value ??= { file: upload.file, preview: upload.preview };
  }

  private wait(waiting: Waiting[]): void {
    this.waiting.value = waiting;
    this.api.keepWaiting(waiting);
  }

  private sendNext(): void {
    const [next, ...rest] = this.waiting.value;
    if (!next) return;
    this.wait(rest);
    void this.send(next.said, next.upload);
  }

  settle(quote: Quote, answer: "agreeTo" | "decline"): Promise<void> {
    this.changeQuote(quote.id, { quoteState: "working" });
    return this.send({ text: "", [answer]: quote.id });
  }

  /** Be silent: somebody speaks, or wants no more of it. */
  hush(): void {
    this.reading.value?.stop.abort();
    this.reading.value = null;
  }

  /** Stop the answer that is being written; what was said so far stays said. */
  async stop(): Promise<void> {
    if (this.run.value) await this.api.stop(this.run.value).catch((error: unknown) => this.complain(error));
  }

  async askForPerson(): Promise<void> {
    try {
      await this.api.person();
      this.handOver(this.handover.value ?? { state: "waiting", staff: null });
    } catch (error) {
      this.complain(error);
    }
  }

  async thumb(message: Message, thumb: "up" | "down", reason = ""): Promise<void> {
    this.change(message.id, { thumb });
    await this.api.feedback(message.id, thumb, reason).catch((error: unknown) => this.complain(error));
  }

  async again(message: Message): Promise<void> {
    this.messages.value = this.messages.value.filter((each) => each.id !== message.id);
    if (!message.failed) return;
    const runId = crypto.randomUUID();
    this.run.value = runId;
    await this.read(runId, message.failed.again);
  }

  /** Read a run to its end: begin it with what was said, or (null) join it. */
  private async read(runId: string, said: Said | null): Promise<void> {
    const id = `run-${runId}`;
    const reading = (this.following = new AbortController());
    batch(() => {
      this.run.value = runId;
      this.tool.value = this.ahead.value = null;
      this.add({ id, role: "agent", text: "", at: now(), open: true });
    });
    const run = new RunReader(this, id);
    try {
      await follow(
        (lastId, signal) => this.api.run(runId, said, lastId, signal),
        (event) => run.take(event),
        reading.signal,
        (down) => (this.down.value = down),
      );
      if (reading.signal.aborted) return;
    } catch (error) {
      this.report(error);
      const { text, reference } = error instanceof Refused ? error : { text: "", reference: null };
      run.fail(text, reference);
    }
    if (run.failure) this.change(run.id, { failed: { ...run.failure, again: said ?? { text: "" } } });
    batch(() => {
      this.run.value = this.tool.value = this.ahead.value = null;
      this.change(run.id, { open: false });
      const message = this.messages.value.find((each) => each.id === run.id);
      if (message && isEmpty(message)) this.messages.value = this.messages.value.filter((each) => each !== message);
      // A quote that its run did not settle waits on.
      this.messages.value = this.messages.value.map((each) =>
        each.quoteState === "working" ? { ...each, quoteState: "pending" } : each,
      );
      if (message?.text) this.arrived(message);
    });
    this.listen();
    this.sendNext();
  }

  /** Hear what a person writes: while the chat is open, or as long as a person is asked for. */
  listen(): void {
    if (this.listening || this.state.value !== "ready" || (!this.open.value && !this.handover.value)) return;
    const listening = (this.listening = new AbortController());
    void follow(
      (lastId, signal) => this.api.updates(lastId, signal),
      (event) => {
        if (event.type === "CUSTOM") this.hear(event.name!, event.value);
        return false;
      },
      listening.signal,
      (down) => {
        if (!this.run.value) this.down.value = down;
      },
    ).catch((error: unknown) => this.report(error));
  }

  /** Stop listening where nobody looks and nobody will write. */
  rest(): void {
    if (this.handover.value) return;
    this.listening?.abort();
    this.listening = null;
  }

  /** Events that belong to the conversation rather than to one answer; false for any other. */
  hear(name: string, value: unknown): boolean {
    if (name === "handover") this.handOver(value as Handover);
    else if (name === "staffMessage") this.staffWrote(value as StaffMessage);
    else if (name === "quoteSettled") this.quoteSettled(value as Settled);
    else if (name === "queued") this.ahead.value = (value as { ahead: number }).ahead;
    else return false;
    return true;
  }

  private handOver(handover: Handover | null): void {
    const before = this.handover.value;
    this.handover.value = handover?.state === "givenBack" ? null : handover;
    if (handover && handover.state !== before?.state) this.tell("handover", handover);
  }

  private staffWrote({ id, text, staff, at }: StaffMessage): void {
    if (this.messages.value.some((each) => each.id === id)) return;
    const message: Message = { id, role: "staff", text, staff, at };
    this.add(message);
    this.arrived(message);
  }

  private quoteSettled({ id, state, text }: Settled): void {
    this.changeQuote(id, { quoteState: state });
    if (state === "confirmed") this.tell("quote-confirmed", { id, text });
    if (state === "declined") this.tell("quote-declined", { id, text });
  }

  private arrived(message: Message): void {
    const { id, role, text } = message;
    this.spoken.value = spoken(text);
    if (!this.open.value) this.unread.value++;
    this.tell("message", { id, role, text });
  }

  add(message: Message): void {
    // The answer being written stays last.
    const rest = this.messages.value;
    const last = rest.at(-1);
    this.messages.value = last?.open ? [...rest.slice(0, -1), message, last] : [...rest, message];
  }

  change(id: string, changed: Partial<Message>): void {
    this.messages.value = this.messages.value.map((each) => (each.id === id ? { ...each, ...changed } : each));
  }

  /** A new quote takes the place of one that was not answered. */
  changeQuote(id: string, changed: Partial<Message>): void {
    this.messages.value = this.messages.value.map((each) => {
      if (each.quote?.id === id) return { ...each, ...changed };
      return each.quoteState === "pending" && changed.quoteState === "pending" ? { ...each, quoteState: "past" } : each;
    });
  }

  /** Tell the customer too that something could not be done. */
  complain(error: unknown): void {
    this.trouble.value = error instanceof Refused ? error.text : "";
    this.report(error);
  }

  report(error: unknown): void {
    const refused = error instanceof Refused ? error : null;
    this.tell("error", { code: refused?.code ?? "unreachable", reference: refused?.reference ?? null });
  }
}

/** Turns one run's events into one of the agent's messages. */
class RunReader {
  failure: { text: string; reference: string | null } | null = null;

  constructor(
    private readonly chat: Chat,
    public id: string,
  ) {}

  private get message(): Message {
    return this.chat.messages.value.find((each) => each.id === this.id)!;
  }

  private set(changed: Partial<Message>): void {
    this.chat.change(this.id, changed);
  }

  fail(text: string, reference: string | null): void {
    this.failure = { text, reference };
  }

  /** Take one event in; true for the run's last. */
  take(event: RunEvent): boolean {
    const { chat } = this;
    switch (event.type) {
      case "RUN_STARTED":
        this.set({ text: "" });
        break;
      case "TOOL_CALL_START":
        chat.tool.value = event.toolCallName ?? null;
        chat.ahead.value = null;
        break;
      case "TOOL_CALL_RESULT":
        chat.tool.value = null;
        break;
      case "TEXT_MESSAGE_START":
        this.rename(event.messageId!);
        if (this.message.text) this.set({ text: `${this.message.text}\n\n` });
        break;
      case "TEXT_MESSAGE_CONTENT":
        chat.tool.value = null;
        this.set({ text: this.message.text + event.delta });
        break;
      case "CUSTOM":
        this.custom(event.name!, event.value);
        break;
      case "RUN_ERROR":
        this.fail(event.message ?? "", event.code ?? null);
        return true;
      case "RUN_FINISHED":
        if (event.result?.messageId) this.rename(event.result.messageId);
        this.set({ kept: Boolean(event.result?.messageId) });
        return true;
    }
    return false;
  }

  private custom(name: string, value: unknown): void {
    if (name === "products") this.set({ products: value as Product[] });
    else if (name === "sources") this.set({ sources: value as Source[] });
    else if (name === "quickReplies") this.set({ quickReplies: value as string[] });
    else if (name === "quote") {
      this.set({ quote: value as Quote });
      this.chat.changeQuote((value as Quote).id, { quoteState: "pending" });
    } else if (name === "heard") {
      const spokenByCustomer = this.chat.messages.value.filter((each) => each.upload?.kind === "voice").at(-1);
      if (spokenByCustomer) this.chat.change(spokenByCustomer.id, { text: (value as { text: string }).text });
    } else this.chat.hear(name, value);
  }

  /** Take the server's name for the message, in place of what the history may already hold of it. */
  private rename(id: string): void {
    if (id === this.id) return;
    this.chat.messages.value = this.chat.messages.value
      .filter((each) => each.id !== id)
      .map((each) => (each.id === this.id ? { ...each, id } : each));
    this.id = id;
  }
}

function isEmpty(message: Message): boolean {
  return !message.text && !message.products && !message.quote && !message.upload && !message.failed;
}

function shown(kept: HistoryMessage, pending: string | undefined): Message {
  const quote = kept.quote ?? undefined;
  return {
    id: kept.id,
    role: kept.role,
    text: kept.text,
    at: kept.at,
    staff: kept.staff,
    products: kept.products ?? undefined,
    quote,
    quoteState: quote && (quote.id === pending ? "pending" : quote.state && quote.state !== "pending" ? quote.state : "past"),
    sources: kept.sources ?? undefined,
    quickReplies: kept.quickReplies ?? undefined,
    upload: kept.upload ?? undefined,
    thumb: kept.thumb ?? undefined,
    kept: true,
  };
}

function now(): string {
  return new Date().toISOString();
}
