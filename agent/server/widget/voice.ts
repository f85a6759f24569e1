/** The way to what is loaded when somebody first speaks or listens. */

import type * as Live from "./live/live";

let loading: Promise<typeof Live> | null = null;

/** widget/live, from the server's address; asked for again if it did not come. */
export function live(server: string): Promise<typeof Live> {
  const address = `${server}/widget-live.js`;
  loading ??= (import(/* @vite-ignore */ address) as Promise<typeof Live>).catch((error: unknown) => {
    loading = null;
    throw error;
  });
  return loading;
}
