/** What is asked again and again, while its view is shown and the page can be seen; never twice at once. */

import { useEffect, useRef } from "preact/hooks";

/** `what` begins anew when one of `inputs` changes. Returns a function that asks at once. */
export function usePoll(ask: () => Promise<void>, everyMs: number, inputs: readonly unknown[] = []): () => void {
  const latest = useRef(ask);
  latest.current = ask;
  const now = useRef<() => void>(() => undefined);
  useEffect(() => {
    let timer = 0;
    let ended = false;
    let asking = false;
    let again = false;
    const run = async () => {
      window.clearTimeout(timer);
      if (asking) {
        again = true;
        return;
      }
      asking = true;
      if (!document.hidden) await latest.current();
      asking = false;
      if (ended) return;
      if (again) {
        again = false;
        void run();
      } else timer = window.setTimeout(() => void run(), everyMs);
    };
    now.current = () => void run();
    const seen = () => {
      if (!document.hidden) void run();
    };
    document.addEventListener("visibilitychange", seen);
    void run();
    return () => {
      ended = true;
      window.clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [everyMs, ...inputs]);
  return () => now.current();
}
