/** The server's HTTP interface for one conversation; knows nothing of what is shown. */

import type { Clause, History, Identity, Language, Page, Session, Upload } from "./wire";

/** The server's "no": `text` is for the customer, `reference` for whoever looks into it. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly text: string,
    readonly reference: string | null,
  ) {
    super(`${status} ${code}: ${text}`);
  }

  /** Whether a proxy, not the server itself, said no: the same request may succeed a little later. */
  get passing(): boolean {
    return this.status >= 502 && this.code === UNSPOKEN;
  }
}

const UNSPOKEN = "unexpected";

/** What a customer's message carries beside its text. */
export interface Said {
  text: string;
  uploads?: string[];
  agreeTo?: string;
  decline?: string;
  /** Of words that waited: the quote that was before the customer as they wrote, "" for none; a yes can mean no other. */
  sawQuote?: string;
  page?: Page;
}

/** A photo or recording that goes with a message, and its address in this browser. */
export interface Attached {
  kind: Upload["kind"];
  file?: Blob;
  preview?: string;
}

/** The photo that goes with the next message. */
export interface Photo {
  file: Blob;
  preview: string;
}

/** What was said while an answer was being written. */
export interface Waiting {
  id: string;
  said: Said;
  upload?: Attached;
}

export class Api {
  session: Session | null = null;
  private identity: Identity | null = null;
  private language: Language = "en";
  private starting: Promise<Session> | null = null;

  constructor(readonly server: string) {}

  /** The session, begun if there is none; several callers share one request. */
  start(language: Language): Promise<Session> {
    this.language = language;
    this.starting ??= this.begin(language).catch((error: unknown) => {
      this.starting = null;
      throw error;
    });
    return this.starting;
  }

  /** From the next `start` on, be this customer, or a visitor (null). */
  become(identity: Identity | null): void {
    this.identity = identity;
    this.session = null;
    this.starting = null;
  }

  /** Forget what this browser keeps of the conversation. */
  forget(): void {
    for (const slot of ["visitor", "customer"]) remember(this.key(slot), null);
    this.become(null);
  }

  private async begin(language: Language): Promise<Session> {
    // A customer's session is only used again where the page identifies them: after signing out nobody else reads it.
    const { identity } = this;
    const slot = this.key(identity ? "customer" : "visitor");
    const earlier = recall(slot) ?? (identity ? recall(this.key("visitor")) : null);
    const begun = await this.json<Session>("/v1/session", { identity, session: earlier, language });
    // The page may have signed somebody in or out meanwhile.
    if (identity === this.identity) {
      this.session = begun;
      remember(slot, begun.session);
    }
    return begun;
  }

  /** What waited to be sent in this conversation when the page was left. */
  keptWaiting(): Waiting[] {
    const kept = recall(this.key(`waiting:${this.session!.conversation}`), "sessionStorage");
    return kept === null ? [] : (JSON.parse(kept) as Waiting[]);
  }

  keepWaiting(waiting: Waiting[]): void {
    if (!this.session) return;
    // A photo's address in this browser ends with the page.
    const kept = waiting.map(({ upload, ...each }) => ({ ...each, upload: upload && { kind: upload.kind } }));
    remember(this.key(`waiting:${this.session.conversation}`), kept.length ? JSON.stringify(kept) : null, "sessionStorage");
  }

  private key(slot: string): string {
    return `storehand:${this.server}:${slot}`;
  }

  /** One request with the session's bearer, renewed once if it has run out. Throws Refused; TypeError where the network is down. */
  async fetch(path: string, init: RequestInit = {}, renewed = false): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.session) headers.set("Authorization", `Bearer ${this.session.session}`);
    const response = await fetch(this.server + path, { ...init, headers, credentials: "omit" });
    if (response.ok) return response;
    if (response.status === 401 && this.session && !renewed && path !== "/v1/session") {
      this.starting = null;
      this.session = null;
      await this.start(this.language);
      return this.fetch(path, init, true);
    }
    throw await refusal(response);
  }

  private async json<T>(path: string, body: unknown): Promise<T> {
    const headers = { "Content-Type": "application/json" };
    const response = await this.fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
    const text = await response.text();
    return (text ? JSON.parse(text) : null) as T;
  }

  private async read<T>(path: string): Promise<T> {
    return (await (await this.fetch(path)).json()) as T;
  }

  /** Start a run, or, with `lastId`, go on reading it. Starting the same run twice runs it once. */
  run(runId: string, said: Said | null, lastId: string | null, signal: AbortSignal): Promise<Response> {
    if (lastId !== null || said === null) {
      const headers: Record<string, string> = lastId === null ? {} : { "Last-Event-ID": lastId };
      return this.fetch(`/v1/runs/${runId}/events`, { headers, signal });
    }
    const { text, ...forwardedProps } = said;
    const body = JSON.stringify({
      threadId: this.session!.conversation,
      runId,
      state: {},
      messages: [{ id: `said-${runId}`, role: "user", content: text }],
      tools: [],
      context: [],
      forwardedProps,
    });
    const headers = { "Content-Type": "application/json", Accept: "text/event-stream" };
    return this.fetch("/v1/runs", { method: "POST", headers, body, signal });
  }

  /** What a person writes while no run is going on. */
  updates(lastId: string | null, signal: AbortSignal): Promise<Response> {
    return this.fetch("/v1/updates", { headers: lastId === null ? {} : { "Last-Event-ID": lastId }, signal });
  }

  stop = (runId: string): Promise<void> => this.json(`/v1/runs/${runId}/stop`, {});
  person = (): Promise<void> => this.json("/v1/person", {});
  feedback = (messageId: string, thumb: "up" | "down", reason: string): Promise<void> =>
    this.json("/v1/feedback", { messageId, thumb, reason });
  history = (): Promise<History> => this.read("/v1/history");
  clause = (id: string, language: Language): Promise<Clause> =>
    this.read(`/v1/clauses/${encodeURIComponent(id)}?language=${language}`);

  /** A sentence as sound; null where nothing in it can be said. */
  async speech(text: string, language: Language): Promise<ArrayBuffer | null> {
    const headers = { "Content-Type": "application/json" };
    const response = await this.fetch("/v1/speech", { method: "POST", headers, body: JSON.stringify({ text, language }) });
    return response.status === 204 ? null : response.arrayBuffer();
  }

  async upload(file: Blob, name: string): Promise<Upload> {
    const form = new FormData();
    form.append("file", file, name);
    return (await (await this.fetch("/v1/uploads", { method: "POST", body: form })).json()) as Upload;
  }
}

/** The server's answer as an error. */
export async function refusal(response: Response): Promise<Refused> {
  const told = (await response.json().catch(() => null)) as { error?: { code?: string; message?: string; reference?: string } } | null;
  const error = told?.error;
  return new Refused(response.status, error?.code ?? UNSPOKEN, error?.message ?? "", error?.reference ?? null);
}

type Place = "localStorage" | "sessionStorage";

// A browser may forbid a page its storage; then the conversation lasts as long as the page.
function recall(key: string, place: Place = "localStorage"): string | null {
  try {
    return window[place].getItem(key);
  } catch {
    return null;
  }
}

function remember(key: string, value: string | null, place: Place = "localStorage"): void {
  try {
    if (value === null) window[place].removeItem(key);
    else window[place].setItem(key, value);
  } catch {
    return;
  }
}
