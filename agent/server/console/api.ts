/** The staff's side of the HTTP interface. */

import { signal } from "@preact/signals";
import { Refused, refusal } from "../widget/api";
import { follow } from "../widget/stream";
import { say } from "./words";

interface Staff {
  session: string;
  name: string;
}

const KEY = "storehand:staff";

/** Who is signed in; kept for this tab only. */
export const staff = signal<Staff | null>(JSON.parse(sessionStorage.getItem(KEY) ?? "null") as Staff | null);
/** What went wrong last, for the strip at the top. */
export const trouble = signal<string | null>(null);
export const offline = signal(false);

function signedIn(value: Staff | null): void {
  staff.value = value;
  if (value) sessionStorage.setItem(KEY, JSON.stringify(value));
  else sessionStorage.removeItem(KEY);
}

export async function signIn(name: string, password: string): Promise<void> {
  signedIn(await call<Staff>("POST", "/session", { name, password }));
}

export const signOut = () => signedIn(null);

/** One request under /v1/staff. Throws Refused; an ended session asks for the password again. */
export async function request(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const headers = new Headers();
  if (staff.value) headers.set("Authorization", `Bearer ${staff.value.session}`);
  const form = body instanceof FormData;
  if (body !== undefined && !form) headers.set("Content-Type", "application/json");
  const sent = body === undefined ? undefined : form ? body : JSON.stringify(body);
  const response = await fetch(`/v1/staff${path}`, { method, headers, body: sent, signal });
  if (response.ok) return response;
  if (response.status === 401 && path !== "/session") signOut();
  throw await refusal(response);
}

export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const text = await (await request(method, path, body)).text();
  return (text ? JSON.parse(text) : null) as T;
}

export const get = <T>(path: string) => call<T>("GET", path);

/** Do it, and say at the top what went wrong; whether it worked. */
export async function attempt(work: () => Promise<unknown>): Promise<boolean> {
  trouble.value = null;
  try {
    await work();
    return true;
  } catch (error) {
    trouble.value = say("failed", { why: error instanceof Refused && error.text ? error.text : say("unreachable") });
    return false;
  }
}

/** Be told of news until `signal` aborts: "inbox", or "message" with its conversation. */
export function listen(hear: (name: string, conversation: string | null) => void, signal: AbortSignal): void {
  follow(
    // The stream has no ids: what was missed meanwhile is in the lists, which are read again.
    (_, aborted) => request("GET", "/events", undefined, aborted),
    (event, name) => {
      hear(name ?? "", (event as { conversation?: string }).conversation ?? null);
      return false;
    },
    signal,
    (down) => (offline.value = down),
  ).catch((error: unknown) => attempt(() => Promise.reject(error)));
}

/** Give the browser a file to keep. */
export function download(name: string, content: string, type: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
