/** What the server sends, as its HTTP interface describes it. */

export type Language = "en" | "zh";

export interface Money {
  amount: number;
  currency: string;
  text: string;
}

export interface Product {
  id: string;
  title: string;
  price: Money;
  picture: string | null;
  inStock: boolean;
  stock: string;
  why: string | null;
  url: string | null;
}

export interface Quote {
  id: string;
  kind: string;
  title: string;
  lines: string[];
  total: Money | null;
  clauses: string[];
  validUntil: string;
  /** How the reply says until when, in the time of the shop. */
  validText?: string;
}

export interface Settled {
  id: string;
  state: "confirmed" | "declined" | "expired";
  text: string;
}

export interface Source {
  id: string;
  kind: "clause" | "faq" | "product" | "order";
  title: string;
}

export interface Clause {
  id: string;
  title: string;
  text: string;
  from: string | null;
}

export interface Handover {
  state: "waiting" | "held" | "givenBack";
  staff: string | null;
}

export interface StaffMessage {
  id: string;
  text: string;
  staff: string;
  at: string;
}

export interface Upload {
  id: string;
  kind: "photo" | "voice";
}

export interface HistoryMessage {
  id: string;
  role: "customer" | "agent" | "staff";
  text: string;
  at: string;
  staff?: string | null;
  products?: Product[] | null;
  quote?: (Quote & { state?: Settled["state"] | "pending" }) | null;
  sources?: Source[] | null;
  quickReplies?: string[] | null;
  upload?: Upload | null;
  thumb?: "up" | "down" | null;
}

export interface History {
  messages: HistoryMessage[];
  pendingQuote: Quote | null;
  handover: Handover | Handover["state"] | null;
  activeRun: string | null;
}

export interface Session {
  session: string;
  conversation: string;
  expires_at: string;
  signed_in: boolean;
  shop: { name: Record<Language, string>; currency: string };
  /** Replies can be read aloud. */
  voice?: boolean;
}

export type Identity = { jwt: string } | { customer: string; hash: string };

export interface Page {
  product?: string;
  url?: string;
}

/** One AG-UI event; the fields that this widget reads. */
export interface RunEvent {
  type: string;
  messageId?: string;
  delta?: string;
  toolCallId?: string;
  toolCallName?: string;
  content?: string;
  name?: string;
  value?: unknown;
  result?: { messageId?: string; language?: Language };
  message?: string;
  code?: string;
}
