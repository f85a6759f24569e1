/** An event stream that goes on where it broke off: by Last-Event-ID, with growing pauses, until its end or the caller's. */

import { EventSourceParserStream } from "eventsource-parser/stream";
import { Refused } from "./api";
import type { RunEvent } from "./wire";

const PAUSES_MS = [300, 1000, 2000, 4000, 8000, 15000];

/** How a stream is opened: `lastId` is the last event that arrived, null for none yet. */
export type Open = (lastId: string | null, signal: AbortSignal) => Promise<Response>;

/**
 * Hand every event to `take` until it returns true ("that was the last one") or `signal` aborts.
 *
 * `lost` hears whether the connection is down at the moment. Throws Refused where the server's answer is final.
 */
export async function follow(
  open: Open,
  take: (event: RunEvent, name: string | undefined) => boolean,
  signal: AbortSignal,
  lost: (down: boolean) => void,
): Promise<void> {
  let lastId: string | null = null;
  for (let failures = 0; ; failures++) {
    try {
      const response = await open(lastId, signal);
      const events = response.body!.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
      const reader = events.getReader();
      lost(false);
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        failures = 0;
        if (value.id !== undefined) lastId = value.id;
        if (value.data && take(JSON.parse(value.data) as RunEvent, value.event)) {
          await reader.cancel();
          return;
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused && !error.passing) {
        lost(false);
        throw error;
      }
    }
    if (signal.aborted) return;
    lost(true);
    await pause(PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)]!, signal);
  }
}

/** Wait, but not after the network is back or the caller has gone. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      removeEventListener("online", end);
      signal.removeEventListener("abort", end);
      resolve();
    };
    // Many widgets that lost the same server come back one after the other.
    const timer = setTimeout(end, ms * (0.75 + Math.random() / 2));
    addEventListener("online", end);
    signal.addEventListener("abort", end);
  });
}
