/** What the server tells staff, as its HTTP interface describes it. */

import type { HistoryMessage } from "../widget/wire";

export interface Customer {
  id: string;
  name: string | null;
}

export interface Waiting {
  conversation: string;
  state: "waiting" | "held";
  since: string;
  why: string;
  goal: string;
  customer: Customer | null;
  staff: string | null;
  unanswered: number;
  language: string;
}

export interface Listed {
  id: string;
  at: string;
  language: string;
  customer: Customer | null;
  first: string;
  turns: number;
  state: string;
  thumbs: { up: number; down: number };
}

export interface Trace {
  allowed: string[];
  chosen: string | null;
  share: number | null;
  why: string[];
  steps: { tool: string; arguments: Record<string, unknown>; facts: { text: string; source: string }[] }[];
  promises: { checked: number; replaced: number };
  seconds: Record<string, number>;
  modelCalls: number;
}

export interface Packet {
  why: string;
  goal: string;
  steps: { tool: string; arguments: Record<string, unknown>; outcome: string; declined?: boolean }[];
  facts: { text: string; source: string }[];
}

export interface Note {
  id: string;
  text: string;
  staff: string | null;
  at: string;
}

export interface Said extends Omit<HistoryMessage, "role"> {
  role: HistoryMessage["role"] | "note";
  trace?: Trace | null;
}

export interface Conversation {
  state: "none" | "waiting" | "held";
  staff: string | null;
  customer: Customer | null;
  packet: Packet | null;
  notes: Note[];
  messages: Said[];
}

export interface Analytics {
  volume: { day: string; conversations: number; messages: number; handedOver: number; up: number; down: number; firstWord: Spread }[];
  topics: { tool: string; count: number }[];
  resolved: number;
  handedOver: { why: string; count: number }[];
  thumbs: { up: number; down: number };
  emptySearches: { words: string; count: number }[];
  unanswered: { question: string; count: number }[];
  seconds: { firstWord: Spread; whole: Spread };
}

export interface Spread {
  p50: number | null;
  p95: number | null;
}

export type LocalText = string | { en?: string | null; zh?: string | null };

export interface ShopProduct {
  id: string;
  title: LocalText;
  description?: LocalText | null;
  brand?: string | null;
  pictures?: string[];
  variants: { id: string; options: Record<string, string>; price_cents: number | null; stock: number | null }[];
}

export interface ShopClause {
  id: string;
  kind: "policy" | "faq";
  title: LocalText;
  text: LocalText;
  questions?: string[];
  effective_from?: string | null;
  effective_to?: string | null;
}

export interface Catalogue {
  currency: string;
  products: ShopProduct[];
  clauses: ShopClause[];
}

export interface Imported {
  accepted: Record<string, number>;
  rejected: { line: string; why: string }[];
  changes: { added: string[]; changed: string[]; missing: string[] };
  is_done: boolean;
}

export interface Review {
  id: number;
  said: string;
  language: string;
  shares: Record<string, number>;
  done: string;
  reasons: string[];
  comment: string;
  times: number;
}
